"""The promotion gate: may the challenger become Production? A function of one evidence record that lists its reasons.

What it guards against, and how a rule must read for that:

- *Better by luck.* The AUC has to be better beyond chance: the low end of the paired interval is above
  `minimum_auc_gain`. Of challengers that are no better less than 1 in 40 passes at 95 %. Above zero would do for that,
  but two trainings of one recipe do differ a little by the luck of their rows, and a change that is not worth its
  trouble would be certain with enough customers. A tie keeps Production.
- *Better on paper, dearer in use.* The profit must be non-inferior: the low end of its paired interval may lie below
  zero by at most `maximum_profit_loss_rate` of Production's profit. "Not shown to be worse" would be easier the fewer
  rows there are; "shown to be better" would ask for the same proof again, of a measure that varies far more.
- *Better on average, worse for some.* No slice of customers may lose more than `maximum_slice_loss` of AUC beyond
  chance.
- *A model for ever.* Production older than `production_maximum_age_days` gives way to a challenger that is not worse:
  the low end of the AUC difference is above -`auc_margin`. At 1,100 rows two models of one kind differ by a standard
  error of 0.002 to 0.004, so that equals pass 0.01 nearly always and a model that is 0.01 worse 1 time in 40.
- *Evidence that is not there.* A number that is missing or not finite, and a problem on the way, keep Production.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass

from churn.core.comparison import SLICE_NAMES, Comparison, SliceDifference
from churn.policy import Policy
from churn.records import Decision, Evaluation, Interval, Rule

Number = float | int | None


@dataclass(frozen=True)
class Evidence:
    """All that the gate looks at; None is what nobody knows, and fails.

    `rows` and `production_rows` are the fingerprints of the customers that each was judged on. `digest` is that of the
    artifact loaded back, `expected_digest` the one it was registered with. `smoke_difference` is the largest
    difference (0..1) between the probabilities that were judged and those of that artifact; latency, rows a second
    and bytes are its own. `production_version` is the version that was compared, `serving_version` the one that
    carries the alias after everything was measured; both are None where there is none (`has_production` false).
    `problems` are what went wrong on the way, in words.
    """

    holdout: Evaluation | None = None
    rows: str | None = None
    digest: str | None = None
    expected_digest: str | None = None
    smoke_difference: float | None = None
    latency_seconds: float | None = None
    rows_per_second: float | None = None
    artifact_bytes: int | None = None
    has_production: bool | None = None
    production_holdout: Evaluation | None = None
    production_rows: str | None = None
    production_digest: str | None = None
    production_version: int | None = None
    serving_version: int | None = None
    production_age_days: float | None = None
    comparison: Comparison | None = None
    problems: tuple[str, ...] | None = ()


# What only a comparison with a serving version needs.
PRODUCTION_FIELDS = (
    "production_holdout", "production_rows", "production_digest", "production_version", "serving_version",
    "production_age_days", "comparison",
)  # fmt: skip


@dataclass(frozen=True)
class _Finding:
    """A rule, and the words for the reason where it failed."""

    rule: Rule
    words: str


def decide_promotion(evidence: Evidence, policy: Policy) -> Decision:
    """Decide on one challenger. One failed rule keeps Production; every rule is listed with its numbers."""
    findings = [_no_problems(evidence), _complete(evidence), *_challenger(evidence, policy), _unmoved(evidence)]
    if evidence.has_production is not False:
        findings += [*_same_ground(evidence), *_against_production(evidence, policy)]
    failed = [finding.words for finding in findings if not finding.rule.passed]
    return Decision(not failed, _reason(failed, evidence, policy), tuple(finding.rule for finding in findings))


def _reason(failed: list[str], evidence: Evidence, policy: Policy) -> str:
    if failed:
        outcome = "Nothing is promoted" if evidence.has_production is False else "Production stays"
        # What went wrong is why numbers are missing: those are in the rules.
        return f"{outcome}: {'; '.join(evidence.problems or failed).rstrip('.')}."
    if not evidence.has_production:
        return "The challenger meets every rule and there is no Production version yet."
    if _low(evidence.comparison.auc_difference if evidence.comparison else None, above=policy.minimum_auc_gain):
        return "The challenger is better than Production on the same holdout customers beyond chance."
    return (
        f"The challenger is not worse than Production on the same holdout customers, and Production is"
        f" {evidence.production_age_days:.0f} days old, of {policy.production_maximum_age_days:g} allowed."
    )


def _no_problems(evidence: Evidence) -> _Finding:
    problems = evidence.problems
    found = "unknown" if problems is None else "; ".join(problems) or "nothing"
    return _Finding(Rule("nothing went wrong", problems == (), found, "nothing"), found)


def _complete(evidence: Evidence) -> _Finding:
    lacking = list(_lacking(evidence))
    observed = "missing or not finite: " + ", ".join(lacking) if lacking else "every number is there"
    return _Finding(
        Rule("evidence is complete", not lacking, observed, "every number finite"),
        f"the evidence is incomplete ({observed})",
    )


def _lacking(evidence: Evidence) -> Iterator[str]:
    needed = [field.name for field in fields(Evidence)]
    if evidence.has_production is False:
        needed = [name for name in needed if name not in PRODUCTION_FIELDS]
    for name in needed:
        yield from _not_finite(name, getattr(evidence, name))
    slices = evidence.comparison.slices if evidence.comparison else None
    if evidence.has_production is not False and tuple(each.name for each in slices or ()) != SLICE_NAMES:
        yield "slices"


def _not_finite(name: str, value: object) -> Iterator[str]:
    """The names of the numbers in a value that are missing or not finite. A slice too small has no difference."""
    if isinstance(value, SliceDifference) and value.difference is None:
        return
    if is_dataclass(value):
        for field in fields(value):
            yield from _not_finite(f"{name} {field.name}", getattr(value, field.name))
    elif isinstance(value, tuple):
        for each in value:
            yield from _not_finite(f"{name} {getattr(each, 'name', '')}".strip(), each)
    elif value is None or (isinstance(value, float) and not math.isfinite(value)):
        yield name


def _challenger(evidence: Evidence, policy: Policy) -> Iterator[_Finding]:
    """What a challenger must be, whatever serves."""
    holdout = evidence.holdout
    yield _at_least("customers of the rarer class", _rarer_count(holdout), policy.minimum_class_count)
    yield _at_least("holdout AUC", holdout.roc_auc.value if holdout else None, policy.minimum_auc)
    error = holdout.calibration_error if holdout else None
    yield _at_most("calibration error", error, policy.maximum_calibration_error)
    difference = evidence.smoke_difference
    yield _number("artifact loaded back", difference, 0.0, difference == 0.0, "exactly")
    yield _equal("digest of the artifact", evidence.digest, evidence.expected_digest)
    yield _at_most("seconds for one prediction", evidence.latency_seconds, policy.maximum_latency_seconds)
    yield _at_least("predictions a second", evidence.rows_per_second, policy.minimum_rows_per_second)
    yield _at_most("bytes of the artifact", evidence.artifact_bytes, policy.maximum_artifact_bytes)


def _rarer_count(holdout: Evaluation | None) -> Number:
    if holdout is None or not _is_finite(holdout.row_count) or not _is_finite(holdout.churn_rate):
        return None
    return round(holdout.row_count * min(holdout.churn_rate, 1 - holdout.churn_rate))


def _unmoved(evidence: Evidence) -> _Finding:
    compared, serving = evidence.production_version, evidence.serving_version
    known = evidence.has_production is False or compared is not None
    return _Finding(
        Rule("Production is still the one compared", known and compared == serving, _plain(serving), _plain(compared)),
        f"version {compared} was compared, but version {serving} serves now",
    )


def _same_ground(evidence: Evidence) -> Iterator[_Finding]:
    yield _equal("customers judged on", evidence.rows, evidence.production_rows)
    yield _another_model(evidence)
    age = evidence.production_age_days
    known = _is_finite(age)
    yield _Finding(Rule("days that Production serves", known, _plain(age), "known"), "the age of Production is unknown")


def _another_model(evidence: Evidence) -> _Finding:
    """The digests differ, and the probabilities too: some formats store the same model in other bytes each time."""
    ours, theirs = evidence.digest, evidence.production_digest
    difference = evidence.comparison.largest_difference if evidence.comparison else None
    is_same = difference == 0.0 or (ours is not None and ours == theirs)
    known = None not in (ours, theirs) and _is_finite(difference)
    return _Finding(
        Rule("another model than Production", known and not is_same, ours, f"not {theirs}"),
        "the challenger is the same model as Production" if is_same else "whether it is another model is unknown",
    )


def _against_production(evidence: Evidence, policy: Policy) -> Iterator[_Finding]:
    comparison, age = evidence.comparison, evidence.production_age_days
    is_old = _is_finite(age) and age is not None and age > policy.production_maximum_age_days
    yield _auc_difference(
        comparison.auc_difference if comparison else None, -policy.auc_margin if is_old else policy.minimum_auc_gain
    )
    yield _profit_difference(comparison, policy)
    for each in (comparison.slices or ()) if comparison else ():
        yield _slice(each, policy)


def _auc_difference(difference: Interval | None, limit: float) -> _Finding:
    low, holds = difference.low if difference else None, _low(difference, above=limit)
    return _number("low end of the AUC difference to Production", low, limit, holds, "above")


def _profit_difference(comparison: Comparison | None, policy: Policy) -> _Finding:
    low = comparison.profit_difference.low if comparison else None
    profit = comparison.production_profit if comparison else None
    allowed = policy.maximum_profit_loss_rate * profit if profit is not None and _is_finite(profit) else 0.0
    return _at_least("low end of the profit difference to Production", low, -allowed)


def _low(difference: Interval | None, above: float) -> bool:
    return difference is not None and _is_finite(difference.low) and difference.low > above


def _slice(each: SliceDifference, policy: Policy) -> _Finding:
    name = f"AUC difference among {each.name}"
    if min(each.churner_count, each.stayer_count) < policy.slice_minimum_class_count:
        counts = f"too few to judge: {each.churner_count} churners, {each.stayer_count} stayers"
        return _Finding(Rule(name, True, counts, -policy.maximum_slice_loss), "")
    high = each.difference.high if each.difference else None
    return _at_least(f"high end of the {name}", high, -policy.maximum_slice_loss)


def _equal(name: str, observed: str | None, required: str | None) -> _Finding:
    return _Finding(
        Rule(name, observed is not None and observed == required, observed, required),
        f"{name}: {observed or 'missing'}, required {required or 'is missing'}",
    )


def _at_least(name: str, value: Number, limit: float) -> _Finding:
    return _number(name, value, limit, value is not None and value >= limit, "at least")


def _at_most(name: str, value: Number, limit: float) -> _Finding:
    return _number(name, value, limit, value is not None and value <= limit, "at most")


def _number(name: str, value: Number, limit: float, holds: bool, comparison: str) -> _Finding:
    if value is not None and _is_finite(value):
        words = f"{name} is {value:.4g}, required {comparison} {limit:.4g}"
    else:
        words = f"{name} is {'missing' if value is None else 'not finite'}"
    return _Finding(Rule(name, _is_finite(value) and holds, _plain(value), limit), words)


def _is_finite(value: Number) -> bool:
    return value is not None and math.isfinite(value)


def _plain(value: Number) -> float | int | str | None:
    """The number as JSON can hold it: NaN and infinity by their names."""
    return value if value is None or math.isfinite(value) else str(value)
