"""The table of bad inputs at the door: each gets its verdict, and every row of each is accounted for."""

import re
from pathlib import Path

import pytest

from churn.db import quarantined_rows, validation_results
from churn.db.database import Database
from churn.db.quarantined_rows import QuarantinedRow
from churn.jobs.validate_customers import validate_customers
from churn.records import Extract, ExtractOutcome, Notice
from churn.services import Services
from tests.conftest import TestServer
from tests.integration.extract_cases import BAD_FILES, BAD_INPUTS, YESTERDAY, BadInput
from tests.integration.validations import (
    DAY,
    Put,
    every_row,
    history_counts,
    land,
    landing_place,
    open_services,
    validate_one,
)


@pytest.fixture(scope="module")
def settled(postgres: TestServer, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that has admitted yesterday's file, to be copied."""
    database = postgres.copy(migrated_template, "churn_settled")
    services = open_services(database.as_role("churn_pipeline"), tmp_path_factory.mktemp("settled"))
    land(services, DAY, YESTERDAY)
    validate_one(services)
    return database.name


@pytest.fixture
def database(postgres: TestServer, settled: str) -> Database:
    return postgres.copy(settled, "churn_bad_input").as_role("churn_pipeline")


# What is wrong with a row does not depend on where its file lay: two such files from S3 are enough.
FROM_S3 = (*BAD_FILES, BAD_INPUTS[-1], BAD_INPUTS[len(BAD_FILES)])


@pytest.fixture
def place(request: pytest.FixtureRequest, database: Database, tmp_path: Path) -> tuple[Services, Put]:
    """Services over an empty landing place, and a way to put a file there."""
    return landing_place(request, database, tmp_path)


def test_the_table_is_long_and_its_names_differ() -> None:
    assert len({bad.name for bad in BAD_INPUTS}) == len(BAD_INPUTS) > 100


@pytest.mark.parametrize(
    ("place", "bad"),
    [*(("folder", bad) for bad in BAD_INPUTS), *(("s3", bad) for bad in FROM_S3)],
    ids=lambda part: part if isinstance(part, str) else part.name,
    indirect=["place"],
)
def test_a_bad_input_gets_its_verdict(
    place: tuple[Services, Put], monkeypatch: pytest.MonkeyPatch, bad: BadInput
) -> None:
    services, put = place
    before = every_row(services.database)
    sent: list[Notice] = []
    monkeypatch.setattr(type(services.notifier), "send", lambda _, notice: sent.append(notice))
    for name, content in bad.files().items():
        put(name, content)

    outcomes = validate_customers(services)

    if bad.verdict == "ignored":
        assert outcomes == []
        assert every_row(services.database) == before
        return
    assert half_done(services.database) == []
    *others, outcome = outcomes
    for admitted in (each for each in outcomes if each.extract.state == "admitted"):
        require_every_row_listed(services.database, admitted)
    if bad.verdict == "quarantined":
        (aside,) = quarantined(services.database, outcome.extract)
        assert bad.said in aside.reasons
        return
    assert outcome.extract.state == bad.verdict
    assert re.search(bad.said, "\n".join((outcome.note, *outcome.warnings)))
    assert quarantined(services.database, outcome.extract) == []
    if bad.verdict == "admitted":
        return
    assert [notice.title for notice in sent] == [f"Extract of {outcome.extract.snapshot_date} {bad.verdict}"]
    assert outcome.extract.extract_id not in history_counts(services.database)
    if bad.verdict == "refused":
        assert others == []
        assert every_row(services.database) == before
        assert f"customers stays as of {DAY}" in sent[0].meaning
        with services.database.transaction() as connection:
            results = validation_results.of_extract(connection, outcome.extract.extract_id)
        assert [result for result in results if result.is_refusal]


def half_done(database: Database) -> list[str]:
    """Tables that hold rows which were neither admitted nor quarantined."""
    statement = (
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND (relnamespace = 'staging'::regnamespace"
        " OR starts_with(relname, 'history_in_the_making_'))"
    )
    with database.transaction() as connection:
        return [row["relname"] for row in connection.execute(statement)]


def require_every_row_listed(database: Database, outcome: ExtractOutcome) -> None:
    """I8: rows in the file = admitted + quarantined, and both can be listed."""
    extract = outcome.extract
    assert extract.row_count == (extract.admitted_count or 0) + (extract.quarantined_count or 0)
    assert history_counts(database)[extract.extract_id] == extract.admitted_count
    assert len(quarantined(database, extract)) == extract.quarantined_count


def quarantined(database: Database, extract: Extract) -> list[QuarantinedRow]:
    with database.transaction() as connection:
        return quarantined_rows.first(connection, extract.extract_id, None)
