"""The night: complete, checked, published whole or not at all, and the same when it is run again."""

import threading
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from churn.db import scores, scoring_parts, scoring_runs
from churn.errors import NoCustomers, NoProductionModel, RegistryUnavailable, RunNotOpen, RunRejected, TakenOver
from churn.jobs import score_customers as night
from churn.jobs.check_scores import check_scores
from churn.jobs.publish_scores import publish_scores
from churn.jobs.score_part import score_part
from churn.platform.ports import LOOPBACK
from churn.policy import Policy
from churn.registry import Registry
from churn.services import Services
from tests.conftest import TestDatabase
from tests.jobs import admit_simulated, promote_model, with_changes
from tests.nights import COLUMNS, current_customers, finish, published, run_of
from tests.server import random_free_port


def scored(keys: pa.Array, probabilities: np.ndarray) -> pa.RecordBatch:
    """A batch of scores without reasons."""
    reasons = pa.nulls(len(keys), scores.REASONS.field("reasons").type)
    return pa.record_batch([keys, pa.array(probabilities), reasons], schema=scores.REASONS)


def test_every_customer_gets_the_models_own_probability(services: Services, churn_database: TestDatabase) -> None:
    admit_simulated(services, count=2_500)
    version = promote_model(services)
    run = night.score_customers(services)
    table = published(churn_database.as_role("crm_reader"))
    frame = current_customers(services)
    assert list(table.columns) == COLUMNS
    assert table.customer_id.tolist() == frame.customerID.tolist()
    assert np.array_equal(table.churn_probability, services.registry.load(version).predict(frame))
    assert set(table.model_version) == {version}
    assert set(table.scoring_run_id) == {run.scoring_run_id}
    assert run.scored_count == run.customer_count == run.explained_count == 2_500


def test_many_parts_give_the_rows_of_one(services: Services) -> None:
    admit_simulated(services, count=2_500)
    version = promote_model(services)
    divided = with_changes(services, policy=Policy(part_row_count=300))
    run = night.score_customers(divided)
    parts = night.parts_of(divided, run.scoring_run_id)
    assert len(parts) == 9
    assert sum(part.row_count or 0 for part in parts) == 2_500
    assert all(100 < (part.row_count or 0) < 500 for part in parts)
    frame = current_customers(services)
    table = published(services.database)
    assert table.customer_id.tolist() == frame.customerID.tolist()
    assert np.array_equal(table.churn_probability, services.registry.load(version).predict(frame))


def test_deciles_are_tenths_by_falling_risk_and_levels_follow_policy(services: Services) -> None:
    admit_simulated(services, count=1_000)
    promote_model(services)
    night.score_customers(services)
    table = published(services.database).sort_values(["churn_probability", "customer_id"], ascending=[False, True])
    assert table.decile.tolist() == sorted(table.decile)
    assert set(table.decile.value_counts()) == {100}
    assert table.percentile_rank.tolist() == sorted(table.percentile_rank, reverse=True)
    assert set(table.percentile_rank.value_counts()) == {10}
    assert table.percentile_rank.between(0, 99).all()
    assert table.risk_level.tolist() == [services.policy.risk_level(p) for p in table.churn_probability]


