"""The Airflow door: database and S3 come from Connections, and the same landing code reads the bucket."""

import json
import time
from datetime import date
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
import s3fs

from churn.errors import SourceUnusable
from churn_airflow.doors import services
from tests.moto_server import BUCKET
from tests.rds_front import RdsFront

AWS_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION")
DATABASE = "postgresql://churn_pipeline:a%2Fb@127.0.0.1:5432/churn"


@pytest.fixture
def bucket(s3_bucket: s3fs.S3FileSystem, monkeypatch: pytest.MonkeyPatch) -> s3fs.S3FileSystem:
    """A bucket that only the Connection leads to: the environment holds no credentials and no address."""
    for name in AWS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return s3_bucket


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch, s3_endpoint: str) -> None:
    extra = f'{{"endpoint_url": "{s3_endpoint}", "region_name": "us-east-1"}}'
    monkeypatch.setenv("AIRFLOW_CONN_CHURN_DB", DATABASE)
    monkeypatch.setenv(
        "AIRFLOW_CONN_AWS_DEFAULT",
        f'{{"conn_type": "aws", "login": "testing", "password": "testing", "extra": {extra}}}',
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.delenv("CHURN_DATABASE_URL", raising=False)


def test_the_database_is_the_one_of_the_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHURN_LANDING_URL", str(tmp_path))
    assert services().database.url == DATABASE


def test_the_connection_stands_above_the_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHURN_LANDING_URL", str(tmp_path))
    monkeypatch.setenv("CHURN_DATABASE_URL", "postgresql://someone:else@127.0.0.1:5433/churn")
    assert services().database.url == DATABASE


def test_what_the_connection_says_about_tls_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    extra = {"sslmode": "verify-full", "sslrootcert": "/etc/rds.pem"}
    monkeypatch.setenv("AIRFLOW_CONN_CHURN_DB", connection(password="only-for-tests", extra=extra))
    monkeypatch.setenv("CHURN_LANDING_URL", str(tmp_path))
    asked = dict(parse_qsl(urlsplit(services().database.url).query))
    assert asked == extra


def test_with_iam_the_hook_gives_each_connection_a_token_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_CHURN_DB", connection(extra={"iam": True}))
    monkeypatch.setenv("CHURN_LANDING_URL", str(tmp_path))
    database = services().database
    first = urlsplit(database.url)
    front = RdsFront(0, "churn_pipeline", "", "testing", tmp_path, port=5432)
    assert front.fault_of(unquote(first.password or "")) is None
    assert dict(parse_qsl(first.query)) == {"sslmode": "require"}
    time.sleep(1.1)  # tokens are dated in whole seconds
    assert urlsplit(database.url).password != first.password


def connection(**more: object) -> str:
    """The Connection of the database as a secret store keeps it."""
    known = {"conn_type": "postgres", "host": "127.0.0.1", "port": 5432, "login": "churn_pipeline", "schema": "churn"}
    return json.dumps(known | more)


def test_a_folder_needs_no_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "a landing"
    folder.mkdir()
    (folder / "customers-2026-11-22.csv").write_bytes(b"customerID\n")
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    for url in (str(folder), f"file://{folder}"):
        monkeypatch.setenv("CHURN_LANDING_URL", url)
        (landed,) = services().landing.files()
        assert landed.url == str(folder / "customers-2026-11-22.csv")
        with services().landing.open(landed) as stream:
            assert stream.read() == b"customerID\n"


def test_the_query_reads_from_the_connection_and_else_from_the_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    query = tmp_path / "customers.sql"
    query.write_text("SELECT 'of the setting' AS name")
    monkeypatch.setenv("CHURN_LANDING_URL", str(tmp_path))
    monkeypatch.setenv("CHURN_LANDING_QUERY", str(query))
    monkeypatch.setenv("CHURN_LANDING_QUERY_URL", "sqlite://")
    source = services().source
    assert source
    assert list(source.rows(date(2026, 11, 22))) == [["name"], ["of the setting"]]
    monkeypatch.setenv("AIRFLOW_CONN_CHURN_SOURCE", "postgres://me:word@127.0.0.1:1/billing")
    source = services().source
    assert source
    with pytest.raises(SourceUnusable, match=r"127\.0\.0\.1:1/billing"):
        next(source.rows(date(2026, 11, 22)))


def test_extracts_in_the_bucket_are_found_with_the_credentials_of_the_connection(
    monkeypatch: pytest.MonkeyPatch, bucket: s3fs.S3FileSystem
) -> None:
    monkeypatch.setenv("CHURN_LANDING_URL", f"s3://{BUCKET}/daily")
    with bucket.open(f"{BUCKET}/daily/customers-2026-11-22.csv", "wb") as file:
        file.write(b"customerID\n")
    (landed,) = services().landing.files()
    assert landed.snapshot_date.isoformat() == "2026-11-22"
    with services().landing.open(landed) as stream:
        assert stream.read() == b"customerID\n"
