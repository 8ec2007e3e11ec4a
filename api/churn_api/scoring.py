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
    """Score customers with what the app of this request has; see Scorer."""
    scorer: Scorer = current_app.extensions["scorer"]
    return scorer.score_each(served, records) if len(records) == 1 else scorer.score_batch(served, records)


@dataclass(frozen=True)
class Scorer:
    """Says of customers that keep the contract, in order, what the policy and the last night make of their scores."""

    policy: Policy
    night: Night

    def score_each(self, served: Served, records: Sequence[Record]) -> list[Scored]:
        """Of customers who are asked about one by one: each has reasons."""
        return self._score(served, records, _reasons_of_each)

    def score_batch(self, served: Served, records: Sequence[Record]) -> list[Scored]:
        """Of customers of one request: reasons for all whose model explains fast, else for the top deciles."""
        return self._score(served, records, self._reasons_of_most)

    def _score(self, served: Served, records: Sequence[Record], reasons_of: "ReasonsOf") -> list[Scored]:
        matrix = served.model.encoder.encode_records(records)
        probabilities = served.engine.probabilities(matrix)
        deciles = self._deciles(served, probabilities)
        reasons = reasons_of(served, matrix, deciles)
        unknown = _unknown_fields(served, matrix)
        rows = zip(records, probabilities.tolist(), deciles.tolist(), reasons, unknown, strict=True)
        return [_scored(self.policy, *row) for row in rows]

    def _deciles(self, served: Served, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
        """The decile (n,) that each probability has in the published run, or in the model's reference before any run.

        1 is the highest risk. The same as the view crm.churn_scores reckons.
        """
        cuts = self.night.percentile_cuts
        cuts = cuts if cuts is not None else served.percentile_cuts
        return 10 - cuts.searchsorted(probabilities, side="right") // 10

    def _reasons_of_most(self, served: Served, matrix: Matrix, deciles: NDArray[np.int64]) -> list[list[str] | None]:
        wanted = np.full(len(matrix), served.explainer.is_fast)
        wanted |= deciles <= self.policy.reasons_top_deciles
        rows = np.flatnonzero(wanted)
        chosen = np.ascontiguousarray(matrix[rows])
        found = top_reasons(served.model.encoder, chosen, served.explainer.contributions(chosen))
        reasons: list[list[str] | None] = [None] * len(matrix)
        for place, row in enumerate(rows.tolist()):
            reasons[row] = found.of(place)
        return reasons


ReasonsOf = Callable[[Served, Matrix, NDArray[np.int64]], Sequence[list[str] | None]]


def _reasons_of_each(served: Served, matrix: Matrix, _deciles: NDArray[np.int64]) -> list[list[str]]:
    explainer, encoder = served.explainer, served.model.encoder
    if explainer.is_fast:
        moved = explainer.contributions(matrix)
    else:  # many rows would take the long way
        moved = np.vstack([explainer.of_one(matrix[place : place + 1]) for place in range(len(matrix))])
    return [reasons_of_one(encoder, *row) for row in zip(matrix, moved, strict=True)]


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


def _unknown_fields(served: Served, matrix: Matrix) -> list[list[str]]:
    names = served.model.encoder.names
    return [[name for name, missing in zip(names, row, strict=True) if missing] for row in np.isnan(matrix).tolist()]
