"""Searches whose trials are kept in the database: one that was killed goes on, one that is done is not done again."""

import functools
import hashlib
import importlib.metadata
import inspect
import json
from collections.abc import Callable, Sequence

import numpy as np
from optuna.distributions import distribution_to_json

from churn.core import calibration, candidates, estimation, evaluation, features, model, profit, search, splits
from churn.core.candidates import Kind
from churn.core.estimation import Searcher
from churn.core.search import SPACES, Rows, Trial
from churn.core.splits import Fold
from churn.db import trials
from churn.policy import Policy
from churn.services import Services

_LEARNING = (calibration, candidates, estimation, evaluation, features, model, profit, search, splits)
_LIBRARIES = ("lightgbm", "numpy", "optuna", "scikit-learn", "scipy", "xgboost-cpu")


def kept_search(services: Services, kind: Kind, on_trial: Callable[[Trial], None] = lambda trial: None) -> Searcher:
    """A search that keeps each trial as soon as it is known, and begins with those that are kept already.

    `on_trial` is told every trial, in order, also those that were known before.
    """
    policy = services.policy

    def find(rows: Rows, folds: Sequence[Fold], trial_count: int) -> list[Trial]:
        key = search_key(kind, rows, folds, policy)
        with services.database.transaction() as connection:
            known = trials.of_search(connection, key)[:trial_count]
        for trial in known:
            on_trial(trial)
        for trial in search.search(kind, rows, folds, policy.seed, known, trial_count, policy.search_seconds):
            with services.database.transaction() as connection:
                trials.record(connection, key, kind, trial)
            on_trial(trial)
            known = [*known, trial]
        return known

    return find


def search_key(kind: Kind, rows: Rows, folds: Sequence[Fold], policy: Policy) -> str:
    """The hash of everything that the trials of a search depend on; how many there are to be is not among it."""
    positions = [part for fold in folds for part in fold]
    return _hash(kind, _space(kind), policy.seed, learning_code(), *_contents(rows), *map(_bytes, positions))


def estimate_key(kind: Kind, rows: Rows, groups: estimation.Groups, policy: Policy) -> str:
    """The hash of everything that the estimate of a candidate depends on."""
    return _hash(kind, _space(kind), policy.model_dump_json(), learning_code(), *_contents(rows), _bytes(groups))


@functools.cache
def learning_code() -> str:
    """The hash of the code that learns and judges, and of the versions of the libraries that it calls."""
    sources = [inspect.getsource(module) for module in _LEARNING]
    return _hash(*sources, *(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES))


def _space(kind: Kind) -> str:
    return json.dumps({name: distribution_to_json(each) for name, each in SPACES[kind].items()}, sort_keys=True)


def _contents(rows: Rows) -> tuple[bytes, bytes, str]:
    return _bytes(rows.matrix), _bytes(rows.labels), rows.encoder.to_json()


def _bytes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(np.where(np.isnan(values), np.nan, values)).tobytes()  # one bit pattern for NaN


def _hash(*parts: object) -> str:
    total = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else str(part).encode()
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()
