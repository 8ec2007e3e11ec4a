"""A/B and shadow: the staging version beside Production, as the policy says.

`challenger_share` of the customers are answered by the challenger, the same ones by every worker; where it fails,
Production answers. `shadow_scoring` lets it score what Production has answered, after the answer and for the log only.
Only requests about one customer are split; a batch is always answered by Production.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np
from flask import Flask, current_app, g

from churn.core.arms import Arm, is_challenged
from churn.db.api_requests import Answer, LoggedRequest
from churn.errors import ChurnError
from churn.policy import Policy
from churn.registry import STAGING_ALIAS, Registry
from churn_api.problems import Problem
from churn_api.production import FollowedModel, Served

SECONDS_FOR_FIRST_LOOK = 10.0
logger = logging.getLogger("churn_api.arms")
T = TypeVar("T")


class Arms:
    """Production and the challenger of one worker, and who of them answers."""

    def __init__(self, production: FollowedModel, challenger: FollowedModel | None, policy: Policy) -> None:
        self.production = production
        self.challenger = challenger
        self.fallback_count = 0  # of this worker; a lost increment under threads is none of the log's, which has each
        self._policy = policy
        self._failures = _failures()

    @classmethod
    def follow(cls, production: FollowedModel, registry: Registry, policy: Policy) -> "Arms":
        """Follow the staging version too, where the policy gives it anything to do."""
        if not (policy.challenger_share or policy.shadow_scoring):
            return cls(production, None, policy)
        challenger = FollowedModel(registry, STAGING_ALIAS)
        challenger.follow(SECONDS_FOR_FIRST_LOOK)
        return cls(production, challenger, policy)

    def challenging(self) -> Served | None:
        """The challenger's model, where there is one that is not Production itself."""
        challenger = self.challenger.served if self.challenger is not None else None
        served = self.production.served
        return challenger if challenger and served and challenger.version != served.version else None

    def undivided(self) -> Served | None:
        """The one version that answers everybody now; None where there is none, or customers are divided."""
        divided = self._policy.challenger_share and self.challenging() is not None
        return None if divided else self.production.served

    def ask(self, unit: str, score: Callable[[Served], T], probability: Callable[[T], float]) -> tuple[Served, T]:
        """Score by the version whose arm `unit` (a customer, or a request) is in, and note in g which it was.

        `probability` reads the result's, to see that it is one. Raises Problem where there is no Production model.
        """
        production, challenger = self._production(), self.challenging()
        share = self._policy.challenger_share
        g.arm = "production"
        if challenger is None or not share:
            return production, score(production)
        g.challenger_version = challenger.version
        if is_challenged(unit, challenger.version, share):
            try:
                found = score(challenger)
                _require_probability(probability(found))
            except self._failures as error:
                self._fall_back(challenger, error)
            else:
                g.arm = "challenger"
                return challenger, found
        return production, score(production)

    def with_shadow(self, request: LoggedRequest) -> LoggedRequest:
        """The request with what the challenger says of the customers that Production answered, if that is wanted."""
        challenger = self.challenging() if self._policy.shadow_scoring else None
        answered = [answer for answer in request.answers if answer.arm == "production"]
        if challenger is None or not answered:
            return request
        try:
            model = challenger.model
            rows = np.vstack([model.encoder.encode_record(answer.inputs) for answer in answered])
            shadows = [
                self._shadow(challenger, *pair) for pair in zip(answered, model.probabilities(rows), strict=True)
            ]
        except self._failures:
            logger.exception("Version %d failed as a shadow; the answer stands.", challenger.version)
            return request
        return replace(request, answers=tuple(each for pair in zip(answered, shadows, strict=True) for each in pair))

    def _production(self) -> Served:
        served = self.production.served
        if served is None:
            standing = self.production.standing
            raise Problem(503, "no-model", standing.message, standing.next_step, retry_after=5)
        return served

    def _shadow(self, challenger: Served, answer: Answer, probability: float) -> Answer:
        _require_probability(probability)
        arm: Arm = "shadow"
        return replace(
            answer,
            arm=arm,
            model_version=challenger.version,
            churn_probability=float(probability),
            risk_level=self._policy.risk_level(float(probability)),
        )

    def _fall_back(self, challenger: Served, error: BaseException) -> None:
        g.arm = "fallback"
        self.fallback_count += 1
        logger.error("Version %d failed as the challenger; Production answers.", challenger.version, exc_info=error)


def split_requests(app: Flask, registry: Registry, policy: Policy) -> Arms:
    """Give `app` its arms; Production must be followed by then."""
    arms = app.extensions["arms"] = Arms.follow(app.extensions["production"], registry, policy)
    return arms


def ask(customer_id: str | None, score: Callable[[Served], T], probability: Callable[[T], float]) -> tuple[Served, T]:
    """Answer one customer by the version whose arm they are in; without an id the request decides. See Arms.ask."""
    arms: Arms = current_app.extensions["arms"]
    return arms.ask(customer_id if customer_id is not None else g.request_id, score, probability)


def _require_probability(value: float) -> None:
    if not 0.0 <= value <= 1.0:  # NaN is neither
        raise ValueError(f"{value} is no probability")


def _failures() -> tuple[type[BaseException], ...]:
    """What a model that is not fit to answer raises: Python's own errors, and those of the libraries."""
    from lightgbm.basic import LightGBMError

    own = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
    return (*own, LightGBMError, ChurnError)  # XGBoost's is a ValueError
