"""The night: complete, checked, published whole or not at all, and the same when it is run again."""

import threading
from datetime import date

import numpy as np
import pandas as pd
import pytest

from churn.db import customers, scores, scoring_runs
from churn.db.database import Database
from churn.errors import NoCustomers, NoProductionModel, RegistryUnavailable, RunNotOpen, RunRejected
from churn.jobs import score_customers as night
from churn.platform.ports import LOOPBACK, free_port
from churn.policy import Policy
from churn.registry import Registry
from churn.services import Services
from tests.conftest import TestDatabase
from tests.jobs import admit_simulated, promote_model, with_changes

COLUMNS = [
    "customer_id", "churn_probability", "decile", "risk_level", "model_version", "scoring_run_id", "snapshot_date",
    "scored_at",
]  # fmt: skip


def _published(database: Database) -> pd.DataFrame:
    with database.transaction() as connection:
        rows = connection.execute("SELECT * FROM crm.churn_scores ORDER BY customer_id").fetchall()
    return pd.DataFrame(rows, columns=COLUMNS)


def _customers(services: Services) -> pd.DataFrame:
    with services.database.transaction() as connection:
        extract_id = connection.execute("SELECT extract_id FROM churn.current_extract").fetchone()
        assert extract_id
        return pd.concat(customers.read_features(connection, extract_id["extract_id"], 1_000))


def test_every_customer_gets_the_models_own_probability(services: Services, churn_database: TestDatabase) -> None:
    admit_simulated(services, count=2_500)
    version = promote_model(services)
    run = night.score_customers(services)
    table = _published(churn_database.as_role("crm_reader"))
    frame = _customers(services)
    assert list(table.columns) == COLUMNS
    assert table.customer_id.tolist() == frame.customerID.tolist()
    assert np.array_equal(table.churn_probability, services.registry.load(version).predict(frame))
    assert set(table.model_version) == {version}
    assert set(table.scoring_run_id) == {run.scoring_run_id}
    assert run.scored_count == run.customer_count == 2_500


def test_deciles_are_tenths_by_falling_risk_and_levels_follow_policy(services: Services) -> None:
    admit_simulated(services, count=1_000)
    promote_model(services)
    night.score_customers(services)
    table = _published(services.database).sort_values(["churn_probability", "customer_id"], ascending=[False, True])
    assert table.decile.tolist() == sorted(table.decile)
    assert set(table.decile.value_counts()) == {100}
    assert table.risk_level.tolist() == [services.policy.risk_level(p) for p in table.churn_probability]


