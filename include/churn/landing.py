"""The landing place: a folder or s3://bucket/prefix that receives one extract a day."""

import hashlib
import logging
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from churn.core.delivered import Delivered, Unzipped
from churn.core.extract_text import ExtractText
from churn.core.parquet_text import ParquetText
from churn.errors import AlreadyLanded, ConfigurationError, ExtractRefused, StillLanding
from churn.records import LandedFile

log = logging.getLogger(__name__)

NAME = re.compile(r"customers-(\d{4}-\d{2}-\d{2})\.(csv|csv\.gz|parquet)", re.ASCII)
_READ_BYTES = 1 << 20
_NAME_IT = "Name it customers-YYYY-MM-DD.csv (.csv.gz, .parquet) after the day whose state it shows."
_WAIT = "Wait until its upload is complete, then run this again."


@dataclass(frozen=True)
class _Entry:
    """A file as the landing place lists it, before anyone has read it."""

    path: str
    url: str
    snapshot_date: date
    byte_count: int
    version: str
    changed_at: float | None


@dataclass(frozen=True)
class Landing:
    """A landing place by its address.

    `filesystem` stands in for the one that fsspec would make of the address: Airflow gives the one of its
    ObjectStoragePath. Without it S3 finds credentials and AWS_ENDPOINT_URL where every AWS client does.
    With `done_markers` a file counts as landed once `<name>.done` lies beside it, with `settle_seconds` once it has
    not changed for so long.
    """

    url: str
    filesystem: fsspec.AbstractFileSystem | None = field(default=None, repr=False)
    done_markers: bool = False
    settle_seconds: float = 0.0

    def files(self, known_hashes: Mapping[tuple[str, str], str] | None = None) -> list[LandedFile]:
        """The extracts that have landed, oldest snapshot first.

        Other names are ignored, and files that have not landed whole are left for the next time; the log says so.
        `known_hashes` maps (url, version) to the content hash of files that were read before, so that the
        history in the landing place is not read again every day.
        Raises ConfigurationError where the landing place does not exist.
        """
        known = known_hashes or {}
        filesystem, root = self._open(self.url)
        found = []
        for entry in self._complete(filesystem, root):
            try:
                found.append(_landed(filesystem, entry, known.get((entry.url, entry.version))))
            except OSError:
                if self._is_unchanged(entry.url, entry.version):
                    raise
                log.warning("%s is left for the next time: it changed while it was being read.", entry.url)
        return found

    def versions(self) -> dict[str, str]:
        """The version of every file that has landed whole, by its URL; no file is read.

        Raises what `files` raises.
        """
        filesystem, root = self._open(self.url)
        return {entry.url: entry.version for entry in self._complete(filesystem, root, told=logging.DEBUG)}

    def file(self, path_or_url: str) -> LandedFile:
        """One file by its path or URL, or by its bare name in the landing place, taken to be complete.

        Raises ExtractRefused where it is absent or its name holds no valid date.
        """
        bare = "://" not in path_or_url and Path(path_or_url).name == path_or_url
        url = self.url_of_name(path_or_url) if bare and not Path(path_or_url).is_file() else path_or_url
        snapshot_date = _date_in(url)
        filesystem, path = self._open(url)
        if not filesystem.isfile(path):
            raise ExtractRefused(f"There is no file {path_or_url}.", "Check the path, or list the landing place.")
        return _landed(filesystem, _entry(filesystem, {**filesystem.info(path), "name": path}, snapshot_date))

    def open(self, landed: LandedFile) -> BinaryIO:
        """The bytes of a landed file as they were delivered."""
        filesystem, path = self._open(landed.url)
        return _open(filesystem, path)

    @contextmanager
    def text(self, landed: LandedFile) -> Iterator[ExtractText]:
        """The text of a landed file for the block, unpacked and turned into CSV where it is something else.

        Raises ExtractRefused where it cannot be, and StillLanding where the file is not what was listed any more:
        then nothing that the block read or raised says anything about the file.
        """
        try:
            with self.open(landed) as stream:
                delivered = Delivered(stream)
                yield ExtractText(_text(landed, stream, delivered))
        except (ExtractRefused, OSError):
            self.require_unchanged(landed)
            raise
        self.require_unchanged(landed)
        # Parquet is not read in order, so its bytes were not hashed: the store's word has to do.
        if landed.has_text and delivered.content_hash != landed.content_hash:
            raise _still_landing(landed)

    def require_unchanged(self, landed: LandedFile) -> None:
        """Raise StillLanding where the store says that the file is not what was listed any more."""
        if not self._is_unchanged(landed.url, landed.version):
            raise _still_landing(landed)

    def url_of(self, snapshot_date: date) -> str:
        """Where the extract of a day belongs."""
        return self.url_of_name(f"customers-{snapshot_date.isoformat()}.csv")

    def url_of_name(self, name: str) -> str:
        """Where a file of this name lies."""
        return f"{self.url.rstrip('/')}/{name}"

    def has(self, name: str) -> bool:
        """Whether a file of this name lies there."""
        filesystem, path = self._open(self.url_of_name(name))
        return bool(filesystem.isfile(path))

    def put(self, file: Path) -> str:
        """Put a local file there under its own name, whole or not at all; return its URL.

        The same content twice is left as it is. Raises AlreadyLanded where another content lies there, and
        ConfigurationError where the landing place does not exist.
        """
        url = self.url_of_name(file.name)
        self.versions()
        filesystem, path = self._open(url)
        if filesystem.isfile(path):
            if _content_hash(filesystem, path) != _content_hash(LocalFileSystem(), str(file)):
                raise AlreadyLanded(
                    f"{url} lies there already with other content.",
                    "Move it away and run this again, or land the change under another format and admit it.",
                )
        elif isinstance(filesystem, LocalFileSystem):
            half = f"{path}.{uuid.uuid4().hex}.part"
            filesystem.put_file(str(file), half)
            Path(half).replace(path)
        else:
            filesystem.put_file(str(file), path)  # an object appears when it is whole
        if self.done_markers:
            filesystem.touch(f"{path}.done")
        return url

    def _open(self, url: str) -> tuple[fsspec.AbstractFileSystem, str]:
        """The filesystem of a URL, without what it remembers of an earlier listing.

        Where none was given it is made afresh: a cached one would not survive a fork.
        """
        if self.filesystem and fsspec.utils.get_protocol(url) == fsspec.utils.get_protocol(self.url):
            self.filesystem.invalidate_cache()
            return self.filesystem, str(self.filesystem._strip_protocol(url))
        filesystem, path = fsspec.core.url_to_fs(url, skip_instance_cache=True, use_listings_cache=False)
        return filesystem, path

    def _complete(self, filesystem: fsspec.AbstractFileSystem, root: str, told: int = logging.WARNING) -> list[_Entry]:
        """What has landed whole, oldest snapshot first; the log names what is left, at level `told`, or ignored."""
        infos = self._infos(filesystem, root)
        paths = {info["name"] for info in infos}
        complete = []
        for info in infos:
            try:
                entry = _entry(filesystem, info, _date_in(info["name"]))
            except ExtractRefused as reason:
                log.log(min(told, logging.INFO), "%s is ignored: %s", info["name"], reason.message)
                continue
            if self.done_markers and f"{entry.path}.done" not in paths:
                log.log(told, "%s is left for the next time: there is no %s.done beside it.", entry.url, entry.path)
            elif entry.changed_at is not None and abs(time.time() - entry.changed_at) < self.settle_seconds:
                log.log(told, "%s is left for the next time: it changed just now.", entry.url)
            else:
                complete.append(entry)
        return sorted(complete, key=lambda entry: (entry.snapshot_date, entry.url))

    def _infos(self, filesystem: fsspec.AbstractFileSystem, root: str) -> list[dict[str, Any]]:
        try:
            return [info for info in filesystem.ls(root, detail=True) if info["type"] == "file"]
        except FileNotFoundError as error:
            # An object store knows no empty folders: a prefix without objects is a landing place too.
            if not isinstance(filesystem, LocalFileSystem) and filesystem.exists(root.split("/")[0]):
                return []
            raise ConfigurationError(
                f"The landing place {self.url} does not exist.", "Create it or correct CHURN_LANDING_URL."
            ) from error

    def _is_unchanged(self, url: str, version: str) -> bool:
        filesystem, path = self._open(url)
        try:
            return _version(filesystem.info(path)) == version
        except FileNotFoundError:
            return False


