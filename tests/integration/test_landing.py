"""The landing place: the same behaviour in a folder and in S3."""

import dataclasses
import hashlib
import os
import time
from datetime import date
from pathlib import Path

import pytest
import s3fs
from fsspec.implementations.local import LocalFileSystem

from churn.errors import ConfigurationError, ExtractRefused, StillLanding
from churn.landing import Landing

FIRST, SECOND = b"customerID\n1\n", b"customerID\n2\n"


def fill(landing: Landing, storage: s3fs.S3FileSystem | None, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        if storage:
            storage.pipe(f"{landing.url}/{name}", content)
        else:
            Path(landing.url, name).write_bytes(content)


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Landing, s3fs.S3FileSystem | None]:
    if request.param == "folder":
        folder = tmp_path / "a landing"
        folder.mkdir()
        return Landing(str(folder)), None
    return Landing("s3://landing/extracts"), request.getfixturevalue("s3_bucket")


def test_extracts_are_listed_by_date_and_other_names_are_ignored(
    place: tuple[Landing, s3fs.S3FileSystem | None],
) -> None:
    landing, storage = place
    fill(
        landing,
        storage,
        {
            "customers-2026-11-02.csv": SECOND,
            "customers-2026-11-01.csv": FIRST,
            "customers-2026-13-01.csv": b"no such month",
            "customers-2026-11-03.csv.part": b"half",
            ".customers-2026-11-03.csv.tmp": b"half",
            "customers-20261103.csv": b"another name",
            "customers-2026-11-03.csv.done": b"",
            "customers-2026-11-03.csv.bz2": b"another format",
            "readme.txt": b"hello",
        },
    )
    files = landing.files()
    assert [landed.snapshot_date for landed in files] == [date(2026, 11, 1), date(2026, 11, 2)]
    assert [landed.content_hash for landed in files] == [hashlib.sha256(each).hexdigest() for each in (FIRST, SECOND)]
    assert [landed.byte_count for landed in files] == [len(FIRST), len(SECOND)]
    with landing.open(files[1]) as stream:
        assert stream.read() == SECOND


def test_a_file_that_did_not_change_is_not_read_again(
    place: tuple[Landing, s3fs.S3FileSystem | None],
) -> None:
    landing, storage = place
    fill(landing, storage, {"customers-2026-11-01.csv": FIRST})
    (before,) = landing.files()
    known = {(before.url, before.version): "a hash from before"}
    assert landing.files(known)[0].content_hash == "a hash from before"
    fill(landing, storage, {"customers-2026-11-01.csv": SECOND})
    assert landing.files(known)[0].content_hash == hashlib.sha256(SECOND).hexdigest()


def test_a_file_is_found_by_name_and_by_address(place: tuple[Landing, s3fs.S3FileSystem | None]) -> None:
    landing, storage = place
    fill(landing, storage, {"customers-2026-11-01.csv": FIRST})
    address = landing.url_of(date(2026, 11, 1))
    assert address == f"{landing.url}/customers-2026-11-01.csv"
    assert landing.file(address) == landing.file("customers-2026-11-01.csv") == landing.files()[0]


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("customers.csv", "not named like an extract"),
        ("customers-2026-02-30.csv", "2026-02-30 is not a day"),
        ("customers-2026-11-09.csv", "There is no file"),
        ("customers-٢٠٢٦-11-09.csv", "not named like an extract"),
    ],
)
def test_a_named_file_that_cannot_be_an_extract_is_refused(
    place: tuple[Landing, s3fs.S3FileSystem | None], name: str, complaint: str
) -> None:
    landing, storage = place
    fill(landing, storage, {"customers-2026-02-30.csv": FIRST, "customers.csv": FIRST})
    with pytest.raises(ExtractRefused, match=complaint):
        landing.file(name)


def test_an_empty_place_has_no_files_and_a_missing_one_is_said(tmp_path: Path) -> None:
    assert Landing(str(tmp_path)).files() == []
    with pytest.raises(ConfigurationError, match="does not exist"):
        Landing(str(tmp_path / "absent")).files()


def test_an_empty_prefix_has_no_files_and_a_missing_bucket_is_said(s3_bucket: s3fs.S3FileSystem) -> None:
    assert Landing("s3://landing/nothing/yet").files() == []
    with pytest.raises(ConfigurationError, match="does not exist"):
        Landing("s3://absent-bucket/extracts").files()


def test_credentials_are_not_shown() -> None:
    filesystem = s3fs.S3FileSystem(key="me", secret="secret", skip_instance_cache=True)
    assert "secret" not in repr(Landing("s3://landing", filesystem))


def test_the_formats_of_a_day_stand_side_by_side(place: tuple[Landing, s3fs.S3FileSystem | None]) -> None:
    landing, storage = place
    fill(landing, storage, {f"customers-2026-11-01.{each}": FIRST for each in ("parquet", "csv", "csv.gz")})
    names = [landed.url.rsplit("/", 1)[1] for landed in landing.files()]
    assert names == ["customers-2026-11-01.csv", "customers-2026-11-01.csv.gz", "customers-2026-11-01.parquet"]


