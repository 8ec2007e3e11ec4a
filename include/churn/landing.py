"""The landing place: a folder or s3://bucket/prefix that receives one extract a day."""

import hashlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

from churn.errors import ConfigurationError, ExtractRefused
from churn.records import LandedFile

log = logging.getLogger(__name__)

NAME = re.compile(r"customers-(\d{4}-\d{2}-\d{2})\.csv", re.ASCII)
_READ_BYTES = 1 << 20
_NAME_IT = "Name it customers-YYYY-MM-DD.csv after the day whose state it shows."


@dataclass(frozen=True)
class Landing:
    """A landing place by its address.

    `storage_options` go to fsspec as they are (key, secret, endpoint_url, ... for s3://). Without them S3
    finds credentials and AWS_ENDPOINT_URL where every AWS client does.
    """

    url: str
    storage_options: dict[str, Any] = field(default_factory=dict, repr=False)

    def files(self, known_hashes: Mapping[tuple[str, str], str] | None = None) -> list[LandedFile]:
        """The extracts that have landed, oldest snapshot first. Other names are ignored and logged.

        `known_hashes` maps (url, version) to the content hash of files that were read before, so that the
        history in the landing place is not read again every day.
        Raises ConfigurationError where the landing place does not exist.
        """
        known = known_hashes or {}
        filesystem, root = self._open(self.url)
        found = []
        for info in self._entries(filesystem, root):
            try:
                snapshot_date = _date_in(info["name"])
            except ExtractRefused as reason:
                log.info("%s is ignored: %s", info["name"], reason.message)
                continue
            found.append(self._landed(filesystem, info, snapshot_date, known))
        return sorted(found, key=lambda landed: landed.snapshot_date)

    def file(self, path_or_url: str) -> LandedFile:
        """One file by its path or URL, or by its bare name in the landing place.

        Raises ExtractRefused where it is absent or its name holds no valid date.
        """
        bare = "://" not in path_or_url and Path(path_or_url).name == path_or_url
        url = self._url_of_name(path_or_url) if bare and not Path(path_or_url).is_file() else path_or_url
        snapshot_date = _date_in(url)
        filesystem, path = self._open(url)
        if not filesystem.isfile(path):
            raise ExtractRefused(f"There is no file {path_or_url}.", "Check the path, or list the landing place.")
        return self._landed(filesystem, {**filesystem.info(path), "name": path}, snapshot_date, {})

    def open(self, landed: LandedFile) -> BinaryIO:
        """The bytes of a landed file, to be read in order."""
        filesystem, path = self._open(landed.url)
        stream: BinaryIO = filesystem.open(path, "rb", block_size=8 * _READ_BYTES)
        return stream

    def url_of(self, snapshot_date: date) -> str:
        """Where the extract of a day belongs."""
        return self._url_of_name(f"customers-{snapshot_date.isoformat()}.csv")

    def _url_of_name(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}"

    def _open(self, url: str) -> tuple[fsspec.AbstractFileSystem, str]:
        """The filesystem of a URL, made afresh: a cached one would not survive a fork or see new files."""
        protocol = fsspec.utils.get_protocol(url)
        options = self.storage_options if protocol == fsspec.utils.get_protocol(self.url) else {}
        filesystem, path = fsspec.core.url_to_fs(
            url, **{"skip_instance_cache": True, "use_listings_cache": False, **options}
        )
        return filesystem, path

    def _entries(self, filesystem: fsspec.AbstractFileSystem, root: str) -> list[dict[str, Any]]:
        try:
            return [info for info in filesystem.ls(root, detail=True) if info["type"] == "file"]
        except FileNotFoundError as error:
            # An object store knows no empty folders: a prefix without objects is a landing place too.
            if not isinstance(filesystem, LocalFileSystem) and filesystem.exists(root.split("/")[0]):
                return []
            raise ConfigurationError(
                f"The landing place {self.url} does not exist.", "Create it or correct CHURN_LANDING_URL."
            ) from error

    def _landed(
        self,
        filesystem: fsspec.AbstractFileSystem,
        info: dict[str, Any],
        snapshot_date: date,
        known: Mapping[tuple[str, str], str],
    ) -> LandedFile:
        path = info["name"]
        url = path if isinstance(filesystem, LocalFileSystem) else filesystem.unstrip_protocol(path)
        version = _version(info)
        content_hash = known.get((url, version)) or _content_hash(filesystem, path)
        return LandedFile(url, snapshot_date, content_hash, int(info["size"]), version)


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


def _version(info: Mapping[str, Any]) -> str:
    """What the store itself says about a file's content and its last change, in short."""
    facts = [str(info.get(name)) for name in ("size", "ETag", "LastModified", "mtime", "created", "ino")]
    return hashlib.sha256("|".join(facts).encode()).hexdigest()[:32]


def _content_hash(filesystem: fsspec.AbstractFileSystem, path: str) -> str:
    with filesystem.open(path, "rb", block_size=8 * _READ_BYTES) as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(_READ_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
