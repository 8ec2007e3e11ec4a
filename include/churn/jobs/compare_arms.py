"""What the challenger's answers were worth beside Production's, as far as the truth is known."""

import logging

import numpy as np

from churn.core.arms import ArmComparison, Design, compare_shadow, compare_split
from churn.core.profit import RetentionEconomics
from churn.db import answered_requests
from churn.db.database import Connection
from churn.db.migrations import require_current_schema
from churn.policy import Policy
from churn.services import Services

log = logging.getLogger(__name__)


def compare_arms(services: Services) -> list[ArmComparison]:
    """Compare the arms of every challenger in the request log with the outcomes that have settled; record each.

    A challenger with too few outcomes of one class in an arm is left for later. Raises DatabaseUnavailable.
    """
    require_current_schema(services.database)
    compared = []
    with services.database.transaction() as connection:
        for version, design in answered_requests.designs(connection):
            comparison = _compare(connection, version, design, services.policy)
            if comparison is None:
                log.info("Version %s (%s): not enough outcomes of both kinds yet.", version, design)
                continue
            answered_requests.record_comparison(connection, comparison, services.policy.horizon_days)
            compared.append(comparison)
    return compared


def _compare(connection: Connection, version: int, design: Design, policy: Policy) -> ArmComparison | None:
    economics = RetentionEconomics.from_policy(policy)
    if design == "shadow":
        labels, production, challenger = answered_requests.settled_shadow(connection, version, policy.horizon_days)
        if not _has_both(labels):
            return None
        return compare_shadow(version, labels, production, challenger, economics, policy.confidence)
    arms = answered_requests.settled_split(connection, version, policy.horizon_days)
    if not (_has_both(arms.production[0]) and _has_both(arms.challenger[0])):
        return None
    return compare_split(version, arms.production, arms.challenger, economics, policy.confidence, arms.fallback_count)


def _has_both(labels: answered_requests.Labels) -> bool:
    """Whether there is a churner and a stayer: without them no AUC."""
    return len(np.unique(labels)) == 2
