"""A person's answer to what the gate has approved: promote the challenger, or leave Production as it is."""

import logging
from dataclasses import dataclass
from typing import Any

from churn.db import promotions
from churn.db.migrations import require_current_schema
from churn.errors import NoProductionModel, PromotionRefused
from churn.jobs.choose_engine import admit_engine
from churn.jobs.move_production import finish, load_sound
from churn.services import Services

log = logging.getLogger(__name__)
RETRAIN = "Retrain the model (`churn train`): the gate then compares with what serves."


@dataclass(frozen=True)
class Promotion:
    """Which version was promoted, and which it replaced (None: it was the first, or served already)."""

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


def promote_model(
    services: Services, model_version: int, reason: str, by: str | None = None, request: str | None = None
) -> Promotion:
    """Make a version Production that the gate has approved, on a person's word.

    What serves must still be what the gate compared it with, its artifact what was approved. The ledger has the
    act, and by whom (the database role where nobody is named), before the alias moves; of a version that serves
    already only the tags are mended. Repeated under the same `request` it is done once. One decision at a time: raises
    AlreadyRunning. Raises PromotionRefused and ArtifactRejected; then Production stays.
    """
    require_current_schema(services.database)
    with services.database.lock("promotion"):
        if done := finish(services, request):
            return Promotion(done.model_version, done.previous_version, done.reason)
        approval, serving = _approval(services, model_version), _serving(services)
        if serving == model_version:
            services.registry.promote(model_version)
            return Promotion(model_version, None, approval.reason)
        if serving != approval.previous_version:
            raise PromotionRefused(_compared_with_another(approval, serving), RETRAIN)
        digest = approval.evidence["digest"]
        model = load_sound(services, model_version, digest)
        with services.database.transaction() as connection:
            promotions.record_answer(connection, approval, "promoted", reason, services.policy, by, request)
        services.registry.promote(model_version)
        admit_engine(services, model_version, digest, model)
    log.info("Version %s is Production, in place of %s: %s", model_version, serving, reason)
    return Promotion(model_version, serving, reason)


def awaiting(services: Services) -> int:
    """The challenger that waits for a person's word. Raises PromotionRefused where there is none."""
    challenger = services.registry.staging_version()
    if challenger is None:
        raise PromotionRefused(
            "No version waits to be promoted.",
            "Retrain the model (`churn train`), or name a version of `churn history`.",
        )
    return challenger.version


def reject_proposal(
    services: Services, model_version: int, reason: str, by: str | None = None, request: str | None = None
) -> None:
    """Leave Production as it is and keep in the ledger who did not want the challenger, and why.

    `by` is None where nobody answered in time. Raises AlreadyRunning, and PromotionRefused where the gate has not
    approved the version or it serves already.
    """
    require_current_schema(services.database)
    with services.database.lock("promotion"):
        if finish(services, request):
            return
        approval = _approval(services, model_version)
        if _serving(services) == model_version:
            raise PromotionRefused(
                f"Version {model_version} serves already; it can no longer be rejected.",
                "Let the version before it serve again: `churn rollback`.",
            )
        with services.database.transaction() as connection:
            promotions.record_answer(connection, approval, "kept", reason, services.policy, by, request)
    log.info("Production stays: %s", reason)


def _approval(services: Services, model_version: int) -> promotions.Entry:
    with services.database.transaction() as connection:
        approval = promotions.proposal_of(connection, model_version)
    if approval is None:
        raise PromotionRefused(
            f"Version {model_version} was not approved by the promotion gate.",
            "Choose one that `churn history` lists as proposed, or retrain the model.",
        )
    return approval


def _serving(services: Services) -> int | None:
    try:
        return services.registry.production_version().version
    except NoProductionModel:
        return None


def _compared_with_another(approval: promotions.Entry, serving: int | None) -> str:
    compared = "no version" if approval.previous_version is None else f"version {approval.previous_version}"
    now = "no version" if serving is None else f"version {serving}"
    return f"The gate approved version {approval.model_version} while {compared} served; now {now} serves."
