"""Columns add up to a verdict; verdicts add up to a request."""

import pytest

from churn.core.drift import drift_verdict, retraining_is_due
from churn.policy import Policy
from churn.records import ColumnDrift

POLICY = Policy(drifted_column_rate=0.3, drift_minimum_count=200, drifted_reports_needed=2, drifted_reports_of=3)


def _columns(drifted: int, of: int) -> list[ColumnDrift]:
    return [ColumnDrift(f"c{i}", "distance", 0.5 if i < drifted else 0.0, 0.1, i < drifted) for i in range(of)]


@pytest.mark.parametrize(("drifted", "verdict"), [(0, "stable"), (2, "stable"), (3, "drifted"), (10, "drifted")])
def test_the_share_of_drifted_columns_decides(drifted: int, verdict: str) -> None:
    found = drift_verdict(_columns(drifted, 10), 1_000, POLICY)
    assert found.verdict == verdict
    assert found.drifted_rate == drifted / 10


def test_the_reason_names_the_drifted_columns() -> None:
    assert "c0, c1, c2" in drift_verdict(_columns(3, 10), 1_000, POLICY).reason


def test_an_empty_sample_is_an_answer() -> None:
    found = drift_verdict([], 0, POLICY)
    assert found.verdict == "not enough rows"
    assert found.drifted_rate is None


@pytest.mark.parametrize(
    ("verdicts", "due"),
    [
        ([], False),
        (["drifted"], False),
        (["drifted", "drifted"], True),
        (["drifted", "stable", "drifted"], True),
        (["stable", "drifted", "drifted"], False),
        (["drifted", "stable", "stable", "drifted"], False),
    ],
)
def test_k_of_the_n_latest_reports_ask_for_a_retraining(verdicts: list[str], due: bool) -> None:
    assert retraining_is_due(verdicts, POLICY) is due
