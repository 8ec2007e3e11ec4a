"""A query as the source of the day's extract: the same door behind it as for a delivered file."""

import csv
import gzip
import io
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
import s3fs
import sqlalchemy
from pydantic import SecretStr

from churn.db.database import Database
from churn.db.source_query import SourceQuery
from churn.errors import AlreadyLanded, ConfigurationError, SourceUnusable
from churn.jobs.land_extract import land_extract
from churn.jobs.validate_customers import validate_customers
from churn.landing import Landing
from churn.services import Services
from churn.settings import Settings
from tests.conftest import PASSWORD, TestDatabase
from tests.factories import NAMES, customer_row, customer_rows
from tests.integration.validations import DAY, customers, open_services, require_accounted_for
from tests.jobs import with_changes

NUMBERS = {
    "SeniorCitizen": sqlalchemy.Integer,
    "tenure": sqlalchemy.Integer,
    "MonthlyCharges": sqlalchemy.Numeric(10, 2),
    "TotalCharges": sqlalchemy.Double,
}
READ = {"SeniorCitizen": int, "tenure": int, "MonthlyCharges": Decimal, "TotalCharges": float}
BILLING = sqlalchemy.Table(
    "billing",
    sqlalchemy.MetaData(),
    *(sqlalchemy.Column(name, NUMBERS.get(name, sqlalchemy.Text)) for name in NAMES),
    sqlalchemy.Column("changed_on", sqlalchemy.Date),
)
SELECT = str(sqlalchemy.select(*(BILLING.c[name] for name in NAMES)))
BY_DAY = f'{SELECT} WHERE changed_on <= :snapshot_date ORDER BY billing."customerID"'


def make_billing(url: str, rows: list[dict[str, str]]) -> str:
    """A billing database with these customers, the last of whom came on the third of November; its address."""
    days = [date(2026, 11, 2)] * (len(rows) - 1) + [date(2026, 11, 3)]
    engine = sqlalchemy.create_engine(url)
    BILLING.create(engine)
    with engine.begin() as connection:
        connection.execute(
            BILLING.insert(),
            [
                {name: READ.get(name, str)(value) if value else None for name, value in row.items()}
                | {"changed_on": day}
                for row, day in zip(rows, days, strict=True)
            ],
        )
    engine.dispose()
    return url


@pytest.fixture(params=["PostgreSQL", "SQLite"])
def billing(request: pytest.FixtureRequest, churn_database: TestDatabase, tmp_path: Path) -> str:
    """The address of a billing database with 30 customers, one of whom came the day after."""
    rows = [
        *customer_rows(29, TotalCharges="846"),
        customer_row(customerID="later", tenure="0", TotalCharges="", MonthlyCharges="20"),
    ]
    if request.param == "SQLite":
        return make_billing(f"sqlite:///{tmp_path / 'billing.db'}", rows)
    url = churn_database.server.url("postgres", churn_database.name)
    return make_billing(url.replace("postgresql://", "postgresql+psycopg://"), rows)


@pytest.fixture
def services(pipeline: Database, tmp_path: Path) -> Services:
    return open_services(pipeline, tmp_path)


def asking(services: Services, url: str, statement: str, folder: Path) -> Services:
    file = folder / "customers.sql"
    file.write_text(statement, "utf-8")
    return with_changes(services, source=SourceQuery(file, url))


def landed_rows(services: Services, url: str) -> list[dict[str, str]]:
    with services.landing.open(services.landing.file(url)) as stream:
        return list(csv.DictReader(io.StringIO(gzip.decompress(stream.read()).decode())))


def test_the_rows_of_the_query_are_landed_and_admitted_like_a_delivered_file(
    services: Services, billing: str, tmp_path: Path
) -> None:
    services = asking(services, billing, BY_DAY, tmp_path)
    url = land_extract(services, date(2026, 11, 3))
    assert Path(url).name == "customers-2026-11-03.csv.gz"
    rows = landed_rows(services, url)
    assert rows[0] == customer_row(customerID="0000001-TEST")
    assert rows[-1] == customer_row(customerID="later", tenure="0", TotalCharges="", MonthlyCharges="20")
    assert [path.name for path in Path(services.landing.url).iterdir()] == ["customers-2026-11-03.csv.gz"]
    (outcome,) = validate_customers(services)
    require_accounted_for(outcome, 30)
    assert {row["customer_id"] for row in customers(services.database)} >= {"later", "0000001-TEST"}


def test_the_query_is_given_the_day_that_it_asks_for(services: Services, billing: str, tmp_path: Path) -> None:
    services = asking(services, billing, BY_DAY, tmp_path)
    assert len(landed_rows(services, land_extract(services, date(2026, 11, 2)))) == 29
    services = asking(services, billing, SELECT, tmp_path)
    assert len(landed_rows(services, land_extract(services, date(2026, 11, 1)))) == 30


