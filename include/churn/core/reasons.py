"""Why a customer is at risk, in words: the features that push a score up the most, as reviewed phrases."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churn.core.features import EncodedColumn, FeatureEncoder, Matrix

REASON_COUNT = 3
NO_REASON = -1


def _extra(name: str, verb: str) -> dict[str, str]:
    return {"Yes": f"{verb} {name}", "No": f"No {name}", "No internet service": f"No {name} (no internet)"}


# Held against the column contract by a test. No two features share a phrase: a list never says a thing twice.
CATEGORY_PHRASES: Mapping[str, Mapping[str, str]] = {
    "gender": {"Female": "Female customer", "Male": "Male customer"},
    "Partner": {"Yes": "Has a partner", "No": "No partner"},
    "Dependents": {"Yes": "Has dependents", "No": "No dependents"},
    "PhoneService": {"Yes": "Has phone service", "No": "No phone service"},
    "MultipleLines": {
        "Yes": "Multiple phone lines",
        "No": "Single phone line",
        "No phone service": "No phone line (no phone service)",
    },
    "InternetService": {"DSL": "DSL internet", "Fiber optic": "Fiber optic internet", "No": "No internet service"},
    "OnlineSecurity": _extra("online security", "Has"),
    "OnlineBackup": _extra("online backup", "Has"),
    "DeviceProtection": _extra("device protection", "Has"),
    "TechSupport": _extra("tech support", "Has"),
    "StreamingTV": _extra("streaming TV", "Uses"),
    "StreamingMovies": _extra("streaming movies", "Uses"),
    "Contract": {
        "Month-to-month": "Month-to-month contract",
        "One year": "One-year contract",
        "Two year": "Two-year contract",
    },
    "PaperlessBilling": {"Yes": "Paperless billing", "No": "Paper bills"},
    "PaymentMethod": {
        "Electronic check": "Pays by electronic check",
        "Mailed check": "Pays by mailed check",
        "Bank transfer (automatic)": "Pays by automatic bank transfer",
        "Credit card (automatic)": "Pays by automatic credit card payment",
    },
}

UNKNOWN_PHRASES: Mapping[str, str] = {
    "gender": "Unknown gender",
    "SeniorCitizen": "Unknown whether a senior citizen",
    "Partner": "Unknown whether there is a partner",
    "Dependents": "Unknown whether there are dependents",
    "tenure": "Unknown time as a customer",
    "PhoneService": "Unknown phone service",
    "MultipleLines": "Unknown number of phone lines",
    "InternetService": "Unknown internet service",
    "OnlineSecurity": "Unknown online security",
    "OnlineBackup": "Unknown online backup",
    "DeviceProtection": "Unknown device protection",
    "TechSupport": "Unknown tech support",
    "StreamingTV": "Unknown streaming TV",
    "StreamingMovies": "Unknown streaming movies",
    "Contract": "Unknown contract",
    "PaperlessBilling": "Unknown billing",
    "PaymentMethod": "Unknown payment method",
    "MonthlyCharges": "Unknown monthly charges",
    "TotalCharges": "Unknown total charges",
}


def _seniority(number: float) -> str:
    known = {0.0: "Not a senior citizen", 1.0: "Senior citizen"}
    return known.get(number, f"Senior citizen: {number:.10g}")


def _tenure(months: float) -> str:
    if months == 0:
        return "New customer, in the first month"
    return "Customer for 1 month" if months == 1 else f"Customer for {months:.10g} months"


NUMBER_PHRASES: Mapping[str, Callable[[float], str]] = {
    "SeniorCitizen": _seniority,
    "tenure": _tenure,
    "MonthlyCharges": lambda amount: f"Monthly charges of {amount:,.2f}",
    "TotalCharges": lambda amount: f"Total charges of {amount:,.2f}",
}


@dataclass(frozen=True)
class Reasons:
    """The reasons of n customers: `codes` (n, count) are positions in `phrases`, the strongest first; -1 is none."""

    phrases: tuple[str, ...]
    codes: NDArray[np.int32]

    def of(self, row: int) -> list[str]:
        """The reasons of one customer, the strongest first."""
        return [self.phrases[code] for code in self.codes[row] if code != NO_REASON]


def top_reasons(
    encoder: FeatureEncoder, matrix: Matrix, contributions: NDArray[np.float64], count: int = REASON_COUNT
) -> Reasons:
    """The up to `count` features that most push each customer towards leaving, in words.

    `matrix` and `contributions` are (n, features) in the order of the encoder. A feature is a reason only where
    its contribution is above 0; of equal ones the first feature leads. Raises ValueError where the shapes do not
    fit.
    """
    if matrix.shape != contributions.shape or matrix.shape[1:] != (len(encoder.columns),):
        raise ValueError(f"a matrix {matrix.shape} with contributions {contributions.shape} is not of this encoder")
    chosen = _largest(contributions, count).ravel()
    phrases: list[str] = []
    codes = np.full(chosen.shape, NO_REASON, np.int32)
    for feature in sorted(set(chosen.tolist()) - {NO_REASON}):
        places = np.flatnonzero(chosen == feature)
        words, choices = _in_words(encoder.columns[feature], matrix[places // count, feature])
        codes[places] = choices + len(phrases)
        phrases += words
    return Reasons(tuple(phrases), codes.reshape(len(matrix), count))


def reasons_of_one(
    encoder: FeatureEncoder, row: NDArray[np.float64], contributions: NDArray[np.float64], count: int = REASON_COUNT
) -> list[str]:
    """What `top_reasons` says of one customer, whose row (features,) and contributions are given; many times faster."""
    pushed = contributions.tolist()
    upwards = [feature for feature, change in enumerate(pushed) if change > 0]
    upwards.sort(key=lambda feature: -pushed[feature])  # keeps the order of equal ones
    return [_phrase(encoder.columns[feature], row[feature]) for feature in upwards[:count]]


def _phrase(column: EncodedColumn, cell: np.float64) -> str:
    """As `_in_words` of one cell."""
    if np.isnan(cell):
        return _unknown(column)
    if column.categories is not None:
        category = column.categories[int(cell)]
        return CATEGORY_PHRASES.get(column.name, {}).get(category, f"{column.name}: {category}")
    return _number_phrase(column)(float(np.round(cell, 2)))


def _number_phrase(column: EncodedColumn) -> Callable[[float], str]:
    return NUMBER_PHRASES.get(column.name, lambda number: f"{column.name}: {number:.10g}")


def _largest(contributions: NDArray[np.float64], count: int) -> NDArray[np.int16]:
    """The features (n, count) with the largest positive contributions; -1 where there are no more."""
    left = np.where(contributions > 0, contributions, 0.0)
    rows = np.arange(len(left))
    chosen = np.full((len(left), count), NO_REASON, np.int16)
    for rank in range(min(count, left.shape[1])):
        largest = left.argmax(axis=1)
        chosen[:, rank] = np.where(left[rows, largest] > 0, largest, NO_REASON)
        left[rows, largest] = 0.0
    return chosen


def _in_words(column: EncodedColumn, cells: NDArray[np.float64]) -> tuple[list[str], NDArray[np.intp]]:
    """The phrases of some encoded cells of one column, and which of them each cell has."""
    if column.categories is not None:
        known = CATEGORY_PHRASES.get(column.name, {})
        words = [known.get(category, f"{column.name}: {category}") for category in column.categories]
        codes = np.where(np.isnan(cells), len(words), cells).astype(np.intp)
        return [*words, _unknown(column)], codes
    # To the cent: what the words show is what makes two numbers different.
    numbers, codes = np.unique(np.round(cells, 2), return_inverse=True)
    phrase = _number_phrase(column)
    return [_unknown(column) if np.isnan(number) else phrase(number) for number in numbers.tolist()], codes


def _unknown(column: EncodedColumn) -> str:
    return UNKNOWN_PHRASES.get(column.name, f"{column.name}: unknown")