def _text(landed: LandedFile, stream: BinaryIO, delivered: Delivered) -> Delivered | Unzipped | ParquetText:
    if not landed.has_text:
        return ParquetText(stream)
    return Unzipped(delivered) if landed.url.endswith(".gz") else delivered


def _still_landing(landed: LandedFile) -> StillLanding:
    return StillLanding(f"{landed.url} changed while it was being read.", _WAIT)


def _open(filesystem: fsspec.AbstractFileSystem, path: str) -> BinaryIO:
    """A stream that fetches ahead; of Parquet, whose columns lie apart, it keeps blocks of each instead."""
    caching: dict[str, Any] = {"block_size": 8 * _READ_BYTES}
    if path.endswith(".parquet"):
        caching = {"block_size": 2 * _READ_BYTES, "cache_type": "blockcache", "cache_options": {"maxblocks": 48}}
    stream: BinaryIO = filesystem.open(path, "rb", **caching)
    return stream


def _date_in(path: str) -> date:
    """The snapshot date in a file's name. Raises ExtractRefused where there is none."""
    name = path.rstrip("/").rsplit("/", 1)[-1]
    found = NAME.fullmatch(name)
    if not found:
        raise ExtractRefused(f"{name!r} is not named like an extract.", _NAME_IT)
    try:
        return date.fromisoformat(found[1])
    except ValueError as error:
        raise ExtractRefused(f"{name!r} holds no valid date: {found[1]} is not a day.", _NAME_IT) from error


def _entry(filesystem: fsspec.AbstractFileSystem, info: Mapping[str, Any], snapshot_date: date) -> _Entry:
    path = info["name"]
    url = path if isinstance(filesystem, LocalFileSystem) else filesystem.unstrip_protocol(path)
    changed = info.get("mtime") or info.get("LastModified")
    changed_at = changed.timestamp() if isinstance(changed, datetime) else changed
    return _Entry(path, url, snapshot_date, int(info["size"]), _version(info), changed_at)


def _version(info: Mapping[str, Any]) -> str:
    """What the store itself says about a file's content and its last change, in short."""
    facts = [str(info.get(name)) for name in ("size", "ETag", "LastModified", "mtime", "created", "ino")]
    return hashlib.sha256("|".join(facts).encode()).hexdigest()[:32]


def _landed(filesystem: fsspec.AbstractFileSystem, entry: _Entry, content_hash: str | None = None) -> LandedFile:
    content_hash = content_hash or _content_hash(filesystem, entry.path)
    return LandedFile(entry.url, entry.snapshot_date, content_hash, entry.byte_count, entry.version)


def _content_hash(filesystem: fsspec.AbstractFileSystem, path: str) -> str:
    with filesystem.open(path, "rb", block_size=8 * _READ_BYTES) as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
