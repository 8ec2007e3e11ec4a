"""Private files of the state folder, and the lock that keeps two commands from working on it at once."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from churn.errors import AlreadyRunning, PlatformError

# A Unix socket's path may have 103 bytes on macOS and 107 on Linux; supervisord binds it with its pid added.
LONGEST_SOCKET_PATH = 90


def write_private(path: Path, text: str) -> None:
    """Put a text under a name at once, for its owner's eyes; a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, half = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(half).replace(path)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file, empty where there is no file. Raises PlatformError where it is damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise PlatformError(
            f"{path} cannot be read: {error}.", "Restore it, or move the state folder away for a new start."
        ) from error
    if not isinstance(found, dict):
        raise PlatformError(f"{path} holds no JSON object.", "Restore it, or move the state folder away.")
    return found


@contextmanager
def exclusive(home: Path) -> Iterator[None]:
    """Hold the lock of a state folder for the block; the system lets go of it when the process dies.

    Raises AlreadyRunning at once where another `up` or `down` holds it.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / "platform.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise AlreadyRunning(
                f"Another `churn platform up` or `down` (process {holder}) is at work in {home}.",
                "Wait until it has finished.",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def private_folder(name: str) -> Path:
    """A folder of this user for short-lived things, with a short path. Raises PlatformError if it is another's."""
    folder = Path(tempfile.gettempdir()) / f"churn-{os.geteuid()}-{name}"
    if len(os.fsencode(folder)) > LONGEST_SOCKET_PATH - 16:
        folder = Path("/tmp") / folder.name  # noqa: S108  # nosec B108 - made 0700 and checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise PlatformError(f"{folder} is not a private folder of this user.", "Remove it and try again.")
    return folder


def reserve_port(port: int, held: ExitStack) -> bool:
    """Keep a port from other platforms of this user until `held` is closed; False where one of them keeps it.

    Between the choice of a port and the moment its server listens lie seconds in which nobody sees it taken.
    """
    file = (private_folder("ports") / str(port)).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return False
    held.callback(file.close)
    return True


def last_lines(path: Path, count: int) -> list[str]:
    """The last lines of a log, at most `count`; none where there is no log yet."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 400 * count))
            return file.read().decode("utf-8", "replace").splitlines()[-count:] if count > 0 else []
    except FileNotFoundError:
        return []
