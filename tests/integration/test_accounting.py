"""I8 under random corruption: rows in the file = admitted + quarantined, and exactly the bad ones are quarantined."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from churn.columns import COLUMNS, KEY, LABEL, Column
from churn.core import training
from churn.core.training import TrainingData
from churn.db import quarantined_rows
from churn.db.database import Database
from churn.jobs.score_customers import score_customers
from churn.jobs.validate_customers import validate_customers
from churn.records import Extract
from churn.services import Services
from churn.simulator import simulate
from tests.corruption import Corruption, as_csv, bad_values, corrupted
from tests.integration.validations import DAY, open_services
from tests.nights import published

ROW_COUNT = 300
Row = dict[str, str]


@st.composite
def corruptions(draw: st.DrawFn) -> dict[int, dict[str, str]]:
    """Up to twelve rows of which one to four fields are bad."""
    some_columns = st.sets(st.sampled_from(COLUMNS), min_size=1, max_size=4)
    return {
        position: {column.name: draw(st.sampled_from(bad_values(column))) for column in draw(some_columns)}
        for position in draw(st.sets(st.integers(0, ROW_COUNT - 1), max_size=12))
    }


@pytest.fixture(scope="module")
def simulated_rows() -> list[Row]:
    return records(pd.concat(list(simulate(ROW_COUNT, seed=8))).astype(str))


@pytest.fixture(scope="module")
def real_rows(telco: pd.DataFrame) -> list[Row]:
    return records(telco.sample(ROW_COUNT, random_state=8))


def records(frame: pd.DataFrame) -> list[Row]:
    return frame[[column.name for column in COLUMNS]].to_dict("records")  # type: ignore[return-value]


@pytest.fixture
def door(pipeline: Database, tmp_path: Path) -> Services:
    return open_services(pipeline, tmp_path)


TWO_BLANK_KEYS = {3: {KEY.name: ""}, 7: {KEY.name: ""}}


@example(corruption=TWO_BLANK_KEYS, line_end="\r\n")  # where every field is quoted
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(corruption=corruptions(), line_end=st.sampled_from(["\n", "\r\n"]))
def test_exactly_the_corrupted_simulated_rows_are_quarantined(
    door: Services, simulated_rows: list[Row], corruption: Corruption, line_end: str
) -> None:
    require_exact_account(door, simulated_rows, corruption, line_end)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(corruption=corruptions(), line_end=st.sampled_from(["\n", "\r\n"]))
def test_exactly_the_corrupted_real_rows_are_quarantined(
    door: Services, real_rows: list[Row], corruption: Corruption, line_end: str
) -> None:
    require_exact_account(door, real_rows, corruption, line_end)


def test_one_percent_of_the_real_file_is_poisoned_and_the_night_goes_on(
    services: Services, telco: pd.DataFrame
) -> None:
    promote_model_of(services, telco.iloc[::3])
    rows = records(telco)
    random = np.random.default_rng(99)
    corruption = {
        int(position): {column.name: values[random.integers(len(values))]}
        for position in random.choice(len(rows), round(0.01 * len(rows)), replace=False)
        for column in [COLUMNS[random.integers(len(COLUMNS))]]
        for values in [bad_values(column)]
    }
    extract = require_exact_account(services, rows, corruption, "\n")
    assert extract.quarantined_count == round(0.01 * len(rows)) > 0
    run = score_customers(services)
    assert (run.state, run.scored_count) == ("published", len(rows) - len(corruption))
    good = sorted(row[KEY.name] for n, row in enumerate(rows) if n not in corruption)
    assert published(services.database).customer_id.tolist() == good


def promote_model_of(services: Services, customers: pd.DataFrame) -> None:
    """Let a model that has learned from these customers be Production."""
    data = TrainingData.from_extract(customers, DAY, "0" * 64)
    model = training.fit_model("logistic", data, services.policy, {"C": 0.1})
    reference = training.draw_reference(model, data, services.policy)
    run = services.tracking.start_run("test")
    services.registry.promote(services.registry.register(model, run.run_id, reference, services.policy).version)


def require_exact_account(services: Services, rows: Sequence[Row], corruption: Corruption, line_end: str) -> Extract:
    """Validate the rows with their corruption and hold the outcome against what is known by construction."""
    content = as_csv(corrupted(rows, corruption), line_end)
    extract = validated(services, content)
    assert (extract.state, extract.row_count) == ("admitted", len(rows)), extract.refusal
    assert extract.quarantined_count == len(corruption)
    assert extract.admitted_count == len(rows) - len(corruption)
    with services.database.transaction() as connection:
        aside = quarantined_rows.first(connection, extract.extract_id, None)
    assert {row.line_number - 2: {reason.split(" ")[0] for reason in row.reasons} for row in aside} == {
        position: set(bad) for position, bad in corruption.items()
    }
    assert all(row.raw_text is not None and row.raw_text.encode() in content for row in aside)
    expected = [admitted(row) for position, row in enumerate(rows) if position not in corruption]
    assert history(services.database, extract) == sorted(expected, key=lambda row: str(row["customer_id"]))
    return extract


def validated(services: Services, content: bytes) -> Extract:
    """Each content on a day of its own, before all days that were delivered, so that it is judged on its own."""
    with services.database.transaction() as connection:
        found = connection.execute("SELECT min(snapshot_date) AS first_date FROM churn.extracts").fetchone()
    day = (found["first_date"] if found and found["first_date"] else DAY) - timedelta(days=1)
    path = Path(services.landing.url_of(day))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    (outcome,) = validate_customers(services, str(path))
    assert outcome.extract.content_hash == hashlib.sha256(content).hexdigest()
    return outcome.extract


def history(database: Database, extract: Extract) -> list[dict[str, object]]:
    statement = "SELECT * FROM churn.customer_history WHERE extract_id = %s ORDER BY customer_id"
    with database.transaction() as connection:
        rows = connection.execute(statement, (extract.extract_id,)).fetchall()
    return [{column.sql_name: row[column.sql_name] for column in COLUMNS} for row in rows]


def admitted(row: Row) -> dict[str, object]:
    return {column.sql_name: _admitted_value(column, row[column.name]) for column in COLUMNS}


def _admitted_value(column: Column, text: str) -> object:
    if column is LABEL:
        return {"Yes": True, "No": False}[text]
    if column.kind == "integer":
        return int(text)
    if column.kind == "amount":
        return float(text) if text.strip() else 0.0
    return text
