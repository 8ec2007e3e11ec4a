"""Let an earlier version serve again: one that was once approved, whose artifact is still what was approved."""

import logging
from dataclasses import dataclass
from typing import Any

from churn.db import promotions
from churn.db.migrations import require_current_schema
from churn.errors import RollbackRefused
from churn.jobs.move_production import finish, load_sound
from churn.services import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rollback:
    """Which version serves now, and which did before."""

    model_version: int
    replaced_version: int | None
    reason: str

    def summary(self) -> dict[str, Any]:
        """One row for people."""
        return {
            "production": self.model_version,
            "replaced": self.replaced_version,
            "reason": self.reason,
            "note": "the API follows within seconds; the next `churn score run` scores everyone with it",
        }


def roll_back_model(
    services: Services,
    reason: str,
    model_version: int | None = None,
    by: str | None = None,
    request: str | None = None,
) -> Rollback:
    """Make an approved version Production again; without `model_version` the one that the serving version replaced.

    Its artifact must have the digest that was approved, and give its own reference the probabilities that travel
    with it. The ledger has the act, and by whom (the database role where nobody is named), before the alias moves.
    Repeated under the same `request` it is done once: a second rollback would undo the first. One decision at a time:
    raises AlreadyRunning. Raises RollbackRefused, NoProductionModel, and ArtifactRejected; then Production stays.
    """
    require_current_schema(services.database)
    with services.database.lock("promotion"):
        if done := finish(services, request):
            return Rollback(done.model_version, done.previous_version, done.reason)
        serving = services.registry.production_version().version
        wanted, digest = _choose(services, model_version, serving)
        load_sound(services, wanted, digest)
        evidence = {"digest": digest, "request": request}
        with services.database.transaction() as connection:
            promotions.record_rollback(connection, wanted, serving, reason, evidence, services.policy, by)
        services.registry.promote(wanted)
    log.info("Version %s is Production again, in place of %s: %s", wanted, serving, reason)
    return Rollback(wanted, serving, reason)


def _choose(services: Services, model_version: int | None, serving: int) -> tuple[int, str]:
    """The version that may serve again, and the digest with which it was approved."""
    with services.database.transaction() as connection:
        wanted = model_version or promotions.replaced_by(connection, serving)
        approved = promotions.approved_digests(connection)
    if wanted is None or wanted not in approved or wanted == serving:
        raise RollbackRefused(_why_not(wanted, serving), _what_else(set(approved) - {serving}))
    return wanted, approved[wanted]


def _why_not(wanted: int | None, serving: int) -> str:
    if wanted is None:
        return f"Version {serving} serves, and the ledger knows none that served before it."
    if wanted == serving:
        return f"Version {wanted} serves already."
    return f"Version {wanted} was never approved by the promotion gate."


def _what_else(others: set[int]) -> str:
    if not others:
        return "There is no other approved version: retrain the model."
    return f"Approved were also: {', '.join(map(str, sorted(others)))}. Look at `churn history`."