def test_the_same_rows_are_the_same_file_and_others_do_not_overwrite_it(
    services: Services, billing: str, tmp_path: Path
) -> None:
    services = asking(services, billing, BY_DAY, tmp_path)
    path = Path(land_extract(services, DAY))
    before = path.read_bytes()
    assert Path(land_extract(services, DAY)) == path
    changed = asking(
        services, billing, BY_DAY.replace("ORDER", """AND billing."customerID" <> '0000001-TEST' ORDER"""), tmp_path
    )
    with pytest.raises(AlreadyLanded, match="lies there already with other content"):
        land_extract(changed, DAY)
    assert Path(land_extract(changed, DAY, keep_existing=True)) == path
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("statement", "error", "complaint"),
    [
        (SELECT.replace("billing.tenure, ", ""), ConfigurationError, "The header lacks tenure"),
        (f"{SELECT} WHERE 1 = 0", SourceUnusable, "gives no rows for"),
        ("SELECT * FROM absent", SourceUnusable, "does not answer the query: .*absent"),
        ("SELECT nonsense FROM", SourceUnusable, "does not answer the query"),
        (f"{SELECT} WHERE changed_on < :another_name", SourceUnusable, "another_name"),
    ],
)
def test_what_cannot_be_landed_is_said_and_leaves_nothing(
    services: Services, billing: str, tmp_path: Path, statement: str, error: type[Exception], complaint: str
) -> None:
    services = asking(services, billing, statement, tmp_path)
    with pytest.raises(error, match=complaint) as told:
        land_extract(services, DAY)
    assert PASSWORD not in str(told.value)
    assert list(Path(services.landing.url).iterdir()) == []


def test_a_database_that_does_not_answer_is_named_without_its_password(services: Services, tmp_path: Path) -> None:
    services = asking(services, "postgresql+psycopg://me:secret-word@127.0.0.1:1/billing", SELECT, tmp_path)
    with pytest.raises(SourceUnusable, match=r"127\.0\.0\.1:1/billing does not answer") as told:
        land_extract(services, DAY)
    assert "secret-word" not in str(told.value)
    assert told.value.retry_helps


@pytest.mark.parametrize("url", ["no address", "nodriver://me:secret-word@host/x", "postgresql+psycopg://me:@:x/"])
def test_an_address_that_is_none_is_a_configuration_error(url: str, tmp_path: Path) -> None:
    (tmp_path / "customers.sql").write_text(SELECT)
    with pytest.raises(ConfigurationError, match="does not understand the address") as told:
        SourceQuery(tmp_path / "customers.sql", url)
    assert "secret-word" not in str(told.value)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        SourceQuery(tmp_path / "absent.sql", "sqlite://")


def test_rows_come_through_a_cursor_of_the_server(churn_database: TestDatabase, tmp_path: Path) -> None:
    """After the first row the server still holds the rest: it is asked for the next ones."""
    url = churn_database.server.url("postgres", churn_database.name)
    (tmp_path / "many.sql").write_text("SELECT n FROM generate_series(1, 300000) AS n")
    rows = SourceQuery(tmp_path / "many.sql", url.replace("postgresql://", "postgresql+psycopg://")).rows(DAY)
    assert [next(rows), next(rows)] == [["n"], ["1"]]
    with psycopg.connect(url) as admin:
        asked = admin.execute(
            "SELECT query, state FROM pg_stat_activity WHERE state = 'idle in transaction'"
            " AND datname = current_database()"
        ).fetchall()
    assert [query.startswith("FETCH FORWARD") for query, _ in asked] == [True]
    assert sum(1 for _ in rows) == 299_999


def test_a_query_lands_in_a_bucket_with_its_marker(
    pipeline: Database, tmp_path: Path, s3_bucket: s3fs.S3FileSystem
) -> None:
    services = open_services(pipeline, tmp_path)
    landing = Landing("s3://landing/extracts", done_markers=True)
    s3_bucket.touch("landing/extracts/readme.txt")
    one = make_billing(f"sqlite:///{tmp_path / 'one.db'}", [customer_row()])
    services = asking(with_changes(services, landing=landing), one, SELECT, tmp_path)
    url = land_extract(services, DAY)
    assert [landed.url for landed in landing.files()] == [url]
    assert s3_bucket.exists(f"{url}.done")


def test_without_a_query_there_is_nothing_to_land(services: Services, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No query is configured"):
        land_extract(services, DAY)
    settings = Settings(
        database_url=SecretStr(services.database.url),
        MLFLOW_TRACKING_URI="http://127.0.0.1:1",
        landing_query=tmp_path / "customers.sql",
    )
    with pytest.raises(ConfigurationError, match="CHURN_LANDING_QUERY_URL is not set"):
        Services.from_settings(settings)
