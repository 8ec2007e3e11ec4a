"""What a person reads before a challenger may serve: every rule with its numbers, and that somebody is waited for."""

import math
from typing import Any

from churn.db import promotions
from churn.errors import PromotionRefused
from churn.records import Notice
from churn.services import Services


def present_proposal(services: Services, model_version: int, run_url: str | None = None) -> str:
    """Tell people that a challenger waits for them; return its evidence as Markdown.

    `run_url` is the page of its MLflow run. Raises PromotionRefused where the gate has not proposed the version.
    """
    with services.database.transaction() as connection:
        proposal = promotions.proposal_of(connection, model_version)
    if proposal is None:
        raise PromotionRefused(f"Version {model_version} was not proposed by the promotion gate.", "Retrain the model.")
    services.notifier.send(
        Notice(
            title=f"Version {model_version} of the churn model waits for an answer",
            happened=proposal.reason,
            meaning="Production stays as it is until somebody answers.",
            next_step="Open the run of retrain_model in Airflow and answer under Required Actions.",
        )
    )
    return describe_proposal(proposal, run_url)


def describe_proposal(proposal: promotions.Entry, run_url: str | None = None) -> str:
    """The evidence of a proposal as Markdown: the comparison, the interval of the AUC, and every rule of the gate."""
    evidence = proposal.evidence
    serving = proposal.previous_version
    lines = [
        f"**Version {proposal.model_version}** may take the place of "
        + (f"version {serving}." if serving else "nothing: no version serves yet."),
        "",
        proposal.reason,
        "",
        *_figures(evidence),
        *_slices(evidence),
        "",
        "| rule of the gate | holds | observed | required |",
        "|---|---|---|---|",
        *(_row(rule["name"], _yes(rule["passed"]), rule["observed"], rule["required"]) for rule in evidence["rules"]),
        "",
        *([f"[The run in MLflow]({run_url}): candidates, folds, curves, profit", ""] if run_url else []),
        f"Approve: it becomes Production. Reject: Production stays. Ledger entry {proposal.promotion_id}.",
    ]
    return "\n".join(lines)


def _figures(evidence: dict[str, Any]) -> list[str]:
    """What was measured on the holdout, challenger beside Production; nothing is shown that was not measured."""
    challenger, production = evidence["holdout"], evidence.get("production_holdout")
    lines = ["| on the holdout | challenger | Production |", "|---|---|---|"]
    lines += [_row(name.replace("_", " "), challenger[name], (production or {}).get(name)) for name in challenger]
    differences = {name: value for name, value in _comparison(evidence).items() if name.endswith("_difference")}
    lines += [_row(name.replace("_", " "), value, None) for name, value in differences.items()]
    return lines


def _slices(evidence: dict[str, Any]) -> list[str]:
    """The AUC of the challenger minus that of Production among some customers; `-` where too few to judge."""
    slices = _comparison(evidence).get("slices", ())
    heading = ["", "| slice of customers | churners | stayers | AUC difference |", "|---|---|---|---|"]
    names = ("name", "churner_count", "stayer_count", "difference")
    return heading + [_row(*(each[name] for name in names)) for each in slices] if slices else []


def _comparison(evidence: dict[str, Any]) -> dict[str, Any]:
    return evidence.get("comparison") or {}


def _row(*cells: object) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(value: Any) -> str:
    if isinstance(value, dict) and {"value", "low", "high"} <= set(value):
        return f"{_cell(value['value'])} ({_cell(value['low'])} to {_cell(value['high'])})"
    if value is None:
        return "-"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.4g}"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _yes(passed: bool) -> str:
    return "yes" if passed else "**no**"
