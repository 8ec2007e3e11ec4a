"""What the service `init` does with a storage, on a real S3."""

import logging
from pathlib import Path

import pytest
import s3fs

from churn.containers.initialise import land, main, make_buckets
from churn.errors import ConfigurationError
from churn.landing import Landing

NAME = "customers-2026-11-22.csv"


def test_buckets_are_made_once_and_keep_what_is_in_them(s3_bucket: s3fs.S3FileSystem) -> None:
    names = ["churn-landing", "churn-logs"]
    assert make_buckets(names) == names
    s3_bucket.pipe_file("churn-landing/kept", b"x")
    assert make_buckets(names) == names
    s3_bucket.invalidate_cache()
    assert s3_bucket.cat_file("churn-landing/kept") == b"x"
    for name in names:
        s3_bucket.rm(name, recursive=True)


def test_extracts_of_the_folder_land_once_and_are_never_overwritten(
    s3_bucket: s3fs.S3FileSystem, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    landing = Landing("s3://landing")
    (tmp_path / NAME).write_text("the first\n")
    (tmp_path / "notes.txt").write_text("no extract\n")
    assert land(landing, tmp_path) == [NAME]
    assert land(landing, tmp_path) == []
    (tmp_path / NAME).write_text("another\n")
    with caplog.at_level(logging.WARNING):
        assert land(landing, tmp_path) == []
    assert NAME in caplog.text
    s3_bucket.invalidate_cache()
    assert s3_bucket.cat_file(f"landing/{NAME}") == b"the first\n"
    assert [Path(name).name for name in s3_bucket.ls("landing", detail=False)] == [NAME]


def test_a_missing_password_is_named_before_anything_is_made() -> None:
    with pytest.raises(ConfigurationError, match="AIRFLOW_DATABASE_PASSWORD is not set"):
        main({"POSTGRES_PASSWORD": "x"})
