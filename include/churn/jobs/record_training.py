"""What a retraining leaves in MLflow: rows, code, folds, curves and the decision."""

import importlib.metadata
import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.core.candidates import DEFAULT_PARAMETERS
from churn.core.plots import draw_plots
from churn.core.profit import RetentionEconomics, expected_maximum_profit, profit_curve
from churn.core.training import CrossValidation, TrainingData
from churn.policy import Policy
from churn.records import Decision, Evaluation
from churn.tracking import Run


def record_plan(run: Run, data: TrainingData, fingerprint: str, policy: Policy) -> None:
    """Log which rows are learned from, under which policy."""
    run.log_dataset("customers", fingerprint, data.content_hash, len(data.labels), "training")
    run.log_parameters({f"policy.{name}": value for name, value in policy.model_dump().items()})
    run.log_metrics({"row_count": len(data.labels), "churn_rate": float(data.labels.mean())})


def record_candidate(run: Run, result: CrossValidation, labels: npt.NDArray[np.int8], policy: Policy) -> None:
    """Log one candidate: its parameters, every fold, the out-of-fold numbers and curves."""
    run.log_parameters({"kind": result.kind, "seed": policy.seed, **DEFAULT_PARAMETERS[result.kind]})
    for number, fold in enumerate(result.folds):
        run.log_metrics({f"fold_{name}": value for name, value in measures(fold).items()}, step=number)
    run.log_metrics({f"cv_{name}": value for name, value in measures(result.overall).items()})
    run.log_metrics({"cv_mean_roc_auc": result.mean_auc, "cv_roc_auc_deviation": result.auc_deviation})
    _record_profit(run, labels, result.probabilities, policy, "cv_")
    _record_plots(run, labels, result.probabilities, f"{result.kind}, out of fold", policy)


def record_holdout(
    run: Run,
    evaluation: Evaluation,
    labels: npt.NDArray[np.int8],
    probabilities: npt.NDArray[np.float64],
    policy: Policy,
) -> None:
    """Log what the winner achieved on rows that nobody has trained on."""
    run.log_metrics({f"holdout_{name}": value for name, value in measures(evaluation).items()})
    _record_profit(run, labels, probabilities, policy, "holdout_")
    _record_plots(run, labels, probabilities, "holdout", policy)


def record_decision(run: Run, decision: Decision, outcome: str) -> None:
    """Log what the promotion gate decided, rule by rule; `outcome` is the word of the ledger for it."""
    run.set_tags({"decision": outcome, "reason": decision.reason})
    run.log_text(json.dumps(asdict(decision), indent=2), "decision.json")
    run.log_table(pd.DataFrame([asdict(rule) for rule in decision.rules]).astype(str), "rules.json")


def _record_profit(
    run: Run, labels: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float64], policy: Policy, prefix: str
) -> None:
    """What the scores are worth in money: per customer of the base, and the share that would be contacted."""
    economics = RetentionEconomics.from_policy(policy)
    expected = expected_maximum_profit(labels, probabilities, economics)
    curve = profit_curve(labels, probabilities, economics)
    run.log_metrics(
        {
            f"{prefix}expected_maximum_profit": expected.amount,
            f"{prefix}expected_contacted_share": expected.contacted_share,
            f"{prefix}best_profit": float(curve.profit[curve.best]),
            f"{prefix}best_contacted_share": float(curve.contacted_share[curve.best]),
        }
    )


def _record_plots(
    run: Run, labels: npt.NDArray[np.int8], probabilities: npt.NDArray[np.float64], name: str, policy: Policy
) -> None:
    for file_name, figure in draw_plots(labels, probabilities, name, RetentionEconomics.from_policy(policy)).items():
        run.log_figure(figure, f"plots/{file_name}")


def measures(evaluation: Evaluation) -> dict[str, float]:
    """The evaluation as one flat set of numbers."""
    flat = asdict(evaluation)
    interval = flat.pop("roc_auc")
    bounds = {"roc_auc": interval["value"], "roc_auc_low": interval["low"], "roc_auc_high": interval["high"]}
    return {name: float(value) for name, value in {**flat, **bounds}.items()}


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
