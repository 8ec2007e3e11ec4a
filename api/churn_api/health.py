"""GET /health: this process is alive. GET /ready: it can do all of its work. Neither asks another service."""

from datetime import datetime
from typing import Any

from flask import Blueprint, current_app
from pydantic import BaseModel, ConfigDict, Field

from churn_api.auth import anyone
from churn_api.journal import Journal
from churn_api.night import DatabaseState, Night
from churn_api.problems import FieldProblem, Problem
from churn_api.production import FollowedModel, RegistryState

blueprint = Blueprint("health", __name__)


class RegistryHealth(BaseModel):
    """What the last look at the registry found."""

    model_config = ConfigDict(extra="forbid")

    state: RegistryState
    message: str | None
    next_step: str | None
    checked_at: str | None
    followed: bool


class DatabaseHealth(BaseModel):
    """What the last look at the database found."""

    model_config = ConfigDict(extra="forbid")

    state: DatabaseState
    message: str | None
    next_step: str | None
    checked_at: str | None


class RequestLogHealth(BaseModel):
    """What this process has written to the request log, still has to write, and had to give up, in rows."""

    model_config = ConfigDict(extra="forbid")

    written: int = Field(ge=0)
    waiting: int = Field(ge=0)
    dropped: int = Field(ge=0)


class Health(BaseModel):
    """One process of the API."""

    model_config = ConfigDict(extra="forbid")

    status: str
    model_version: int | None
    model_loaded_at: str | None
    scoring_run_id: int | None
    registry: RegistryHealth
    database: DatabaseHealth
    request_log: RequestLogHealth | None = Field(description="Null where no database keeps requests.")


@blueprint.get("/health")
@anyone
def health() -> dict[str, Any]:
    """Answer 200 as long as the process answers at all, with or without a model."""
    return _health("alive")


@blueprint.get("/ready")
@anyone
def ready() -> dict[str, Any]:
    """Answer 200 while a model is loaded, the database answers and its schema is current; else 503 with reasons."""
    missing = [problem for problem in (_model_missing(), _database_missing()) if problem is not None]
    if missing:
        detail = " ".join(problem.message for problem in missing)
        raise Problem(503, "not-ready", detail, missing[0].next_step, missing, retry_after=5)
    return _health("ready")


def _health(status: str) -> dict[str, Any]:
    production, night = _production(), _night()
    journal: Journal | None = current_app.extensions["journal"]
    served, model, database = production.served, production.standing, night.standing
    return {
        "status": status,
        "model_version": served.version if served else None,
        "model_loaded_at": _instant(served.loaded_at if served else None),
        "scoring_run_id": night.run.scoring_run_id if night.run else None,
        "registry": {
            "state": model.state,
            "message": model.message or None,
            "next_step": model.next_step or None,
            "checked_at": _instant(model.checked_at),
            "followed": production.is_followed,
        },
        "database": {
            "state": database.state,
            "message": database.message or None,
            "next_step": database.next_step or None,
            "checked_at": _instant(database.checked_at),
        },
        "request_log": journal.standing.__dict__ if journal is not None else None,
    }


def _model_missing() -> FieldProblem | None:
    production = _production()
    if production.served is None:
        return FieldProblem("model", production.standing.message, production.standing.next_step)
    if not production.is_followed:
        return FieldProblem("model", "This worker no longer follows the registry.", "Restart it.")
    return None


def _database_missing() -> FieldProblem | None:
    night = _night()
    if night.standing.state in ("reachable", "not configured"):
        return None
    if night.standing.state == "not asked yet":
        return FieldProblem("database", "The database has not answered yet.", "Ask again in a few seconds.")
    return FieldProblem("database", night.standing.message, night.standing.next_step)


def _production() -> FollowedModel:
    found: FollowedModel = current_app.extensions["production"]
    return found


def _night() -> Night:
    found: Night = current_app.extensions["night"]
    return found


def _instant(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None
