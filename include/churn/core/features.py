"""Features travel inside the model: one encoder for the night, the retraining and a single request."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from churn.columns import FEATURES

if TYPE_CHECKING:  # a single request needs no pandas
    import pandas as pd

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class EncodedColumn:
    """How one feature becomes a number: a category by its index in `categories`, a number as it is."""

    name: str
    categories: tuple[str, ...] | None = None

    def encode(self, cell: object) -> float:
        """One cell as a float; NaN where it is missing, blank, not finite or not one of the categories."""
        return _number(cell) if self.categories is None else self._index(cell)

    def _index(self, cell: object) -> float:
        if not isinstance(cell, str):
            return math.nan
        assert self.categories is not None  # noqa: S101  # nosec B101 - narrows the type; encode() has looked
        text = cell.strip()
        return float(self.categories.index(text)) if text in self.categories else math.nan


@dataclass(frozen=True)
class FeatureEncoder:
    """Maps rows with extract column names to a float64 matrix in the order of `columns`.

    A cell that is missing, blank, unparsable, or a category that the encoder does not know, is NaN: unknown.
    The encoder holds its own category lists, so a model keeps reading rows as it was trained to.
    """

    columns: tuple[EncodedColumn, ...]

    @classmethod
    def from_contract(cls) -> "FeatureEncoder":
        """The encoder of today's column contract (`columns.FEATURES`)."""
        return cls(tuple(EncodedColumn(column.name, column.categories or None) for column in FEATURES))

    @property
    def names(self) -> tuple[str, ...]:
        """The features in matrix order."""
        return tuple(column.name for column in self.columns)

    @property
    def category_positions(self) -> tuple[int, ...]:
        """The positions of the categories in the matrix."""
        return tuple(i for i, column in enumerate(self.columns) if column.categories is not None)

    def encode(self, customers: "pd.DataFrame") -> Matrix:
        """Encode a frame of any subset of the columns, in any order, as text or numbers.

        Returns a C-ordered (rows, features) matrix. Columns that the encoder does not know are ignored.
        """
        matrix = np.full((len(customers), len(self.columns)), np.nan)
        for position, column in enumerate(self.columns):
            if column.name in customers.columns:
                matrix[:, position] = _encode_series(column, customers[column.name])
        return matrix

    def encode_record(self, record: Mapping[str, Any]) -> Matrix:
        """Encode one customer as a (1, features) matrix, equal to `encode` of the same row."""
        return self.encode_records([record])

    def encode_records(self, records: Sequence[Mapping[str, Any]]) -> Matrix:
        """Encode customers one by one as a (n, features) matrix, equal to `encode` of the same rows; no pandas."""
        rows = [[column.encode(record.get(column.name)) for column in self.columns] for record in records]
        return np.array(rows, np.float64).reshape(len(records), len(self.columns))

    def unknown_fields(self, record: Mapping[str, Any]) -> list[str]:
        """The features of one customer that the model will have to do without."""
        return [c.name for c in self.columns if math.isnan(c.encode(record.get(c.name)))]

    def count_unknown(self, customers: "pd.DataFrame") -> dict[str, int]:
        """How many cells of each feature are unknown in a frame."""
        counts = np.isnan(self.encode(customers)).sum(axis=0)
        return {name: int(count) for name, count in zip(self.names, counts, strict=True)}

    def to_json(self) -> str:
        """The encoder's whole state as JSON."""
        return json.dumps([{"name": c.name, "categories": c.categories} for c in self.columns])

    @classmethod
    def from_json(cls, text: str) -> "FeatureEncoder":
        """Read what `to_json` wrote. Raises ValueError where the text is anything else."""
        try:
            return cls(tuple(_column_from(state) for state in json.loads(text)))
        except (TypeError, KeyError) as error:
            raise ValueError(f"not the state of a feature encoder: {error}") from error


def _column_from(state: Mapping[str, Any]) -> EncodedColumn:
    name, categories = state["name"], state["categories"]
    texts = [name, *(categories or ())]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("not the state of a feature encoder: names and categories are text")
    return EncodedColumn(name, None if categories is None else tuple(categories))


def _number(cell: object) -> float:
    """A finite number, or NaN. By float(): pandas' own parser of text can differ in the last bit."""
    if isinstance(cell, str) and "_" in cell:  # float("1_000") is 1000.0
        return math.nan
    try:
        number = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number + 0.0 if math.isfinite(number) else math.nan  # -0.0 and 0.0 are one number


def _encode_series(column: EncodedColumn, cells: "pd.Series") -> Matrix:
    if column.categories is None and isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "iuf":
        numbers = cells.to_numpy(np.float64) + 0.0
        return np.where(np.isfinite(numbers), numbers, np.nan)
    # Each distinct cell goes through the one scalar rule: equality with encode_record holds by construction.
    codes, distinct = cells.factorize()
    values = np.array([*(column.encode(cell) for cell in distinct), np.nan])
    return values[codes]  # the code of a missing cell is -1: the NaN at the end
