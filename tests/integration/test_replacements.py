"""Another content for an admitted day: held until someone asks for it, and both stay in history."""

from pathlib import Path
from typing import Any

import pytest

from churn.db import staging
from churn.db.database import Database
from churn.errors import ConfigurationError, ExtractRefused, ReplacementNeeded, StillLanding
from churn.jobs.validate_customers import require_admitted, validate_customers
from churn.records import Notice
from churn.services import Services
from tests.factories import customer_rows
from tests.integration.validations import (
    DAY,
    customers,
    every_row,
    history_counts,
    land,
    land_bytes,
    open_services,
    require_accounted_for,
    validate_one,
)


@pytest.fixture
def services(pipeline: Database, tmp_path: Path) -> Services:
    return open_services(pipeline, tmp_path)


def test_a_changed_file_for_an_admitted_day_is_held_and_told_once(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = land(services, DAY, customer_rows(30))
    first = validate_one(services).extract
    before = every_row(services.database)
    sent: list[Notice] = []
    monkeypatch.setattr(type(services.notifier), "send", lambda _, notice: sent.append(notice))
    land(services, DAY, customer_rows(30, tenure="13"))

    held, again = validate_one(services), validate_one(services)

    assert held.extract.state == again.extract.state == "held"
    assert held.extract == again.extract
    assert held.note == again.note
    assert f"extract {first.extract_id} counts for {DAY} with other content" in held.note
    assert f"churn admit {path} --replace" in held.note
    assert [notice.title for notice in sent] == [f"Extract of {DAY} held"]
    assert every_row(services.database) == before
    require_admitted([held, again])
    with pytest.raises(ReplacementNeeded, match=r"churn admit .* --replace"):
        require_admitted(validate_customers(services, path.name), asked_for=True)
    with services.database.transaction() as connection:
        listed = connection.execute(
            "SELECT source_url, decided_at FROM monitoring.extracts WHERE state = 'held'"
        ).fetchall()
    assert listed == [{"source_url": str(path), "decided_at": None}]


def test_a_replacement_that_was_asked_for_counts_and_the_first_one_stays_in_history(services: Services) -> None:
    land(services, DAY, customer_rows(30))
    first = validate_one(services).extract
    path = land(services, DAY, customer_rows(30, tenure="13"))
    held = validate_one(services).extract
    (outcome,) = validate_customers(services, path.name, replace=True)
    require_accounted_for(outcome, 30)
    assert outcome.extract.extract_id == held.extract_id
    assert outcome.extract.replaces_extract_id == first.extract_id
    assert history_counts(services.database) == {first.extract_id: 30, held.extract_id: 30}
    assert {row["tenure"] for row in customers(services.database)} == {13}
    assert validate_one(services).note == "already admitted: nothing to do"


def test_a_replacement_may_be_asked_for_at_once_and_without_anything_to_replace(services: Services) -> None:
    path = land(services, DAY, customer_rows(30))
    (outcome,) = validate_customers(services, path.name, replace=True)
    require_accounted_for(outcome, 30)
    assert outcome.extract.replaces_extract_id is None
    with pytest.raises(ConfigurationError, match="names no file"):
        validate_customers(services, replace=True)


def test_a_replacement_that_is_refused_leaves_the_day_as_it_is(services: Services) -> None:
    land(services, DAY, customer_rows(30))
    validate_one(services)
    before = every_row(services.database)
    land_bytes(services, DAY, b"")
    with pytest.raises(ExtractRefused, match="The file is empty"):
        require_admitted(validate_customers(services, f"customers-{DAY}.csv", replace=True))
    assert every_row(services.database) == before
    assert validate_one(services).note == "already refused: The file is empty."


def test_a_replacement_that_was_killed_is_finished_without_being_asked_for_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(services, DAY, customer_rows(30))
    first = validate_one(services).extract
    path = land(services, DAY, customer_rows(30, tenure="13"))

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(staging, "stage", killed)
        with pytest.raises(KeyboardInterrupt):
            validate_customers(services, path.name, replace=True)
    outcome = validate_one(services)
    require_accounted_for(outcome, 30)
    assert outcome.extract.replaces_extract_id == first.extract_id


def test_a_file_that_was_replaced_and_is_put_back_counts_again_when_asked_for(services: Services) -> None:
    path = land(services, DAY, customer_rows(30, tenure="12"))
    first = validate_one(services).extract
    land(services, DAY, customer_rows(30, tenure="13"))
    (second,) = validate_customers(services, path.name, replace=True)
    land(services, DAY, customer_rows(30, tenure="12"))
    before = every_row(services.database)
    outcome = validate_one(services)
    assert outcome.extract.extract_id == first.extract_id
    assert f"admitted before; extract {second.extract.extract_id} counts for {DAY}" in outcome.note
    assert every_row(services.database) == before
    (outcome,) = validate_customers(services, path.name, replace=True)
    assert "counts for its day again" in outcome.note
    assert {row["tenure"] for row in customers(services.database)} == {12}
    assert validate_one(services).note == "already admitted: nothing to do"


def test_a_file_that_changes_while_it_is_validated_leaves_nothing_and_is_decided_the_next_time(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = land(services, DAY, customer_rows(30))
    real_stage = staging.stage

    def stage_and_grow(*arguments: Any) -> int:
        count = real_stage(*arguments)
        land(services, DAY, customer_rows(31))
        return count

    with monkeypatch.context() as patch:
        patch.setattr(staging, "stage", stage_and_grow)
        assert validate_customers(services) == []
        land(services, DAY, customer_rows(30))
        with pytest.raises(StillLanding, match="changed while it was being read"):
            validate_customers(services, path.name)
    assert "It is left for the next time" in caplog.text
    with services.database.transaction() as connection:
        assert connection.execute("SELECT FROM churn.extracts").fetchall() == []
    require_accounted_for(validate_one(services), 31)
