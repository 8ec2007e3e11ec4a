"""What readers are shown: rolled back, forced past the checks, dropped when old; each step in the ledger."""

from datetime import date

import pandas as pd
import pytest

from churn.columns import DEPENDENCIES
from churn.db import publications
from churn.errors import NotFound, RunNotOpen, RunRejected
from churn.jobs.publish_scores import drop_old_scores, force_publish, roll_back
from churn.jobs.score_customers import open_run, score_customers
from churn.policy import Policy
from churn.records import Publication
from churn.services import Services
from tests.jobs import admit_simulated, promote_model, with_changes
from tests.nights import published, run_of

EXTRAS = DEPENDENCIES[1].dependents  # of the internet service
DAYS = [date(2026, 11, day) for day in (19, 20, 21, 22)]


def ledger(services: Services) -> list[Publication]:
    with services.database.transaction() as connection:
        return publications.ledger(connection, 100)[::-1]


def score_days(services: Services, days: list[date]) -> list[int]:
    promote_model(services)
    runs = []
    for number, day in enumerate(days):
        admit_simulated(services, count=300 + number, day=day)
        runs.append(score_customers(services).scoring_run_id)
    return runs


def test_yesterdays_table_is_back_in_one_step_and_the_next_night_moves_on(services: Services) -> None:
    first, second, third = score_days(services, DAYS[:3])
    with services.database.transaction() as connection:
        statement = "SELECT * FROM churn.ranked_scores WHERE scoring_run_id = %s ORDER BY customer_id"
        yesterday = pd.DataFrame(connection.execute(statement, (second,)).fetchall())
    run = roll_back(services, DAYS[1], "today's model is wrong")
    table = published(services.database)
    assert run.scoring_run_id == second
    assert table.churn_probability.tolist() == yesterday.churn_probability.tolist()
    assert set(table.scoring_run_id) == {second}
    assert run_of(services, third).state == "superseded"
    assert run_of(services, first).state == "published"
    again = score_customers(services)
    assert again.scoring_run_id > third
    assert set(published(services.database).scoring_run_id) == {again.scoring_run_id}
    assert [(entry.action, entry.scoring_run_id, entry.previous_run_id) for entry in ledger(services)] == [
        ("publish", first, None),
        ("publish", second, first),
        ("publish", third, second),
        ("rollback", second, third),
        ("publish", again.scoring_run_id, second),
    ]
    assert ledger(services)[3].reason == "today's model is wrong"
    assert ledger(services)[3].published_by == "churn_pipeline"


def test_nothing_is_rolled_back_to_a_date_without_scores(services: Services) -> None:
    (run,) = score_days(services, DAYS[:1])
    with pytest.raises(NotFound, match="2026-11-20"):
        roll_back(services, DAYS[1], "a slip of the hand")
    assert set(published(services.database).scoring_run_id) == {run}


def test_a_run_unlike_the_nights_before_is_rejected_and_can_be_forced_with_a_reason(services: Services) -> None:
    (before,) = score_days(services, DAYS[:1])
    riskier = {"Contract": "Month-to-month", "InternetService": "Fiber optic", "PaymentMethod": "Electronic check"}
    riskier |= dict.fromkeys(EXTRAS, "No")
    admit_simulated(services, count=2_000, day=DAYS[1], change=riskier)
    with pytest.raises(RunRejected, match="the mean is close to the baseline"):
        score_customers(services)
    assert set(published(services.database).scoring_run_id) == {before}
    rejected = before + 1
    assert "the last published run" in (run_of(services, rejected).rejection or "")
    force_publish(services, rejected, "a campaign brought new customers")
    assert set(published(services.database).scoring_run_id) == {rejected}
    assert len(published(services.database)) == 2_000
    assert ledger(services)[-1].action == "force"
    assert ledger(services)[-1].reason == "a campaign brought new customers"


def test_a_run_that_is_not_whole_cannot_be_forced(services: Services) -> None:
    (before,) = score_days(services, DAYS[:1])
    admit_simulated(services, count=300, day=DAYS[1])
    run = open_run(services)
    with pytest.raises(RunNotOpen):
        force_publish(services, run.scoring_run_id, "hurry")
    assert set(published(services.database).scoring_run_id) == {before}


def test_the_database_keeps_no_publication_by_hand_without_a_reason(services: Services) -> None:
    (run,) = score_days(services, DAYS[:1])
    with pytest.raises(Exception, match="a_person_says_why"), services.database.transaction() as connection:
        publications.force(connection, run_of(services, run), "  ")


def test_old_scores_are_dropped_by_policy_and_what_readers_need_stays(services: Services) -> None:
    brief = with_changes(services, policy=Policy(scores_kept_days=31, unpublished_kept_days=0))
    old, shown_before, shown = score_days(brief, [date(2026, 9, 1), date(2026, 9, 30), date(2026, 11, 22)])
    assert run_of(services, old).scores_dropped_at is not None
    assert run_of(services, shown_before).scores_dropped_at is None  # what today's change is against
    assert published(services.database).probability_change.notna().any()
    with services.database.transaction() as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE tablename ~ '^scor.*[0-9]$'").fetchall()
    assert {row["tablename"] for row in tables} == {
        f"{base}_{run}" for base in ("scores", "score_reasons") for run in (shown_before, shown)
    }
    with pytest.raises(RunNotOpen, match="dropped"):
        roll_back(services, date(2026, 9, 1), "look at it again")
    assert drop_old_scores(brief) == []


def test_a_dropped_date_can_be_scored_again(services: Services) -> None:
    brief = with_changes(services, policy=Policy(scores_kept_days=31))
    old, *_ = score_days(brief, [date(2026, 9, 1), date(2026, 9, 30), date(2026, 11, 22)])
    again = score_customers(services, day=date(2026, 9, 1))
    assert again.scoring_run_id > old
    assert again.state == "published"