@pytest.mark.parametrize("count", [1, 7, 99, 101, 1_003])
def test_percentile_ranks_say_how_many_of_a_hundred_score_lower(services: Services, count: int) -> None:
    admit_simulated(services, count=count)
    promote_model(services)
    night.score_customers(services)
    table = published(services.database)
    lower = table.churn_probability.rank(method="min") - 1
    assert (table.percentile_rank >= np.floor(100 * lower / count)).all()
    assert table.decile.tolist() == (10 - table.percentile_rank // 10).tolist()


def test_reasons_are_given_to_whom_policy_says(services: Services) -> None:
    admit_simulated(services, count=1_000)
    promote_model(services)
    only_the_riskiest = Policy(reasons_top_deciles=2, reasons_for_all_up_to=0)
    run = night.score_customers(with_changes(services, policy=only_the_riskiest))
    table = published(services.database)
    assert table[table.decile <= 2].reasons.map(len).between(1, 3).all()
    assert table[table.decile > 2].reasons.isna().all()
    assert run.explained_count == 200
    assert "Month-to-month contract" in set(table.reasons.dropna().explode())


def test_the_change_is_against_the_run_published_before(services: Services) -> None:
    admit_simulated(services, count=300, day=date(2026, 11, 21))
    promote_model(services)
    night.score_customers(services)
    before = published(services.database)
    assert before.probability_change.isna().all()
    admit_simulated(services, count=320, day=date(2026, 11, 22), seed=2)
    night.score_customers(services)
    after = published(services.database).set_index("customer_id")
    yesterday = before.set_index("customer_id").churn_probability.reindex(after.index)
    np.testing.assert_array_equal(after.probability_change.astype(float), after.churn_probability - yesterday)
    assert after.probability_change.isna().sum() == 20


def test_fields_that_the_model_does_not_know_are_counted_and_scored(
    services: Services, churn_database: TestDatabase
) -> None:
    admit_simulated(services, count=400)
    promote_model(services)
    with churn_database.as_role("postgres").transaction() as connection:
        changed = "UPDATE churn.customer_history SET contract = 'Five year' WHERE tenure < 20"
        count = connection.execute(changed).rowcount
    run = night.score_customers(services)
    (part,) = night.parts_of(services, run.scoring_run_id)
    assert part.unknown_counts == {"Contract": count}
    frame = current_customers(services)
    expected = services.registry.load(run.model_version).predict(frame)
    assert np.array_equal(published(services.database).churn_probability, expected)


def test_the_policy_that_opened_a_run_decides_it_to_the_end(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    run = night.open_run(with_changes(services, policy=Policy(medium_risk_from=0.1, high_risk_from=0.2)))
    finish(services, run)
    table = published(services.database)
    assert table[table.churn_probability >= 0.2].risk_level.eq("high").all()
    assert "high" in set(table[table.churn_probability < 0.6].risk_level)


def test_the_same_night_again_leaves_the_same_rows(services: Services) -> None:
    admit_simulated(services, count=500)
    promote_model(services)
    first = night.score_customers(services)
    before = published(services.database)
    assert night.score_customers(services) == first
    assert finish(services, first) == first
    pd.testing.assert_frame_equal(published(services.database), before)


def test_a_new_model_version_supersedes_the_run_of_the_day(services: Services) -> None:
    admit_simulated(services, count=500)
    promote_model(services)
    first = night.score_customers(services)
    version = promote_model(services, seed=2)
    second = night.score_customers(services)
    assert second.scoring_run_id != first.scoring_run_id
    table = published(services.database)
    assert set(table.model_version) == {version}
    assert len(table) == 500
    assert run_of(services, first.scoring_run_id).state == "superseded"


def test_a_run_that_was_overtaken_cannot_be_published(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    older = night.open_run(with_changes(services, policy=Policy(high_risk_from=0.7)))
    newer = night.open_run(services)
    for run in (older, newer):
        score_part(services, run.scoring_run_id, 1)
        check_scores(services, run.scoring_run_id)
    publish_scores(services, newer.scoring_run_id)
    with pytest.raises(RunNotOpen):
        publish_scores(services, older.scoring_run_id)
    assert run_of(services, older.scoring_run_id).state == "superseded"
    assert set(published(services.database).scoring_run_id) == {newer.scoring_run_id}


def test_an_older_day_is_published_for_its_date_and_leaves_the_readers_where_they_are(services: Services) -> None:
    admit_simulated(services, count=300, day=date(2026, 11, 21))
    promote_model(services)
    older = night.open_run(services)
    admit_simulated(services, count=400, day=date(2026, 11, 22), seed=2)
    newer = night.score_customers(services)
    finish(services, older)
    assert set(published(services.database).scoring_run_id) == {newer.scoring_run_id}
    assert run_of(services, older.scoring_run_id).state == "published"


def test_two_nights_at_once_publish_one_run(services: Services) -> None:
    admit_simulated(services, count=500)
    promote_model(services)
    results: list[int] = []
    threads = [
        threading.Thread(target=lambda: results.append(night.score_customers(services).scoring_run_id))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(results)) == 1
    assert len(results) == 3
    assert len(published(services.database)) == 500


def test_an_attempt_whose_part_was_claimed_since_cannot_finish_it(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    run = night.open_run(services)
    with services.database.transaction() as connection:
        old = scoring_parts.claim(connection, run.scoring_run_id, 1)
    with services.database.transaction() as connection:
        new = scoring_parts.claim(connection, run.scoring_run_id, 1)
    assert (old.attempt, new.attempt) == (1, 2)
    with pytest.raises(TakenOver), services.database.transaction() as connection:
        scoring_parts.finish(connection, old)
    finish(services, run)
    assert len(published(services.database)) == 300


def test_a_run_that_fails_its_checks_leaves_the_published_table(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    night.score_customers(services)
    before = published(services.database)
    stricter = with_changes(services, policy=Policy(high_risk_from=0.7))
    run = night.open_run(stricter)
    keys = pa.array(current_customers(services).customerID.tolist())
    everyone_the_same = scored(keys, np.full(300, 0.265))
    with services.database.transaction() as connection:
        part = scoring_parts.claim(connection, run.scoring_run_id, 1)
        count = scores.load(connection, run, [everyone_the_same])
        loaded = replace(part, model_digest=run.model_digest, row_count=count, carried_count=0)
        scoring_parts.finish(connection, loaded)
    with pytest.raises(RunRejected, match="probabilities differ between customers"):
        check_scores(stricter, run.scoring_run_id)
    with pytest.raises(RunNotOpen, match="rejected"):
        publish_scores(stricter, run.scoring_run_id)
    pd.testing.assert_frame_equal(published(services.database), before)
    assert night.score_customers(stricter).scoring_run_id > run.scoring_run_id


def test_a_sealed_run_takes_no_more_rows(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    run = night.score_customers(services)
    late = scored(pa.array(["0000-LATE"]), np.array([0.5]))
    with pytest.raises(Exception, match="permission denied"), services.database.transaction() as connection:
        scores.load(connection, run, [late])


def test_a_state_only_follows_the_one_before_it(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    run = night.open_run(services)
    statement = "UPDATE churn.scoring_runs SET state = 'published' WHERE scoring_run_id = %s"
    wrong_step = pytest.raises(Exception, match="cannot go from open to published")
    with wrong_step, services.database.transaction() as connection:
        connection.execute(statement, (run.scoring_run_id,))


def test_without_customers_there_is_nothing_to_score(services: Services) -> None:
    promote_model(services)
    with pytest.raises(NoCustomers, match="churn admit"):
        night.open_run(services)


def test_without_a_production_model_nothing_is_opened(services: Services) -> None:
    admit_simulated(services, count=300)
    with pytest.raises(NoProductionModel):
        night.open_run(services)


def test_with_the_registry_away_the_night_fails_and_the_table_stays(services: Services) -> None:
    admit_simulated(services, count=300)
    promote_model(services)
    night.score_customers(services)
    before = published(services.database)
    away = with_changes(services, registry=Registry(f"http://{LOOPBACK}:{random_free_port()}"))
    with pytest.raises(RegistryUnavailable):
        night.score_customers(away)
    pd.testing.assert_frame_equal(published(services.database), before)
    with services.database.transaction() as connection:
        assert len(scoring_runs.history(connection, 10)) == 1
