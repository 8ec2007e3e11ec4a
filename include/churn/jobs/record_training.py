"""What a retraining leaves in MLflow: rows, code, folds, curves and the decision."""

import importlib.metadata
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.core.candidates import DEFAULT_PARAMETERS
from churn.core.choice import Choice, Standing
from churn.core.estimation import CandidateEstimate, JudgedFold, interval, measure
from churn.core.evaluation import classify, corrected_interval, evaluate
from churn.core.plots import draw_plots
from churn.core.profit import RetentionEconomics, expected_maximum_profit, profit_curve
from churn.core.search import Trial
from churn.core.training import TrainingData
from churn.policy import Policy
from churn.records import Decision, Evaluation, Interval, as_json
from churn.tracking import Run, Tracking

Labels = npt.NDArray[np.int8]
Probabilities = npt.NDArray[np.float64]

MEASURES = (
    *("roc_auc", "pr_auc", "brier", "log_loss", "calibration_error", "lift_10", "capture_20"),
    "expected_profit",
)


def record_plan(run: Run, data: TrainingData, fingerprint: str, policy: Policy) -> None:
    """Log which rows are learned from, under which policy."""
    run.log_dataset("customers", fingerprint, data.content_hash, len(data.labels), "training")
    run.log(
        parameters={f"policy.{name}": value for name, value in policy.model_dump().items()},
        metrics={"row_count": len(data.labels), "churn_rate": float(data.labels.mean())},
    )


def record_trial(tracking: Tracking, run: Run, tags: Mapping[str, str], trial: Trial) -> None:
    """Log one trial of a search as a run below its candidate's: parameters, each fold's loss, whether it was pruned."""
    state = {"pruned": str(trial.pruned).lower()}
    with tracking.start_run(f"trial {trial.number}", {**tags, **state}, parent_run_id=run.run_id) as nested:
        nested.log(
            parameters=trial.parameters,
            metrics={"mean_log_loss": trial.mean_loss, "seconds": trial.seconds},
            series={"fold_log_loss": trial.fold_losses},
        )


def record_candidate(run: Run, estimate: CandidateEstimate, labels: Labels, policy: Policy) -> None:
    """Log one candidate: its recipe, every outer fold, what it is worth with intervals, and curves.

    `cv_*` are means over the outer folds; `pooled_*` are of all rows together, each judged once a repeat: bins of few
    customers make the calibration error of a fold look worse than it is.
    """
    recipe = {**DEFAULT_PARAMETERS[estimate.kind], **estimate.recipe.parameters}
    calibration = estimate.recipe.calibration.method
    means: dict[str, float] = {}
    for name in MEASURES:
        means |= _named(f"cv_{name}", interval(estimate.folds, name, policy))
    pooled = [measures(evaluate(labels, answers, policy.confidence)) for answers in estimate.probabilities]
    means |= {f"pooled_{name}": float(np.mean([each[name] for each in pooled])) for name in pooled[0]}
    run.log(
        parameters={"kind": estimate.kind, "seed": policy.seed, "calibration": calibration, **recipe},
        metrics=means
        | {"rows_a_second": estimate.rows_a_second}
        | _profit(labels, estimate.probabilities[0], policy, "cv_")
        | _threshold(labels, estimate.probabilities[0], policy, "cv_"),
        series={f"fold_{name}": [measure(fold, name) for fold in estimate.folds] for name in MEASURES},
    )
    _record_plots(run, labels, estimate.probabilities[0], f"{estimate.kind}, out of fold", policy)


