"""The one adapter of Evidently: how far current customers are from the reference of a model version."""

from dataclasses import dataclass

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.core.report import Snapshot
from evidently.presets import DataDriftPreset

from churn.columns import FEATURES
from churn.records import ColumnDrift
from churn.reports import Reports

# Distances, not p-values: a p-value answers "is there any difference", which for thousands of rows is always yes.
NUMBER_METHOD, NUMBER_THRESHOLD = "wasserstein", 0.1
CATEGORY_METHOD, CATEGORY_THRESHOLD = "jensenshannon", 0.1
SCORE = "churn_probability"
_BINARY_NUMBERS = {"SeniorCitizen"}


@dataclass(frozen=True)
class DriftReport:
    """The drift of every column, and the report to look at."""

    columns: tuple[ColumnDrift, ...]
    snapshot: Snapshot

    def save_html(self, reports: Reports, name: str) -> None:
        """Write the report as one self-contained page of this name, whole or not at all."""
        with reports.writing() as folder:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_suffix(".part")
            self.snapshot.save_html(str(half))
            half.replace(path)


def compare(reference: pd.DataFrame, current: pd.DataFrame, drifted_column_rate: float) -> DriftReport:
    """Compare two samples of customers: every feature, and the score where both samples have it.

    Numbers by the Wasserstein distance over the reference's standard deviation, categories by the
    Jensen-Shannon distance; 0.1 or more counts as drift. A column that is empty in either sample is left out.
    The page calls the customers drifted from `drifted_column_rate` of the columns on.
    Raises ValueError where no column is filled in both samples.
    """
    names = [column.name for column in FEATURES if _is_filled(column.name, reference, current)]
    numbers = [c.name for c in FEATURES if c.name in names and c.is_number and c.name not in _BINARY_NUMBERS]
    categories = [name for name in names if name not in numbers]
    if _is_filled(SCORE, reference, current):
        numbers.append(SCORE)
    if not names:
        raise ValueError("No column is filled in both samples.")
    preset = DataDriftPreset(
        columns=[*numbers, *categories],
        drift_share=drifted_column_rate,
        num_method=NUMBER_METHOD,
        num_threshold=NUMBER_THRESHOLD,
        cat_method=CATEGORY_METHOD,
        cat_threshold=CATEGORY_THRESHOLD,
    )
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
    snapshot = Report([preset]).run(
        current_data=Dataset.from_pandas(current[[*numbers, *categories]], definition),
        reference_data=Dataset.from_pandas(reference[[*numbers, *categories]], definition),
    )
    return DriftReport(tuple(_column_drifts(snapshot)), snapshot)


def _is_filled(name: str, *samples: pd.DataFrame) -> bool:
    return all(name in sample and bool(sample[name].notna().any()) for sample in samples)


def _column_drifts(snapshot: Snapshot) -> list[ColumnDrift]:
    drifts = []
    for metric in snapshot.dict()["metrics"]:
        config = metric["config"]
        if not config["type"].endswith(":ValueDrift"):
            continue
        value, threshold = float(metric["value"]), float(config["threshold"])
        drifts.append(ColumnDrift(config["column"], config["method"], value, threshold, value >= threshold))
    return drifts
