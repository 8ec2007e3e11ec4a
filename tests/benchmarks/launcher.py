"""Start one command and report what it took: wall time, peak memory and CPU time, as JSON on stdout.

A file of its own with nothing but the standard library: a process is born with the peak memory of the one that
started it, so a large parent would be measured in place of its child.
"""

import json
import os
import subprocess
import sys
import time

KIB_A_UNIT = 1 / 1024 if sys.platform == "darwin" else 1  # macOS tells bytes, Linux KiB


def launch(stdout: str, stderr: str, command: list[str]) -> dict[str, float]:
    """Run `command` with its output in two files and wait for its end."""
    with open(stdout, "wb") as out, open(stderr, "wb") as err:  # noqa: PTH123 - pathlib would be measured too
        started = time.monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "exit_code": process.returncode,
        "process_seconds": seconds,
        "peak_mb": usage.ru_maxrss * KIB_A_UNIT / 1024,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }


if __name__ == "__main__":
    json.dump(launch(sys.argv[1], sys.argv[2], sys.argv[3:]), sys.stdout)