def test_the_policy_that_opened_a_run_decides_it_to_the_end(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    run = night.open_run(with_changes(services, policy=Policy(medium_risk_from=0.1, high_risk_from=0.2)))
    for step in (night.load_scores, night.check_scores, night.publish_scores):
        step(services, run.scoring_run_id)
    table = _published(services.database)
    assert table[table.churn_probability >= 0.2].risk_level.eq("high").all()
    assert "high" in set(table[table.churn_probability < 0.6].risk_level)


def test_the_same_night_again_leaves_the_same_rows(services: Services) -> None:
    admit_simulated(services, count=500)
    promote_model(services)
    first = night.score_customers(services)
    before = _published(services.database)
    assert night.score_customers(services) == first
    for step in (night.load_scores, night.check_scores, night.publish_scores):
        step(services, first.scoring_run_id)
    pd.testing.assert_frame_equal(_published(services.database), before)


def test_a_new_model_version_supersedes_the_run_of_the_day(services: Services) -> None:
    admit_simulated(services, count=500)
    promote_model(services)
    first = night.score_customers(services)
    version = promote_model(services, seed=2)
    second = night.score_customers(services)
    assert second.scoring_run_id != first.scoring_run_id
    table = _published(services.database)
    assert set(table.model_version) == {version}
    assert len(table) == 500
    with services.database.transaction() as connection:
        assert scoring_runs.get(connection, first.scoring_run_id).state == "superseded"


def test_an_older_day_is_published_for_its_date_and_leaves_the_readers_where_they_are(services: Services) -> None:
    admit_simulated(services, count=300, day=date(2026, 11, 21))
    promote_model(services)
    older = night.open_run(services)
    admit_simulated(services, count=400, day=date(2026, 11, 22), seed=2)
    newer = night.score_customers(services)
    for step in (night.load_scores, night.check_scores, night.publish_scores):
        step(services, older.scoring_run_id)
    assert set(_published(services.database).scoring_run_id) == {newer.scoring_run_id}
    with services.database.transaction() as connection:
        assert scoring_runs.get(connection, older.scoring_run_id).state == "published"


def test_two_nights_at_once_publish_one_run(services: Services) -> None:
    admit_simulated(services, count=500)
    promote_model(services)
    results: list[object] = []

    def work() -> None:
        results.append(night.score_customers(services).scoring_run_id)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len(results) == 3
    assert len(_published(services.database)) == 500


def test_readers_never_see_an_empty_or_mixed_table(services: Services, churn_database: TestDatabase) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    night.score_customers(services)
    stop, seen = threading.Event(), set()
    reader = churn_database.as_role("crm_reader")

    def read() -> None:
        with reader.transaction() as connection:
            while not stop.is_set():
                row = connection.execute(
                    "SELECT count(*) AS rows, count(DISTINCT scoring_run_id) AS runs FROM crm.churn_scores"
                ).fetchone()
                assert row
                seen.add((row["rows"], row["runs"]))
                connection.commit()

    thread = threading.Thread(target=read)
    thread.start()
    for night_number in range(8):
        night.score_customers(with_changes(services, policy=Policy(high_risk_from=0.6 + night_number / 100)))
    stop.set()
    thread.join()
    assert seen == {(300, 1)}


def test_a_run_that_fails_its_checks_leaves_the_published_table(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    night.score_customers(services)
    before = _published(services.database)
    stricter = with_changes(services, policy=Policy(high_risk_from=0.7))
    run = night.open_run(stricter)
    with services.database.transaction() as connection:
        everyone_the_same = [(_customers(services).customerID.tolist(), np.full(300, 0.265))]
        scores.load(connection, run.scoring_run_id, everyone_the_same, stricter.policy)
        scoring_runs.mark_scored(connection, run.scoring_run_id, customer_count=300)
    with pytest.raises(RunRejected, match="probabilities differ between customers"):
        night.check_scores(stricter, run.scoring_run_id)
    with pytest.raises(RunNotOpen, match="rejected"):
        night.publish_scores(stricter, run.scoring_run_id)
    pd.testing.assert_frame_equal(_published(services.database), before)
    assert night.score_customers(stricter).scoring_run_id > run.scoring_run_id


def test_a_load_that_dies_half_way_leaves_nothing_and_can_be_repeated(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    run = night.open_run(services)

    class PowerCut(Exception):
        pass

    def die() -> object:
        yield _customers(services).customerID.tolist()[:100], np.linspace(0, 1, 100)
        raise PowerCut

    with pytest.raises(PowerCut), services.database.transaction() as connection:
        scores.load(connection, run.scoring_run_id, die(), services.policy)  # type: ignore[arg-type]
    assert night.score_customers(services).scoring_run_id == run.scoring_run_id
    assert len(_published(services.database)) == 300


def test_without_customers_there_is_nothing_to_score(services: Services) -> None:
    promote_model(services)
    with pytest.raises(NoCustomers, match="churn validate"):
        night.open_run(services)


def test_without_a_production_model_nothing_is_opened(services: Services) -> None:
    admit_simulated(services, count=300)
    with pytest.raises(NoProductionModel):
        night.open_run(services)


def test_with_the_registry_away_the_night_fails_and_the_table_stays(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    night.score_customers(services)
    before = _published(services.database)
    away = with_changes(services, registry=Registry(f"http://{LOOPBACK}:{free_port(40_000)}"))
    with pytest.raises(RegistryUnavailable):
        night.score_customers(away)
    pd.testing.assert_frame_equal(_published(services.database), before)
