"""Customers and extracts for tests: one valid row, changed where a test says so."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from churn.columns import COLUMNS

NAMES = tuple(column.name for column in COLUMNS)


def customer_row(**overrides: str) -> dict[str, str]:
    """A valid row of an extract, field by field as text."""
    row = {
        "customerID": "0001-AAAAA",
        "gender": "Female",
        "SeniorCitizen": "0",
        "Partner": "Yes",
        "Dependents": "No",
        "tenure": "12",
        "PhoneService": "Yes",
        "MultipleLines": "No",
        "InternetService": "Fiber optic",
        "OnlineSecurity": "No",
        "OnlineBackup": "Yes",
        "DeviceProtection": "No",
        "TechSupport": "No",
        "StreamingTV": "Yes",
        "StreamingMovies": "No",
        "Contract": "Month-to-month",
        "PaperlessBilling": "Yes",
        "PaymentMethod": "Electronic check",
        "MonthlyCharges": "70.5",
        "TotalCharges": "846",
        "Churn": "No",
    }
    unknown = set(overrides) - set(row)
    if unknown:
        raise ValueError(f"not columns of an extract: {sorted(unknown)}")
    return row | overrides


def customer_rows(count: int, **overrides: str) -> list[dict[str, str]]:
    """Valid rows with keys of their own."""
    return [customer_row(**{"customerID": f"{number:07d}-TEST"} | overrides) for number in range(1, count + 1)]


def write_extract(path: Path, rows: Iterable[dict[str, str]], columns: Sequence[str] = NAMES) -> Path:
    """Write rows as an extract; missing fields are left blank."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path
