"""GET /v1/model: which version answers, how good it was found to be, and since when it serves."""

from datetime import datetime
from typing import Any

from flask import Blueprint, current_app
from pydantic import BaseModel, Field, TypeAdapter

from churn.db import serving
from churn.db.serving import Approval
from churn.errors import DatabaseUnavailable
from churn_api.auth import needs
from churn_api.night import Night
from churn_api.scoring import models_now

blueprint = Blueprint("model", __name__)


class ModelCard(BaseModel):
    """The version that answers. What the promotion ledger would say is null while it cannot be read."""

    model_version: int
    stage: str
    kind: str = Field(description="The algorithm: lightgbm, xgboost, random_forest or logistic.")
    engine: str = Field(description="What answers: the library itself, or its trees compiled to the same bits.")
    calibration: str
    digest: str = Field(description="SHA-256 of the model's files, verified before they were read.")
    mlflow_run_id: str
    trained_on: str | None = Field(description="The date of the snapshot that it learned from.")
    code_version: str | None
    features: list[str]
    loaded_at: datetime = Field(description="When the worker that answers loaded it.")
    serving_since: datetime | None = Field(description="When it was promoted, or rolled back to.")
    replaced_version: int | None
    decision: str | None
    reason: str | None
    measures: dict[str, Any] | None = Field(description="What it achieved on customers that no model was trained on.")


_AS_JSON = TypeAdapter(ModelCard)


@blueprint.get("/v1/model")
@needs("read")
def model() -> dict[str, Any]:
    """The version that answers, with what the ledger says of it."""
    served = models_now()(None)
    registered, tags = served.registered, served.registered.tags
    approval = _approval(served.version)
    card = ModelCard(
        model_version=served.version,
        stage="production",
        kind=served.model.kind,
        engine=served.engine.name,
        calibration=served.model.calibration.method,
        digest=registered.digest,
        mlflow_run_id=registered.mlflow_run_id,
        trained_on=tags.get("snapshot_date"),
        code_version=tags.get("code_version"),
        features=list(served.model.encoder.names),
        loaded_at=served.loaded_at,
        serving_since=approval.decided_at if approval else None,
        replaced_version=approval.previous_version if approval else None,
        decision=approval.decision if approval else None,
        reason=approval.reason if approval else None,
        measures=approval.holdout if approval else None,
    )
    return _AS_JSON.dump_python(card, mode="json")


def _approval(version: int) -> Approval | None:
    night: Night = current_app.extensions["night"]
    if night.database is None:
        return None
    try:
        with night.database.transaction() as connection:
            return serving.approval_of(connection, version)
    except DatabaseUnavailable:
        return None
