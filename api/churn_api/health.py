"""GET /health: this process is alive, and what it knows of the model. Asks no other service."""

from datetime import datetime
from typing import Any

from flask import Blueprint, current_app

from churn_api.production import FollowedModel

blueprint = Blueprint("health", __name__)


@blueprint.get("/health")
def health() -> dict[str, Any]:
    """Answer 200 as long as the process answers at all, with or without a model."""
    production: FollowedModel = current_app.extensions["production"]
    served, standing = production.served, production.standing
    return {
        "status": "alive",
        "model_version": served.version if served else None,
        "model_loaded_at": _instant(served.loaded_at if served else None),
        "registry": {
            "state": standing.state,
            "message": standing.message or None,
            "next_step": standing.next_step or None,
            "checked_at": _instant(standing.checked_at),
            "followed": production.is_followed,
        },
    }


def _instant(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
