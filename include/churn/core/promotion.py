"""The promotion gate: may the challenger become Production? A function of numbers that lists its reasons."""

import math
from dataclasses import fields

from churn.policy import Policy
from churn.records import Decision, Evaluation, Interval, Rule

Numbers = dict[str, float | None]


def decide_promotion(
    challenger: Evaluation | None,
    production_difference: Interval | None,
    has_production: bool,
    policy: Policy,
    smoke_difference: float | None,
) -> Decision:
    """Decide on the evidence of one challenger, measured on the holdout.

    `production_difference` is the paired AUC difference, challenger minus Production, on the same rows;
    `smoke_difference` is the largest difference (0..1) between the probabilities of the challenger and of its
    artifact loaded back. Whatever is missing or not finite fails its rule, and one failed rule, or a tie,
    keeps Production.
    """
    auc = challenger.roc_auc.value if challenger else None
    error = challenger.calibration_error if challenger else None
    rules = [
        _all_finite(_evidence(challenger, production_difference, has_production, smoke_difference)),
        Rule("holdout AUC", _holds(auc, auc is not None and auc >= policy.minimum_auc), auc, policy.minimum_auc),
        _at_most("calibration error", error, policy.maximum_calibration_error),
        Rule("artifact loaded back", smoke_difference == 0.0, smoke_difference, 0.0),
    ]
    if has_production:
        rules.append(_better_than_production(production_difference))
    return Decision(all(rule.passed for rule in rules), _reason(rules, has_production), tuple(rules))


def _evidence(
    challenger: Evaluation | None,
    difference: Interval | None,
    has_production: bool,
    smoke_difference: float | None,
) -> Numbers:
    numbers: Numbers = {"artifact loaded back": smoke_difference}
    for field in fields(Evaluation):
        value = getattr(challenger, field.name, None)
        numbers |= _bounds(field.name, value) if field.name == "roc_auc" else {field.name: value}
    return numbers | (_bounds("AUC difference", difference) if has_production else {})


def _bounds(name: str, interval: Interval | None) -> Numbers:
    if interval is None:
        return {name: None}
    return {name: interval.value, f"{name} low": interval.low, f"{name} high": interval.high}


def _is_finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _holds(value: float | None, rule: bool) -> bool:
    return _is_finite(value) and rule


def _all_finite(numbers: Numbers) -> Rule:
    lacking = [name for name, value in numbers.items() if not _is_finite(value)]
    observed = "missing or not finite: " + ", ".join(lacking) if lacking else f"{len(numbers)} finite numbers"
    return Rule("evidence is complete", not lacking, observed, "every number finite")


def _at_least(name: str, value: float | None, limit: float) -> Rule:
    return Rule(name, _holds(value, value is not None and value >= limit), value, limit)


def _at_most(name: str, value: float | None, limit: float) -> Rule:
    return Rule(name, _holds(value, value is not None and value <= limit), value, limit)


def _better_than_production(difference: Interval | None) -> Rule:
    low = difference.low if difference else None
    passed = _holds(low, low is not None and low > 0.0)
    return Rule("low end of the AUC difference to Production", passed, low, 0.0)


def _reason(rules: list[Rule], has_production: bool) -> str:
    failed = [_describe(rule) for rule in rules if not rule.passed]
    if failed:
        outcome = "Production stays" if has_production else "Nothing is promoted"
        return f"{outcome}: {'; '.join(failed)}."
    if has_production:
        return "The challenger is better than Production on the same holdout customers beyond chance."
    return "The challenger meets every rule and there is no Production version yet."


_COMPARISONS = {
    "holdout AUC": "at least",
    "calibration error": "at most",
    "artifact loaded back": "exactly",
    "low end of the AUC difference to Production": "above",
}


def _describe(rule: Rule) -> str:
    if rule.name not in _COMPARISONS:
        return f"the evidence is incomplete ({rule.observed})"
    if isinstance(rule.observed, float) and math.isfinite(rule.observed):
        return f"{rule.name} is {rule.observed:.4g}, required {_COMPARISONS[rule.name]} {rule.required:.4g}"
    return f"{rule.name} is {'missing' if rule.observed is None else 'not finite'}"
