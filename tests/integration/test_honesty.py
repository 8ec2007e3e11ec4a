"""The leaks that are published on this data: each inflates the figure, and none does inside the folds."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from churn.cli import app
from churn.core.honesty import TECHNIQUES, Claim
from churn.errors import ConfigurationError
from churn.jobs import show_leaks
from churn.policy import Policy
from churn.services import Services
from churn.simulator import write_extract
from tests.jobs import admit_simulated

POLICY = Policy()


def by_place(found: list[Claim]) -> dict[tuple[str, str | None], Claim]:
    assert [claim.technique for claim in found if claim.resampled != "inside the training folds"] == list(TECHNIQUES)
    return {(claim.technique, claim.resampled): claim for claim in found}


def require_leaks(claims: dict[tuple[str, str | None], Claim], least: float) -> None:
    """Every technique looks far better before the split and is worth nothing inside the folds."""
    honest = claims["none", None].roc_auc.value
    for technique in TECHNIQUES[1:]:
        before, inside = claims[technique, "before the split"], claims[technique, "inside the training folds"]
        assert before.roc_auc.value - honest >= least, technique
        assert inside.roc_auc.value <= honest + 0.02, technique
        assert inside.judged_count == claims["none", None].judged_count != before.judged_count


def test_resampling_before_the_split_inflates_and_inside_the_folds_does_not(services: Services) -> None:
    admit_simulated(services, 1_500)
    require_leaks(by_place(list(show_leaks.of_newest_snapshot(services))), least=0.05)


def test_the_public_figures_come_out_of_the_public_file(telco_csv: Path) -> None:
    claims = by_place(list(show_leaks.of_file(telco_csv, POLICY)))
    require_leaks(claims, least=0.07)
    assert claims["none", None].roc_auc.value < 0.86
    assert claims["random oversampling", "before the split"].roc_auc.value > 0.96
    assert claims["SMOTE-ENN", "before the split"].roc_auc.value > 0.96


def test_the_command_prints_every_claim_and_names_a_file_without_labels(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    write_extract(file, 600, seed=2)
    result = CliRunner().invoke(app, ["honesty", str(file), "--json"], catch_exceptions=False)
    rows = json.loads(result.stdout)
    assert len(rows) == 2 * len(TECHNIQUES) - 1
    assert all(row["low"] < row["roc_auc"] < row["high"] for row in rows)
    pd.read_csv(file).drop(columns="Churn").to_csv(file, index=False)
    with pytest.raises(ConfigurationError, match="has no column Churn"):
        CliRunner().invoke(app, ["honesty", str(file)], catch_exceptions=False)
