"""What a published run said in sums: every customer and every amount is in them, once."""

from datetime import date

import pandas as pd
import pytest

from churn.jobs.score_customers import score_customers
from churn.jobs.summarise_scores import summarise_scores
from churn.services import Services
from tests.jobs import admit_simulated, promote_model
from tests.nights import current_customers, published


def _groups(services: Services, scoring_run_id: int) -> pd.DataFrame:
    with services.database.transaction() as connection:
        return pd.DataFrame(
            connection.execute(
                "SELECT * FROM monitoring.score_groups WHERE scoring_run_id = %s", (scoring_run_id,)
            ).fetchall()
        )


def test_the_sums_are_those_of_the_published_table(services: Services) -> None:
    admit_simulated(services, count=1_200)
    promote_model(services)
    run = score_customers(services)
    assert summarise_scores(services) == [run.scoring_run_id]
    table = published(services.database).merge(
        current_customers(services)[["customerID", "MonthlyCharges"]], left_on="customer_id", right_on="customerID"
    )
    table["at_risk"] = table.churn_probability * table.MonthlyCharges
    expected = table.groupby(["decile", "risk_level"]).agg(
        customer_count=("customer_id", "size"),
        mean_probability=("churn_probability", "mean"),
        monthly_charges_amount=("MonthlyCharges", "sum"),
        monthly_amount_at_risk=("at_risk", "sum"),
    )
    found = _groups(services, run.scoring_run_id).set_index(["decile", "risk_level"]).sort_index()
    pd.testing.assert_frame_equal(found[expected.columns], expected, check_index_type=False)
    assert found.customer_count.sum() == 1_200


def test_each_run_is_summarised_once_also_what_was_missed_before(services: Services) -> None:
    promote_model(services)
    runs = []
    for day in (20, 21):
        admit_simulated(services, count=300, day=date(2026, 11, day), seed=day)
        runs.append(score_customers(services).scoring_run_id)
    assert summarise_scores(services) == runs
    before = _groups(services, runs[0])
    assert summarise_scores(services) == []
    pd.testing.assert_frame_equal(_groups(services, runs[0]), before)
    with services.database.transaction() as connection:
        days = connection.execute(
            "SELECT snapshot_date, sum(customer_count)::int AS customers FROM monitoring.risk_days"
            " GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert [row["customers"] for row in days] == pytest.approx([300, 300])
