"""Retraining as functions of values: split, fit, and draw the reference."""

import hashlib
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.columns import FEATURE_NAMES, KEY, LABEL
from churn.core.calibration import Calibration
from churn.core.candidates import Kind, Parameters
from churn.core.estimation import Recipe, fit
from churn.core.features import FeatureEncoder, Matrix
from churn.core.model import ChurnModel
from churn.core.search import Rows
from churn.core.splits import groups_of, in_holdout, repeats
from churn.errors import NothingToTrainOn
from churn.policy import Policy

DAYS = "datetime64[D]"
SCORE_COLUMN = "churn_probability"
REFERENCE_COUNT = 5_000  # customers: enough for a drift test, small enough to travel


@dataclass(frozen=True)
class TrainingData:
    """Customers as they were on one or several days and what is known to have become of them, aligned by position.

    A pair of `snapshot_dates` (n,) and `customer_ids` (n,) is unique; `features` (n rows) has extract column names;
    `labels` (n,) are 1 for churners and 0 for stayers. `snapshot_date` is the newest day, which every row is of where
    no days are given; `content_hash` is the SHA-256 of that day's extract. Raises ValueError where these do not hold.
    """

    customer_ids: NDArray[np.object_]
    features: pd.DataFrame
    labels: NDArray[Any]
    snapshot_date: date
    content_hash: str
    snapshot_dates: NDArray[np.datetime64] = field(default_factory=lambda: np.array([], DAYS))

    def __post_init__(self) -> None:
        # Positions, never an index that came with the rows: what is aligned stays aligned.
        object.__setattr__(self, "customer_ids", np.asarray(self.customer_ids, object))
        object.__setattr__(self, "features", self.features.reset_index(drop=True))
        object.__setattr__(self, "labels", np.asarray(self.labels))
        if not len(self.snapshot_dates):
            object.__setattr__(self, "snapshot_dates", np.full(len(self.customer_ids), self.snapshot_date, DAYS))
        object.__setattr__(self, "snapshot_dates", np.asarray(self.snapshot_dates, DAYS))
        if not len(self.customer_ids) == len(self.features) == len(self.labels) == len(self.snapshot_dates):
            raise ValueError("customer_ids, features, labels and snapshot_dates must have one entry for each row")
        if (
            pd.DataFrame({"day": self.snapshot_dates.astype(np.int64), "customer": self.customer_ids})
            .duplicated()
            .any()
        ):
            raise ValueError("a customer may appear only once in a training snapshot")
        if (self.snapshot_dates > np.datetime64(self.snapshot_date)).any():
            raise ValueError("no row may be of a later day than snapshot_date")
        if not np.isin(self.labels, (0, 1)).all():
            raise ValueError("every label must be 0 or 1")
        object.__setattr__(self, "labels", self.labels.astype(np.int8))

    @classmethod
    def from_extract(cls, customers: pd.DataFrame, snapshot_date: date, content_hash: str) -> "TrainingData":
        """Take the labelled rows of a frame as it is in an extract; a row without a label is left out."""
        labelled = customers[customers[LABEL.name].isin(LABEL.categories)]
        return cls(
            labelled[KEY.name].to_numpy(object),
            labelled[[name for name in FEATURE_NAMES if name in labelled.columns]],
            (labelled[LABEL.name] == "Yes").to_numpy(),
            snapshot_date,
            content_hash,
        )

    def take(self, positions: NDArray[np.intp]) -> "TrainingData":
        """The customers at these positions, in their order."""
        return TrainingData(
            self.customer_ids[positions],
            self.features.iloc[positions],
            self.labels[positions],
            self.snapshot_date,
            self.content_hash,
            self.snapshot_dates[positions],
        )

    @cached_property
    def matrix(self) -> Matrix:
        """The rows (n, 19) as a model sees them by the contract: unknown is NaN."""
        return FeatureEncoder.from_contract().encode(self.features)

    @cached_property
    def groups(self) -> NDArray[np.intp]:
        """The group (n,) of each row: what is of one customer, or looks the same to a model, has one number."""
        return groups_of(self.customer_ids, self.matrix)

    @property
    def churner_count(self) -> int:
        """How many customers left."""
        return int(self.labels.sum())


def fingerprint(data: TrainingData) -> str:
    """The SHA-256, in hex, of what a model would see of these customers, whatever the order of rows."""
    order = _by_day_and_customer(data)
    matrix = data.matrix[order]
    total = hashlib.sha256(f"{data.snapshot_date.isoformat()}\n{len(order)}\n".encode())
    total.update(data.snapshot_dates[order].astype("<i8").tobytes())
    total.update("\n".join(data.customer_ids[order]).encode())
    total.update(np.where(np.isnan(matrix), np.nan, matrix).astype("<f8").tobytes())  # one bit pattern for NaN
    total.update(data.labels[order].astype("<i1").tobytes())
    return total.hexdigest()


