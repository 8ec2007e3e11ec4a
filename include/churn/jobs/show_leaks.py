"""Reproduce the inflated figures that are published on this data, beside the honest ones."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from churn.columns import KEY, LABEL
from churn.core.honesty import Claim, claims
from churn.core.training import TrainingData
from churn.core.training_sources import delivered_source
from churn.db import extracts
from churn.errors import ConfigurationError
from churn.jobs.plan_training import read_rows
from churn.policy import Policy
from churn.services import Services


def of_file(file: Path, policy: Policy) -> Iterator[Claim]:
    """The claims on the labelled customers of a CSV in the columns of an extract; no service is asked.

    Raises ConfigurationError where the file has no label column, and NothingToTrainOn.
    """
    frame = pd.read_csv(file, dtype=str, keep_default_na=False)
    missing = [name for name in (KEY.name, LABEL.name) if name not in frame.columns]
    if missing:
        raise ConfigurationError(f"{file} has no column {missing[0]}.", "Name a file with the columns of docs/data.md.")
    with file.open("rb") as stream:
        content_hash = hashlib.file_digest(stream, "sha256").hexdigest()
    return claims(TrainingData.from_extract(frame, datetime.now(UTC).date(), content_hash), policy)


def of_newest_snapshot(services: Services) -> Iterator[Claim]:
    """The claims on the newest admitted snapshot with labels. Raises NothingToTrainOn where there is none."""
    with services.database.transaction() as connection:
        newest = extracts.latest_labelled(connection)
        source = delivered_source(newest.extract_id, newest.snapshot_date, newest.content_hash)
        data = read_rows(connection, source, services.policy)
    return claims(data, services.policy)