# Files that have not landed whole -----------------------------------------------------------------------------


def test_with_markers_a_file_counts_once_its_marker_lies_there(
    place: tuple[Landing, s3fs.S3FileSystem | None], caplog: pytest.LogCaptureFixture
) -> None:
    landing, storage = place
    waiting = dataclasses.replace(landing, done_markers=True)
    fill(landing, storage, {"customers-2026-11-01.csv": FIRST, "customers-2026-11-02.csv": SECOND})
    fill(landing, storage, {"customers-2026-11-02.csv.done": b""})
    assert [landed.snapshot_date.day for landed in waiting.files()] == [2]
    assert "customers-2026-11-01.csv is left for the next time: there is no" in caplog.text
    fill(landing, storage, {"customers-2026-11-01.csv.done": b""})
    assert [landed.snapshot_date.day for landed in waiting.files()] == [1, 2]


def test_a_file_that_changed_just_now_is_left_until_it_has_settled(
    place: tuple[Landing, s3fs.S3FileSystem | None], caplog: pytest.LogCaptureFixture
) -> None:
    landing, storage = place
    fill(landing, storage, {"customers-2026-11-01.csv": FIRST})
    assert dataclasses.replace(landing, settle_seconds=60).files() == []
    assert "customers-2026-11-01.csv is left for the next time: it changed just now" in caplog.text
    settled = dataclasses.replace(landing, settle_seconds=0.5)
    deadline = time.monotonic() + 10
    while not settled.files() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert len(settled.files()) == 1


def test_a_clock_that_was_wrong_once_does_not_keep_a_file_out(tmp_path: Path) -> None:
    path = tmp_path / "customers-2026-11-01.csv"
    path.write_bytes(FIRST)
    os.utime(path, (2_000_000_000, 2_000_000_000))
    assert len(Landing(str(tmp_path), settle_seconds=60).files()) == 1


@pytest.mark.parametrize("when", ["before it is read", "while it is read", "when it is refused"])
@pytest.mark.parametrize("gone", [False, True], ids=["changed", "gone"])
def test_a_file_that_changes_under_the_reader_is_not_decided(
    place: tuple[Landing, s3fs.S3FileSystem | None], when: str, gone: bool
) -> None:
    landing, storage = place
    fill(landing, storage, {"customers-2026-11-01.csv": FIRST})
    (landed,) = landing.files()

    def change() -> None:
        if not gone:
            fill(landing, storage, {"customers-2026-11-01.csv": FIRST + SECOND})
        elif storage:
            storage.rm(landed.url)
        else:
            Path(landed.url).unlink()

    if when == "before it is read":
        change()

    def read() -> None:
        with landing.text(landed) as text:
            if when != "before it is read":
                change()
            if when == "when it is refused":
                raise ExtractRefused("Line 2 cannot be read.", "Deliver it again.")
            list(text.chunks())

    with pytest.raises(StillLanding, match="changed while it was being read"):
        read()


def test_a_file_that_goes_away_between_listing_and_reading_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = Landing(str(tmp_path))
    fill(landing, None, {"customers-2026-11-01.csv": FIRST, "customers-2026-11-02.csv": SECOND})
    real_open = LocalFileSystem.open

    def open_after_a_removal(self: LocalFileSystem, path: str, *arguments: object, **options: object) -> object:
        (tmp_path / "customers-2026-11-01.csv").unlink(missing_ok=True)
        return real_open(self, path, *arguments, **options)

    monkeypatch.setattr(LocalFileSystem, "open", open_after_a_removal)
    assert [landed.snapshot_date.day for landed in landing.files()] == [2]


def test_versions_tell_a_changed_file_without_reading_any(
    place: tuple[Landing, s3fs.S3FileSystem | None],
) -> None:
    landing, storage = place
    assert landing.versions() == {}
    fill(landing, storage, {"customers-2026-11-01.csv": FIRST})
    before = landing.versions()
    assert landing.versions() == before
    fill(landing, storage, {"customers-2026-11-01.csv": FIRST + SECOND})
    assert landing.versions().keys() == before.keys()
    assert landing.versions() != before


def test_a_filesystem_that_was_handed_in_sees_what_lands_later(s3_bucket: s3fs.S3FileSystem) -> None:
    landing = Landing("s3://landing/extracts", s3fs.S3FileSystem(skip_instance_cache=True))
    fill(landing, s3_bucket, {"customers-2026-11-01.csv": FIRST})
    assert len(landing.files()) == 1
    fill(landing, s3_bucket, {"customers-2026-11-02.csv": FIRST, "customers-2026-11-01.csv": FIRST + SECOND})
    assert [landed.byte_count for landed in landing.files()] == [len(FIRST + SECOND), len(FIRST)]
