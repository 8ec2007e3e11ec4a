"""Which snapshots a retraining learns from, and what it may know of them: pure, so that time can be tested.

A snapshot is settled on the first day at or after the end of its horizon for which labels were delivered. What comes
later changes nothing: the same rows come out whenever they are read again.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

LabelSource = Literal["outcomes", "as delivered"]


@dataclass(frozen=True)
class Snapshot:
    """The extract that counts for a day, and whether labels were delivered with it."""

    extract_id: int
    snapshot_date: date
    content_hash: str
    has_labels: bool


@dataclass(frozen=True)
class TrainingExtract:
    """One extract that is learned from: its features as they were on its day.

    `settled_date` is the day on which the outcomes of its horizon were known; None where labels are as delivered.
    """

    extract_id: int
    snapshot_date: date
    content_hash: str
    settled_date: date | None = None


@dataclass(frozen=True)
class TrainingSources:
    """Everything that the rows of a retraining are a function of, beside the policy.

    `extracts` are newest first: the first one is judged on. `label_extract_ids` are the extracts whose labels were
    known when the first one was settled, in the order of their days; none where labels are as delivered.
    """

    labels: LabelSource
    extracts: tuple[TrainingExtract, ...]
    label_extract_ids: tuple[int, ...] = ()

    @property
    def newest(self) -> TrainingExtract:
        """The extract whose holdout customers judge."""
        return self.extracts[0]


def settled_sources(snapshots: Sequence[Snapshot], horizon_days: int, limit: int) -> TrainingSources | None:
    """The newest settled snapshot, and at most `limit` - 1 earlier ones to learn from; None where none is settled.

    `snapshots` are in the order of their days, one a day. Each earlier one was settled by the day of the newest, so
    nothing that is learned was known later than what is judged; and it lies a horizon or more before the next, so one
    leaving never labels a customer twice.
    """
    horizon = timedelta(days=horizon_days)
    labelled = [snapshot for snapshot in snapshots if snapshot.has_labels]
    label_dates = [snapshot.snapshot_date for snapshot in labelled]
    settled = [
        TrainingExtract(each.extract_id, each.snapshot_date, each.content_hash, label_dates[place])
        for each in snapshots
        if (place := bisect_left(label_dates, each.snapshot_date + horizon)) < len(labelled)
    ]
    if not settled:
        return None
    newest = settled.pop()
    chosen = [newest]
    while settled and len(chosen) < limit:
        earlier = settled.pop()
        known = earlier.settled_date is not None and earlier.settled_date <= newest.snapshot_date
        if known and earlier.snapshot_date + horizon <= chosen[-1].snapshot_date:
            chosen.append(earlier)
    known_ids = (
        each.extract_id for each in labelled if newest.settled_date and each.snapshot_date <= newest.settled_date
    )
    return TrainingSources("outcomes", tuple(chosen), tuple(known_ids))


def delivered_source(extract_id: int, snapshot_date: date, content_hash: str) -> TrainingSources:
    """One extract with its labels as they were delivered: how a system starts that has no outcomes yet."""
    return TrainingSources("as delivered", (TrainingExtract(extract_id, snapshot_date, content_hash),))
