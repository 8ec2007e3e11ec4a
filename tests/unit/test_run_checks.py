"""A run is published only when it is complete and makes sense."""

import math
from typing import Any

import pytest

from churn.core.run_checks import check_run

GOOD: dict[str, Any] = {
    "row_count": 100, "missing_count": 0, "customer_count": 100, "lowest": 0.01, "highest": 0.9,
}  # fmt: skip


def test_a_complete_run_passes_every_rule() -> None:
    decision = check_run(**GOOD)
    assert decision.approved
    assert all(rule.passed for rule in decision.rules)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ({"row_count": 99}, "one row for every customer"),
        ({"row_count": 101}, "one row for every customer"),
        ({"missing_count": 1}, "no customer without a score"),
        ({"customer_count": 0, "row_count": 0}, "the snapshot has customers"),
        ({"lowest": -0.1}, "no probability below 0"),
        ({"highest": 1.1}, "no probability above 1"),
        ({"lowest": 0.265, "highest": 0.265}, "probabilities differ between customers"),
        ({"lowest": None, "highest": None}, "no probability below 0"),
        ({"highest": math.nan}, "no probability above 1"),
        ({"lowest": math.nan}, "probabilities differ between customers"),
    ],
)
def test_a_run_that_breaks_a_rule_is_refused_and_the_rule_is_named(broken: dict[str, Any], rule: str) -> None:
    decision = check_run(**{**GOOD, **broken})
    assert not decision.approved
    assert rule in decision.reason
    assert not next(each for each in decision.rules if each.name == rule).passed


def test_a_single_customer_may_be_published() -> None:
    assert check_run(row_count=1, missing_count=0, customer_count=1, lowest=0.4, highest=0.4).approved
