"""A model that answers nonsense is Production: the checks stop it, and people keep yesterday's table."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from scipy.special import logit

from churn.core.model import ChurnModel
from churn.errors import RunRejected
from churn.jobs.score_customers import score_customers
from churn.records import Decision, from_json
from tests.faults.evening import Evening
from tests.jobs import promote_model
from tests.nights import run_of


def _answers_nan(regression: Any) -> None:
    regression.intercept_ = np.array([np.nan])


def _answers_a_constant(regression: Any) -> None:
    """The share of churners, so that only the spread gives it away."""
    regression.coef_ = np.zeros_like(regression.coef_)
    regression.intercept_ = np.array([logit(0.265)])


def _swaps_the_classes(regression: Any) -> None:
    regression.coef_, regression.intercept_ = -regression.coef_, -regression.intercept_


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (_answers_nan, "every score is a probability"),
        (_answers_a_constant, "probabilities differ between customers"),
        (_swaps_the_classes, "the mean is close to the baseline"),
    ],
)
def test_a_model_that_answers_nonsense_is_stopped(
    evening: Evening, caplog: pytest.LogCaptureFixture, spoil: Callable[[Any], None], rule: str
) -> None:
    _promote_spoilt(evening, spoil)
    with pytest.raises(RunRejected, match="The published table is as it was"):
        score_customers(evening.services)
    run = run_of(evening.services, 2)
    assert run.state == "rejected"
    assert rule in _failed_rules(run.checks)
    assert "NOTICE Scores of 2026-11-22 were not published" in caplog.text
    assert str(run.rejection) in caplog.text
    evening.require_yesterday()
    promote_model(evening.services)
    score_customers(evening.services)
    assert evening.table().text == evening.undisturbed
    assert {seen.text for seen in evening.watch.seen} <= {evening.yesterday, evening.undisturbed}


def _promote_spoilt(evening: Evening, spoil: Callable[[Any], None]) -> None:
    """Register the honest model with another estimator and the honest reference, and make it Production."""
    services = evening.services
    honest = services.registry.load(evening.model_version)
    estimator = deepcopy(honest.estimator)
    spoil(estimator[-1])
    model = ChurnModel(honest.kind, honest.encoder, estimator)
    run = services.tracking.start_run("spoilt")
    reference = services.registry.load_reference(evening.model_version)
    services.registry.promote(services.registry.register(model, run.run_id, reference, services.policy).version)


def _failed_rules(checks: object) -> list[str]:
    return [rule.name for rule in from_json(Decision, checks).rules if not rule.passed]