@dataclass(frozen=True)
class TrainingSplit:
    """What is learned from, what judges, and how many rows are in neither because they look like one that judges."""

    development: TrainingData
    holdout: TrainingData
    left_out_count: int


def split_by_time(data: TrainingData, policy: Policy) -> TrainingSplit:
    """Holdout customers of the newest day judge; other customers of the days before it are learned from.

    Where there is one day only, its other customers are learned from. A row with the features of one that judges is
    left out of what is learned from. Both parts are sorted by day and customer: the order of rows decides nothing.
    Raises NothingToTrainOn where a part has fewer than `policy.minimum_class_count` churners or stayers.
    """
    order = _by_day_and_customer(data)
    held_out = in_holdout(data.customer_ids, policy)[order]
    newest = (data.snapshot_dates == np.datetime64(data.snapshot_date))[order]
    holdout = data.take(order[held_out & newest])
    learnable = data.take(order[~held_out & (newest if newest.all() else ~newest)])
    left_out = repeats(learnable.matrix, holdout.matrix)
    development = learnable.take(np.flatnonzero(~left_out))
    _require_both_classes(development, "train", policy)
    _require_both_classes(holdout, "judge", policy)
    return TrainingSplit(development, holdout, int(left_out.sum()))


def split_training(data: TrainingData, policy: Policy) -> tuple[TrainingData, TrainingData]:
    """(development, holdout) of `split_by_time`."""
    split = split_by_time(data, policy)
    return split.development, split.holdout


def _by_day_and_customer(data: TrainingData) -> NDArray[np.intp]:
    by_customer = np.argsort(data.customer_ids, kind="stable")
    return by_customer[np.argsort(data.snapshot_dates[by_customer], kind="stable")]


def _require_both_classes(data: TrainingData, purpose: str, policy: Policy) -> None:
    churners = data.churner_count
    stayers = len(data.labels) - churners
    if min(churners, stayers) < policy.minimum_class_count:
        days = np.unique(data.snapshot_dates).astype(str)
        of = f"s of {days[0]} to {days[-1]} have" if len(days) > 1 else f" of {data.snapshot_date} has"
        raise NothingToTrainOn(
            f"The snapshot{of} {churners} churners and {stayers} stayers to "
            f"{purpose} a model on; the policy asks for {policy.minimum_class_count} of each.",
            "Admit a larger labelled extract, or lower minimum_class_count in the policy. Where the outcomes of"
            " horizons count, see to it that labels are delivered on or before the day a horizon ends (horizon_days).",
        )


def encoded(data: TrainingData) -> Rows:
    """The customers as a model sees them, in their order."""
    return Rows(FeatureEncoder.from_contract(), data.matrix, data.labels)


def fit_model(
    kind: Kind,
    development: TrainingData,
    policy: Policy,
    parameters: Parameters | None = None,
    calibration: Calibration | None = None,
) -> ChurnModel:
    """Train one algorithm on all development rows. Equal data and policy give an equal model.

    `parameters` override the kind's defaults (candidates.DEFAULT_PARAMETERS); without a `calibration` the model
    answers with what the algorithm says.
    """
    recipe = Recipe(dict(parameters or {}), calibration or Calibration.none())
    return fit(kind, encoded(development), recipe, policy.seed)


def draw_reference(
    model: ChurnModel, development: TrainingData, policy: Policy, count: int = REFERENCE_COUNT
) -> pd.DataFrame:
    """The sample of at most `count` training rows that travels with a model version.

    Columns: the 19 features (numbers as float64, unknown as NaN; categories as text, unknown as None) and
    `churn_probability`. No customer id.
    """
    random = np.random.default_rng(policy.seed)
    drawn = np.sort(random.permutation(len(development.labels))[:count])
    rows = development.features.iloc[drawn]
    matrix = model.encoder.encode(rows)
    reference = pd.DataFrame(
        {
            column.name: matrix[:, i] if column.categories is None else _texts(column.categories, matrix[:, i])
            for i, column in enumerate(model.encoder.columns)
        }
    )
    return reference.assign(**{SCORE_COLUMN: model.predict(rows)})


def _texts(categories: tuple[str, ...], codes: NDArray[np.float64]) -> NDArray[np.object_]:
    names = np.array([*categories, None], dtype=object)
    return names[np.where(np.isnan(codes), len(categories), codes).astype(np.intp)]


def largest_difference(model: ChurnModel, other: ChurnModel, customers: pd.DataFrame) -> float:
    """The largest difference between two models' probabilities over some customers; 0 is bitwise equal."""
    return float(np.max(np.abs(model.predict(customers) - other.predict(customers)), initial=0.0))
