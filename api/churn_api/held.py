"""What a worker holds for the request log, in a file that outlives it: what a killed worker takes along is counted.

The worker adds up in a mapped file, which the kernel keeps whatever befalls the process; the lock on it ends with the
process. Another worker that gets the lock therefore knows that the owner is gone, and counts its loss as dropped. The
batch that was being written may have arrived or not: its id tells, for a batch is written once.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

from churn.db.api_requests import Loss

FOLDER = "CHURN_API_HELD_FOLDER"  # set by gunicorn.conf.py for its workers
_SUFFIX = ".held"
_NOBODY = UUID(int=0)
# Of the loss, taken, settled, rows in the batch that is tried, its id, the worker's name.
_LAYOUT = struct.Struct("=16sqqq16s128s")


class HeldRows:
    """The rows that one worker has taken and has not settled: written, or told to the log as dropped.

    Not safe by itself under threads: the journal holds a lock.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._loss_id, self._worker = uuid4(), worker.encode()[:128]
        self._taken = self._settled = 0
        self._path = folder / f"{self._loss_id}{_SUFFIX}"
        making = self._path.with_suffix(".making")
        self._file = making.open("w+b")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._file.truncate(_LAYOUT.size)
        self._map = mmap.mmap(self._file.fileno(), _LAYOUT.size)
        self.settle(0)
        making.rename(self._path)  # seen by others only with the lock on it

    def take(self, row_count: int) -> None:
        """Rows are held from now on, or dropped and still to be told."""
        self._taken += row_count
        struct.pack_into("=q", self._map, 16, self._taken)

    def begin(self, batch_id: UUID, row_count: int) -> None:
        """A batch is tried that settles so many rows."""
        struct.pack_into("=q16s", self._map, 32, row_count, batch_id.bytes)

    def settle(self, row_count: int) -> None:
        """The batch is written, or given up where 0: none is tried now."""
        self._settled += row_count
        record = (self._loss_id.bytes, self._taken, self._settled, 0, _NOBODY.bytes, self._worker)
        _LAYOUT.pack_into(self._map, 0, *record)

    def close(self) -> None:
        """The worker ends. What it holds is left for another to count; nothing is left where nothing is held."""
        if self._taken == self._settled:
            self._path.unlink()
        self._map.close()
        self._file.close()


@contextmanager
def losses(folder: Path) -> Iterator[list[Loss]]:
    """The losses of workers that are gone; forgotten at the end of the block, kept where it raises."""
    claimed = [claim for path in sorted(folder.glob(f"*{_SUFFIX}")) if (claim := _claim(path)) is not None]
    try:
        yield [_loss(descriptor) for _, descriptor in claimed]
        for path, _ in claimed:
            path.unlink()
    finally:
        for _, descriptor in claimed:
            os.close(descriptor)


def _claim(path: Path) -> tuple[Path, int] | None:
    """The file of a worker that is gone, locked; None where it lives, or somebody else counts it."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if os.fstat(descriptor).st_nlink == 0:  # counted by another between the two
        os.close(descriptor)
        return None
    return path, descriptor


def _loss(descriptor: int) -> Loss:
    loss_id, taken, settled, tried_count, tried_id, worker = _LAYOUT.unpack(os.pread(descriptor, _LAYOUT.size, 0))
    tried = UUID(bytes=tried_id) if tried_count else None
    return Loss(UUID(bytes=loss_id), worker.rstrip(b"\0").decode(), taken - settled, tried, tried_count)
