"""A real S3 on loopback: moto's server, from a venv of its own (`make .venv-moto/installed`)."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import s3fs

from churn.platform.ports import LOOPBACK, free_port
from churn.settings import PROJECT

SERVER = PROJECT / ".venv-moto" / "bin" / "moto_server"
BUCKET = "landing"
START_SECONDS = 30.0


@contextmanager
def moto_server(log_file: Path) -> Iterator[str]:
    """Run the server for the block; yields its endpoint URL. Skips the test where its venv was not made."""
    if not SERVER.exists():
        pytest.skip(".venv-moto is absent: run `make .venv-moto/installed`")
    port = free_port(25_000)
    with log_file.open("wb") as log:
        process = subprocess.Popen([str(SERVER), "-H", LOOPBACK, "-p", str(port)], stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(process, f"http://{LOOPBACK}:{port}/moto-api/", log_file)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: "subprocess.Popen[bytes]", url: str, log_file: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=1):  # noqa: S310 - loopback
                return
        except (URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"moto_server did not answer: {log_file.read_text(errors='replace')[-2000:]}")


@contextmanager
def empty_bucket(endpoint: str) -> Iterator[s3fs.S3FileSystem]:
    """The bucket `landing` for the block, found like every AWS client finds one: by the environment."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint)
        environment.setenv("AWS_ACCESS_KEY_ID", "testing")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
        filesystem = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
        filesystem.mkdir(BUCKET)
        yield filesystem
        filesystem.rm(BUCKET, recursive=True)
