"""What learning from blanked copies costs on complete rows, and what it brings on rows with unknown fields."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from churn.core import candidates
from churn.core.training import TrainingData, fit_model
from churn.policy import Policy
from churn.simulator import simulate

ASKED = [
    "tenure", "MonthlyCharges", "Contract", "PaymentMethod", "gender", "SeniorCitizen", "Partner", "Dependents",
]  # fmt: skip


def _measured(data: TrainingData) -> tuple[float, float]:
    """(ROC-AUC on complete rows, log loss on rows of eight fields), both on the half that was not trained on."""
    half = np.random.default_rng(3).permutation(len(data.labels))
    training, judging = (data.take(part) for part in np.array_split(half, 2))
    model = fit_model("lightgbm", training, Policy())
    complete = model.predict(judging.features)
    partial = model.predict(judging.features[ASKED])
    return float(roc_auc_score(judging.labels, complete)), float(log_loss(judging.labels, partial))


def _hold(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    auc, loss = _measured(data)
    monkeypatch.setattr(candidates, "BLANKED_WEIGHT", 0.0)
    plain_auc, plain_loss = _measured(data)
    assert auc > plain_auc - 0.002
    assert loss < plain_loss


def test_simulated_customers_with_unknown_fields_get_better_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.concat(list(simulate(6_000, seed=4)), ignore_index=True)
    _hold(TrainingData.from_extract(frame, date(2026, 11, 1), "0" * 64), monkeypatch)


def test_real_customers_with_unknown_fields_get_better_probabilities(
    telco: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    _hold(TrainingData.from_extract(telco, date(2026, 11, 1), "0" * 64), monkeypatch)
