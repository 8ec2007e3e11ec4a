"""Trials: what searches have tried, known to every worker, so that a search that was killed goes on."""

from dataclasses import asdict

from psycopg.types.json import Jsonb

from churn.core.candidates import Kind
from churn.core.search import Trial
from churn.db.database import Connection, query


def of_search(connection: Connection, search_key: str) -> list[Trial]:
    """The trials of one search, from number 0 on without a gap."""
    rows = connection.execute(query("list_trials"), {"search_key": search_key}).fetchall()
    trials = [Trial(**{**row, "fold_losses": tuple(row["fold_losses"])}) for row in rows]
    return [trial for place, trial in enumerate(trials) if trial.number == place]


def record(connection: Connection, search_key: str, kind: Kind, trial: Trial) -> None:
    """Keep a trial; the first one of its number stays."""
    values = asdict(trial) | {"parameters": Jsonb(trial.parameters), "fold_losses": list(trial.fold_losses)}
    connection.execute(query("record_trial"), values | {"search_key": search_key, "kind": kind})
