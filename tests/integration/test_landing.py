"""The landing place: the same behaviour in a folder and in S3."""

import hashlib
from datetime import date
from pathlib import Path

import pytest
import s3fs

from churn.errors import ConfigurationError, ExtractRefused
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
    assert "secret" not in repr(Landing("s3://landing", {"key": "me", "secret": "secret"}))
