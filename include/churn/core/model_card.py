"""The model card: what a person must know of a version before relying on it, on one page.

After Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from churn.core.choice import Choice
from churn.core.estimation import Recipe
from churn.policy import Policy
from churn.records import Decision, Evaluation, Interval, ModelVersion

Row = tuple[object, ...]


@dataclass(frozen=True)
class CardFacts:
    """What the card of a version is written from.

    `tags` say where it comes from: snapshot, extracts, fingerprint, code. `development_count` customers were learned
    from, `holdout` is what was achieved on customers that nobody has trained on.
    """

    challenger: ModelVersion
    choice: Choice
    recipe: Recipe
    development_count: int
    holdout: Evaluation
    decision: Decision
    tags: Mapping[str, str]


def write_card(facts: CardFacts, policy: Policy) -> str:
    """The card as Markdown."""
    return (
        "\n\n".join(
            (
                f"# Model card: churn, version {facts.challenger.version}",
                _purpose(policy),
                "## How good it is",
                _holdout(facts.holdout),
                "By repeated nested cross-validation on the development rows, with corrected intervals:",
                _candidates(facts.choice),
                "## How it was made",
                _making(facts),
                "## The gate",
                facts.decision.reason,
                _rules(facts.decision),
                "## Limits",
                LIMITS,
            )
        )
        + "\n"
    )


LIMITS = """- It says who is likely to leave, not whom an offer would keep.
- It has learned from one telecom's customers. Another tariff, product or season is another population: look at the
  drift reports before you trust it there.
- A field that is left out is treated as unknown. The answer is then nearer to the churn rate.
- `gender` and `SeniorCitizen` are among its inputs. The gate looks at senior customers by themselves; whether both may
  be used in decisions about a person is for the telecom to decide."""


def _purpose(policy: Policy) -> str:
    return (
        f"The probability that a customer leaves within {policy.horizon_days} days of a snapshot, for choosing whom to"
        " contact. Each score is calibrated: of a hundred customers with 0.30 about thirty leave."
    )


def _holdout(holdout: Evaluation) -> str:
    rows = [
        ("customers", f"{holdout.row_count:,}"),
        ("churn rate", f"{holdout.churn_rate:.1%}"),
        ("ROC-AUC", _told(holdout.roc_auc)),
        ("area under precision and recall", f"{holdout.pr_auc:.3f}"),
        ("Brier score", f"{holdout.brier:.4f}"),
        ("expected calibration error", f"{holdout.calibration_error:.3f}"),
        ("lift in the first tenth", f"{holdout.lift_10:.2f}"),
        ("churners among the first fifth", f"{holdout.capture_20:.1%}"),
    ]
    return _table(("on customers that nobody has trained on", ""), rows)


def _candidates(choice: Choice) -> str:
    rows = [
        (each.kind, _told(each.roc_auc), _told(each.expected_profit, 2), f"{each.rows_a_second:,.0f}", each.verdict)
        for each in choice.standings
    ]
    return _table(("candidate", "ROC-AUC", "profit per customer", "rows/s", "verdict"), rows)


def _making(facts: CardFacts) -> str:
    rows: list[Row] = [
        ("algorithm", facts.choice.kind),
        ("parameters", ", ".join(f"{name} {value}" for name, value in facts.recipe.parameters.items())),
        ("calibration", facts.recipe.calibration.method),
        ("customers learned from", f"{facts.development_count:,}"),
        ("digest", f"`{facts.challenger.digest}`"),
        *((name.replace("_", " "), f"`{value}`") for name, value in facts.tags.items()),
    ]
    return _table(("what", ""), rows)


def _rules(decision: Decision) -> str:
    rows = [(rule.name, rule.observed, rule.required, "yes" if rule.passed else "**no**") for rule in decision.rules]
    return _table(("rule", "observed", "required", "holds"), rows)


def _told(interval: Interval, digits: int = 3) -> str:
    value, low, high = (f"{each:.{digits}f}" for each in (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"


def _table(header: Row, rows: Iterable[Row]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