def record_choice(
    run: Run, choice: Choice, blended: Sequence[JudgedFold], baseline: Sequence[float], policy: Policy
) -> None:
    """Log how the candidates compare on the same rows, beside their blend and the yardstick."""
    rows = [_flat(standing) for standing in choice.standings]
    rows.append({"kind": "blend of all", "verdict": "measured, never registered"} | _measured(blended, policy))
    yardstick = corrected_interval(baseline, 1 / policy.fold_count, policy.confidence)
    run.log(
        metrics=_named("baseline_roc_auc", yardstick) | _named("blend_roc_auc", interval(blended, "roc_auc", policy)),
        tags={"chosen": choice.kind},
    )
    rows.append({"kind": "plain LightGBM", "verdict": "the yardstick"} | _named("roc_auc", yardstick))
    run.log_table(pd.DataFrame(rows).astype(str), "candidates.json")
    run.log_text(json.dumps(as_json(choice), indent=2), "choice.json")


def _measured(folds: Sequence[JudgedFold], policy: Policy) -> dict[str, float]:
    measured: dict[str, float] = {}
    for name in ("roc_auc", "expected_profit"):
        measured |= _named(name, interval(folds, name, policy))
    return measured


def _flat(standing: Standing) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in vars(standing).items():
        row |= _named(name, value) if isinstance(value, Interval) else {name: value}
    return row


def _named(name: str, found: Interval) -> dict[str, float]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def record_holdout(
    run: Run,
    evaluation: Evaluation,
    labels: Labels,
    probabilities: Probabilities,
    policy: Policy,
) -> None:
    """Log what the winner achieved on rows that nobody has trained on."""
    run.log(
        metrics={f"holdout_{name}": value for name, value in measures(evaluation).items()}
        | _profit(labels, probabilities, policy, "holdout_")
        | _threshold(labels, probabilities, policy, "holdout_")
    )
    _record_plots(run, labels, probabilities, "holdout", policy)


def record_decision(run: Run, decision: Decision, outcome: str) -> None:
    """Log what the promotion gate decided, rule by rule; `outcome` is the word of the ledger for it."""
    run.log(tags={"decision": outcome, "reason": decision.reason})
    run.log_text(json.dumps(asdict(decision), indent=2), "decision.json")
    run.log_table(pd.DataFrame([asdict(rule) for rule in decision.rules]).astype(str), "rules.json")


def _profit(labels: Labels, probabilities: Probabilities, policy: Policy, prefix: str) -> dict[str, float]:
    """What the scores are worth in money: per customer of the base, and the share that would be contacted."""
    economics = RetentionEconomics.from_policy(policy)
    expected = expected_maximum_profit(labels, probabilities, economics)
    curve = profit_curve(labels, probabilities, economics)
    return {
        f"{prefix}expected_maximum_profit": expected.amount,
        f"{prefix}expected_contacted_share": expected.contacted_share,
        f"{prefix}best_profit": float(curve.profit[curve.best]),
        f"{prefix}best_contacted_share": float(curve.contacted_share[curve.best]),
    }


def _threshold(labels: Labels, probabilities: Probabilities, policy: Policy, prefix: str) -> dict[str, float]:
    """What alarming everybody whose risk is at least medium comes to."""
    found = classify(labels, probabilities, policy.medium_risk_from)
    return {f"{prefix}{name}": value for name, value in asdict(found).items()}


def _record_plots(run: Run, labels: Labels, probabilities: Probabilities, name: str, policy: Policy) -> None:
    for file_name, figure in draw_plots(labels, probabilities, name, RetentionEconomics.from_policy(policy)).items():
        run.log_figure(figure, f"plots/{file_name}")


def measures(evaluation: Evaluation) -> dict[str, float]:
    """The evaluation as one flat set of numbers."""
    flat = vars(evaluation) | _named("roc_auc", evaluation.roc_auc)
    return {name: float(value) for name, value in flat.items()}


def code_version(project_dir: Path) -> str:
    """The commit of the checkout, `-dirty` where it was changed since; the package's version outside of git."""
    git = shutil.which("git")
    if git and (project_dir / ".git").exists():
        asked = subprocess.run(
            [git, "-C", str(project_dir), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode == 0:
            return asked.stdout.strip()
    return f"churn {importlib.metadata.version('churn')}"
