"""A tree of files in a folder or under an s3:// prefix: each is written whole or not at all, with its fingerprint."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

import fsspec
from fsspec.implementations.local import LocalFileSystem

from churn.records import StoredFile

_HALF = ".half"  # a file that is being written, in a folder; S3 shows an object only when it is whole
_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True)
class FileTree:
    """The files below an address, by their path relative to it."""

    url: str

    def below(self, name: str) -> "FileTree":
        """The tree of one folder of this one."""
        return FileTree(f"{self.url.rstrip('/')}/{name}")

    def sizes(self) -> dict[str, int]:
        """Every file with its size in bytes; none where the address holds nothing yet."""
        filesystem, root = self._opened
        found = filesystem.find(root, detail=True)
        is_local = isinstance(filesystem, LocalFileSystem)
        return {
            path.removeprefix(root).lstrip("/"): int(info["size"])
            for path, info in found.items()
            if not (is_local and path.endswith(_HALF))
        }

    def folders(self) -> list[str]:
        """The names of the folders directly below."""
        filesystem, root = self._opened
        if not filesystem.exists(root):
            return []
        entries = filesystem.ls(root, detail=True)
        return sorted(Path(each["name"].rstrip("/")).name for each in entries if each["type"] == "directory")

    def read(self, name: str) -> bytes:
        """A small file. Raises FileNotFoundError."""
        return b"".join(self.blocks(name))

    def blocks(self, name: str) -> Iterator[bytes]:
        """The bytes of a file, in blocks. Raises FileNotFoundError."""
        filesystem, root = self._opened
        with filesystem.open(f"{root}/{name}", "rb") as file:
            yield from blocks_of(file)

    def fingerprint(self, name: str) -> StoredFile:
        """Digest and size of a file. Raises FileNotFoundError."""
        return fingerprint_of(self.blocks(name))

    def local_path(self, name: str) -> Path | None:
        """Where a file lies in a folder of this machine; None on S3."""
        filesystem, root = self._opened
        return Path(root) / name if isinstance(filesystem, LocalFileSystem) else None

    def write(self, name: str, blocks: Iterable[bytes]) -> StoredFile:
        """Put a file under its name once it is whole, for its owner's eyes; return its fingerprint."""
        path = self.local_path(name)
        if path is not None:
            return _write_locally(path, blocks)
        filesystem, root = self._opened
        with filesystem.open(f"{root}/{name}", "wb") as file:
            return _copy(blocks, file)

    def remove(self, names: Iterable[str]) -> None:
        """Remove files."""
        filesystem, root = self._opened
        for name in names:
            filesystem.rm_file(f"{root}/{name}")

    def remove_all(self) -> None:
        """Remove every file and the folder, where there is one."""
        filesystem, root = self._opened
        if isinstance(filesystem, LocalFileSystem):
            shutil.rmtree(root, ignore_errors=True)
        elif filesystem.exists(root):
            filesystem.rm(root, recursive=True)

    @cached_property
    def _opened(self) -> tuple[Any, str]:
        # fsspec takes a file:// address letter by letter: the space of a folder, which is %20 there, would be lost.
        is_file = self.url.startswith("file://")
        where = url2pathname(urlsplit(self.url).path) if is_file else self.url
        filesystem, root = fsspec.core.url_to_fs(where, skip_instance_cache=True, use_listings_cache=False)
        return filesystem, str(root).rstrip("/")


def blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """What is left of an open file, in blocks."""
    while block := file.read(_BLOCK_BYTES):
        yield block


def fingerprint_of(blocks: Iterable[bytes]) -> StoredFile:
    """Digest and size of what comes in blocks."""
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        size += len(block)
    return StoredFile(digest.hexdigest(), size)


def _write_locally(path: Path, blocks: Iterable[bytes]) -> StoredFile:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_name(path.name + _HALF)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        written = _copy(blocks, file)
        file.flush()
        os.fsync(file.fileno())
    half.replace(path)
    return written


def _copy(blocks: Iterable[bytes], file: Any) -> StoredFile:
    def copied() -> Iterator[bytes]:
        for block in blocks:
            file.write(block)
            yield block

    return fingerprint_of(copied())
