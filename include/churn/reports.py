"""The place of pages for people: a folder of this machine, or s3://bucket/prefix that every machine reaches.

Drift reports lie in drift/, the data docs of Great Expectations in data_docs/.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from botocore.exceptions import BotoCoreError

from churn.errors import ReportsUnavailable

DATA_DOCS_FOLDER, DRIFT_FOLDER = "data_docs", "drift"
# What Great Expectations makes of one folder's results says nothing about those of other machines.
_OF_ONE_MACHINE = ("validation_results/", f"{DATA_DOCS_FOLDER}/index.html")
_SAME_FOR_ALL = f"{DATA_DOCS_FOLDER}/static/"


@dataclass(frozen=True)
class Page:
    """A page by its path below the place, and when it was written (UTC)."""

    name: str
    written_at: datetime


@dataclass(frozen=True)
class Reports:
    """A place of pages by its address.

    `filesystem` stands in for the one that fsspec would make of an s3:// address: Airflow gives the one of its
    Connection. Every method raises ReportsUnavailable where a bucket cannot be reached or refuses.
    """

    url: str
    filesystem: fsspec.AbstractFileSystem | None = field(default=None, repr=False)

    @property
    def folder(self) -> Path | None:
        """The folder, where the place is one of this machine."""
        return None if "://" in self.url else Path(self.url)

    def address(self, page: str) -> str:
        """Where a page lies, for people and logs."""
        return f"{self.url.rstrip('/')}/{page}"

    @contextmanager
    def writing(self) -> Iterator[Path]:
        """A folder for the block; the pages that it holds at the end are in the place.

        Nothing is sent to a bucket where the block raises.
        """
        if self.folder is not None:
            yield self.folder
            return
        with tempfile.TemporaryDirectory(prefix="churn-reports-") as name:
            yield Path(name)
            self._send(Path(name))

    def pages(self, folder: str) -> list[Page]:
        """The HTML pages below a folder of the place, in no order."""
        if self.folder is not None:
            return [page for file in (self.folder / folder).rglob("*.html") if (page := _page(self.folder, file))]
        with self._asked() as (filesystem, root):
            found = filesystem.find(f"{root}/{folder}", detail=True).items()
            names = {path.removeprefix(f"{root}/"): info for path, info in found if path.endswith(".html")}
            return [Page(name, info["LastModified"].astimezone(UTC)) for name, info in names.items()]

    def read(self, folder: str, page: str) -> bytes | None:
        """The content of `page` inside a folder of the place; None where there is none or it leads out of it."""
        if "\x00" in page or "\\" in page or {"..", "."} & set(PurePosixPath(page).parts) or page.startswith("/"):
            return None
        if self.folder is not None:
            file = _inside(self.folder / folder, page)
            return None if file is None else file.read_bytes()
        with self._asked() as (filesystem, root):
            try:
                content: bytes = filesystem.cat_file(f"{root}/{folder}/{page}")
            except FileNotFoundError:
                return None
            return content

    def prune(self, folder: str, keep: int) -> None:
        """Delete all but the newest `keep` of the numbered pages (12.html) of a folder, not of those in it."""
        own = [page for page in self.pages(folder) if PurePosixPath(page.name).parent == PurePosixPath(folder)]
        numbered = sorted(own, key=lambda page: number_of(page.name))
        for page in numbered[:-keep]:
            self._delete(page.name)

    def _delete(self, page: str) -> None:
        if self.folder is not None:
            (self.folder / page).unlink(missing_ok=True)
            return
        with self._asked() as (filesystem, root):
            filesystem.rm_file(f"{root}/{page}")

    def _send(self, folder: Path) -> None:
        """Put every page of a folder into the bucket; what is the same for all pages only once."""
        with self._asked() as (filesystem, root):
            there = any(filesystem.find(f"{root}/{_SAME_FOR_ALL}", maxdepth=None))
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                name = file.relative_to(folder).as_posix()
                if not name.startswith(_OF_ONE_MACHINE) and not (there and name.startswith(_SAME_FOR_ALL)):
                    filesystem.put_file(str(file), f"{root}/{name}")

    @contextmanager
    def _asked(self) -> Iterator[tuple[Any, str]]:
        """The bucket's filesystem, without what it remembers of an earlier listing, and the prefix in it."""
        try:
            if self.filesystem is not None:
                self.filesystem.invalidate_cache()
                yield self.filesystem, str(self.filesystem._strip_protocol(self.url)).rstrip("/")
            else:  # a cached one would not survive a fork
                filesystem, root = fsspec.core.url_to_fs(self.url, skip_instance_cache=True, use_listings_cache=False)
                yield filesystem, root.rstrip("/")
        except (OSError, BotoCoreError) as error:
            raise ReportsUnavailable(
                f"The place of reports {self.url} cannot be used: {error}.",
                "Correct CHURN_REPORTS_URL, or what its Connection may do, then run this again.",
            ) from error


def number_of(page: str) -> int:
    """The number that a page is named by, or -1."""
    stem = PurePosixPath(page).stem
    return int(stem) if stem.isascii() and stem.isdigit() else -1


def _inside(folder: Path, page: str) -> Path | None:
    """The file of `page` in a folder, or None where there is none, or a link leads out."""
    inside = folder.resolve()
    try:
        file = (inside / page).resolve()
        return file if file.is_relative_to(inside) and file.is_file() else None
    except OSError:  # a name too long, or a loop of links
        return None


def _page(place: Path, file: Path) -> Page | None:
    """A page in a folder; None where it was deleted meanwhile."""
    try:
        written_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
    return Page(file.relative_to(place).as_posix(), written_at)
