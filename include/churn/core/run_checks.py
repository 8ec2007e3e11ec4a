"""The checks that a scoring run must pass before anyone may read it."""

import math

from churn.records import Decision, Rule


def check_run(
    *,
    row_count: int,
    missing_count: int,
    customer_count: int,
    lowest: float | None,
    highest: float | None,
) -> Decision:
    """Decide whether a run may be published, with every rule and number.

    `customer_count` is the number of customers in the snapshot. A run that is incomplete, holds a probability
    outside 0..1 or gives everyone the same one is refused.
    """
    low = math.nan if lowest is None else lowest
    high = math.nan if highest is None else highest
    rules = (
        Rule("the snapshot has customers", customer_count > 0, customer_count, 1),
        Rule("one row for every customer", row_count == customer_count, row_count, customer_count),
        Rule("no customer without a score", missing_count == 0, missing_count, 0),
        Rule("no probability below 0", low >= 0, lowest, 0.0),
        Rule("no probability above 1", high <= 1, highest, 1.0),
        Rule("probabilities differ between customers", customer_count == 1 or high > low, high - low, "above 0"),
    )
    failed = [rule for rule in rules if not rule.passed]
    if not failed:
        return Decision(True, f"All {len(rules)} checks passed on {row_count} rows.", rules)
    reasons = "; ".join(f"{rule.name}: found {rule.observed}, need {rule.required}" for rule in failed)
    return Decision(False, f"{len(failed)} of {len(rules)} checks failed: {reasons}.", rules)
