"""Engines: whether the compiled engine of a model may serve, decided once and known to every worker."""

from dataclasses import asdict

from churn.db.database import Connection, query
from churn.records import EngineDecision

_FIELDS = tuple(EngineDecision.__dataclass_fields__)


def find(connection: Connection, model_digest: str, engine_version: int) -> EngineDecision | None:
    """What was decided for a model and this version of the engine's code, if anything was."""
    parameters = {"model_digest": model_digest, "engine_version": engine_version}
    row = connection.execute(query("find_engine"), parameters).fetchone()
    return EngineDecision(**{name: row[name] for name in _FIELDS}) if row else None


def record(connection: Connection, decision: EngineDecision) -> None:
    """Keep a decision; the first one stays."""
    connection.execute(query("record_engine"), asdict(decision))
