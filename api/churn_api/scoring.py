"""One customer or ten thousand: the same steps over one matrix, and what the answer says of each row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from flask import current_app, g
from numpy.typing import NDArray

from churn.core.actions import RecommendedAction, recommend
from churn.core.features import Matrix
from churn.core.reasons import reasons_of_one, top_reasons
from churn.policy import Policy, RiskLevel
from churn_api.night import Night
from churn_api.problems import Problem
from churn_api.production import FollowedModel, Served

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Scored:
    """What is said of one customer; `reasons` is None where policy does not ask for any."""

    churn_probability: float
    risk_level: RiskLevel
    decile: int
    reasons: list[str] | None
    recommended_action: RecommendedAction | None
    unknown_fields: list[str]

    def answer(self) -> dict[str, Any]:
        """The same as JSON values."""
        action = self.recommended_action
        return {**self.__dict__, "recommended_action": action.__dict__ if action else None}


def models_now() -> Callable[[str | None], Served]:
    """Who answers whom, by customer id, with the models of this moment; a problem where there is none.

    Ask once a request: a promotion in the middle of a batch must not divide it.
    """
    production: FollowedModel = current_app.extensions["production"]
    served = production.served
    if served is None:
        standing = production.standing
        raise Problem(503, "no-model", standing.message, standing.next_step, retry_after=5)
    return lambda _customer_id: served


def score(served: Served, records: Sequence[Record]) -> list[Scored]:
    """Score customers that keep the contract, in order; each gets what it would get alone."""
    policy: Policy = current_app.extensions["policy"]
    matrix = served.model.encoder.encode_records(records)
    probabilities = served.engine.probabilities(matrix)
    deciles = deciles_of(served, probabilities)
    reasons = _reasons(served, policy, matrix, deciles)
    unknown = _unknown_fields(served, matrix)
    return [
        _scored(policy, *row)
        for row in zip(records, probabilities.tolist(), deciles.tolist(), reasons, unknown, strict=True)
    ]


def deciles_of(served: Served, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """The decile (n,) that each probability has in the published run, or in the model's reference before any run.

    1 is the highest risk. The same as the view crm.churn_scores reckons.
    """
    night: Night = current_app.extensions["night"]
    cuts = night.percentile_cuts if night.percentile_cuts is not None else served.percentile_cuts
    return 10 - cuts.searchsorted(probabilities, side="right") // 10


def remember(model_version: int, rows: Sequence[tuple[str | None, Record, Scored]]) -> None:
    """Leave for the request log what was answered: of each customer id, record, probability and risk level."""
    g.model_version = model_version
    g.answered = [
        (customer_id, record, scored.churn_probability, scored.risk_level) for customer_id, record, scored in rows
    ]


def _scored(
    policy: Policy, record: Record, probability: float, decile: int, reasons: list[str] | None, unknown: list[str]
) -> Scored:
    risk_level = policy.risk_level(probability)
    return Scored(probability, risk_level, decile, reasons, recommend(record, risk_level, policy), unknown)


def _reasons(served: Served, policy: Policy, matrix: Matrix, deciles: NDArray[np.int64]) -> Sequence[list[str] | None]:
    """Reasons for everybody who is asked about alone or whose model explains fast; else for the top deciles."""
    if len(matrix) == 1:
        return [reasons_of_one(served.model.encoder, matrix[0], served.explainer.of_one(matrix)[0])]
    wanted = np.full(len(matrix), served.explainer.is_fast)
    wanted |= deciles <= policy.reasons_top_deciles
    rows = np.flatnonzero(wanted)
    chosen = np.ascontiguousarray(matrix[rows])
    found = top_reasons(served.model.encoder, chosen, served.explainer.contributions(chosen))
    reasons: list[list[str] | None] = [None] * len(matrix)
    for place, row in enumerate(rows.tolist()):
        reasons[row] = found.of(place)
    return reasons


def _unknown_fields(served: Served, matrix: Matrix) -> list[list[str]]:
    names = served.model.encoder.names
    return [[name for name, missing in zip(names, row, strict=True) if missing] for row in np.isnan(matrix).tolist()]
