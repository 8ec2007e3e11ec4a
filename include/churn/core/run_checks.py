"""The checks that a scoring run must pass before anyone may read it.

Some say that the run is what it claims to be, and nobody can waive them. The others say that it looks like the
nights before; an operator who knows why it does not can publish it all the same.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from churn.policy import Policy
from churn.records import Decision, Rule, ScoreBaseline, ScoreSummary, ScoringRun

PLAUSIBILITY = (
    "probabilities differ between customers",
    "the mean is close to the baseline",
    "every decile is close to the baseline",
)
STANDARD_ERRORS = 3  # of a sample as large as the run, so that a small table is not rejected for chance


def check_run(
    found: ScoreSummary,
    model_digest: str,
    baseline: ScoreBaseline | None,
    policy: Policy,
    suite: Sequence[Rule] = (),
) -> Decision:
    """Decide whether a run may be published, with every rule and number.

    `model_digest` is what the run recorded when it was opened; `suite` are the rules of the Great Expectations
    suite. Without a baseline the run is not compared with anything.
    """
    rules = [*_integrity(found, model_digest), *suite, *_plausibility(found, baseline, policy)]
    failed = [rule for rule in rules if not rule.passed]
    if not failed:
        against = f", compared with {baseline.of}" if baseline else ""
        return Decision(True, f"All {len(rules)} checks passed on {found.row_count} rows{against}.", tuple(rules))
    reasons = "; ".join(f"{rule.name}: found {rule.observed}, need {rule.required}" for rule in failed)
    return Decision(False, f"{len(failed)} of {len(rules)} checks failed: {reasons}.", tuple(rules))


def may_be_forced(decision: Decision) -> bool:
    """Whether only rules failed that an operator may waive."""
    return all(rule.passed or rule.name in PLAUSIBILITY for rule in decision.rules)


def baseline_of_runs(runs: Sequence[ScoringRun], run: ScoringRun) -> ScoreBaseline | None:
    """The middle of earlier published runs: the median of their means and of each of their percentile cuts.

    None where there is none.
    """
    if not runs:
        return None
    return ScoreBaseline(
        of=f"the last {len(runs)} published runs" if len(runs) > 1 else "the last published run",
        mean=float(np.median([each.mean_probability for each in runs])),
        cuts=tuple(np.median([each.percentile_cuts for each in runs], axis=0).tolist()),
        widened=any(each.model_digest != run.model_digest for each in runs),
    )


def baseline_of_reference(probabilities: NDArray[np.float64]) -> ScoreBaseline | None:
    """The scores of the reference that travels with the model: other customers, so with wide bounds."""
    if not len(probabilities):
        return None
    cuts = np.quantile(probabilities, np.arange(1, 100) / 100, method="higher")
    return ScoreBaseline("the model's reference", float(probabilities.mean()), tuple(cuts.tolist()), widened=True)


def decile_shares(baseline_cuts: Sequence[float], cuts: Sequence[float]) -> NDArray[np.float64]:
    """The share (10,) of a run's customers in each tenth of the baseline, lowest probabilities first.

    Both are percentile cuts (99,), so a share is known to a hundredth.
    """
    bounds = np.asarray(baseline_cuts)[9::10]
    below = (np.searchsorted(cuts, bounds, "left") + np.searchsorted(cuts, bounds, "right")) / 200
    return np.diff(below, prepend=0.0, append=1.0)


def _integrity(found: ScoreSummary, model_digest: str) -> list[Rule]:
    low = math.nan if found.lowest is None else found.lowest
    high = math.nan if found.highest is None else found.highest
    count = found.customer_count
    return [
        Rule("the snapshot has customers", count > 0, count, 1),
        Rule("one row for every customer", found.row_count == count, found.row_count, count),
        Rule("exactly the customers of the snapshot", found.same_customers, str(found.same_customers), "True"),
        Rule("no probability below 0", low >= 0, found.lowest, 0.0),
        Rule("no probability above 1", high <= 1, found.highest, 1.0),
        Rule(
            "scores of the one model that the run recorded",
            found.model_digests == (model_digest,),
            ", ".join(found.model_digests),
            model_digest,
        ),
    ]


def _plausibility(found: ScoreSummary, baseline: ScoreBaseline | None, policy: Policy) -> list[Rule]:
    low, high = found.lowest or 0.0, found.highest or 0.0
    differ, mean_close, deciles_close = PLAUSIBILITY
    rules = [Rule(differ, found.customer_count == 1 or high > low, high - low, "above 0")]
    if baseline is None or found.mean is None:
        return rules
    factor = policy.promotion_widening if baseline.widened else 1.0
    bound = factor * policy.maximum_mean_shift + _chance(baseline.mean, found.row_count)
    shift = abs(found.mean - baseline.mean)
    rules.append(Rule(mean_close, shift <= bound, shift, _within(bound, baseline)))
    bound = factor * policy.maximum_decile_shift + _chance(0.1, found.row_count)
    shift = float(np.abs(decile_shares(baseline.cuts, found.cuts) - decile_shares(baseline.cuts, baseline.cuts)).max())
    rules.append(Rule(deciles_close, shift <= bound, shift, _within(bound, baseline)))
    return rules


def _chance(share: float, count: int) -> float:
    return STANDARD_ERRORS * math.sqrt(share * (1 - share) / max(count, 1))


def _within(bound: float, baseline: ScoreBaseline) -> str:
    widened = ", widened because it is of another model version" if baseline.widened else ""
    return f"within {bound:.4f} of {baseline.of}{widened}"
