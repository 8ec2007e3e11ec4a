"""The column contract: what one row of an extract is.

SQL, Great Expectations, training and the API are all held against this one list (tests/house).
Inside Python a column goes by its name in the extract; `sql_name` is its name in PostgreSQL.
"""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["key", "category", "integer", "amount", "label"]

INTERNET_EXTRA = ("Yes", "No", "No internet service")
MAXIMUM_KEY_LENGTH = 64
MAXIMUM_TENURE = 600
MAXIMUM_MONTHLY_CHARGES = 1_000.0


@dataclass(frozen=True)
class Column:
    """One column of an extract.

    `categories` holds the allowed values of a category or label; `minimum` and `maximum` bound an integer
    (tenure in months) or an amount (in the currency of the bill), both ends included.
    """

    name: str
    kind: Kind
    categories: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None

    @property
    def sql_name(self) -> str:
        """The column's name in PostgreSQL: `MonthlyCharges` becomes `monthly_charges`."""
        if self.kind == "label":
            return "churned"
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name).lower()

    @property
    def is_feature(self) -> bool:
        """Whether a model may look at it."""
        return self.kind not in ("key", "label")

    @property
    def is_number(self) -> bool:
        """Whether it is measured rather than named."""
        return self.kind in ("integer", "amount")


YES_NO = ("Yes", "No")

COLUMNS: tuple[Column, ...] = (
    Column("customerID", "key"),
    Column("gender", "category", ("Female", "Male")),
    Column("SeniorCitizen", "integer", minimum=0, maximum=1),
    Column("Partner", "category", YES_NO),
    Column("Dependents", "category", YES_NO),
    Column("tenure", "integer", minimum=0, maximum=MAXIMUM_TENURE),
    Column("PhoneService", "category", YES_NO),
    Column("MultipleLines", "category", ("Yes", "No", "No phone service")),
    Column("InternetService", "category", ("DSL", "Fiber optic", "No")),
    Column("OnlineSecurity", "category", INTERNET_EXTRA),
    Column("OnlineBackup", "category", INTERNET_EXTRA),
    Column("DeviceProtection", "category", INTERNET_EXTRA),
    Column("TechSupport", "category", INTERNET_EXTRA),
    Column("StreamingTV", "category", INTERNET_EXTRA),
    Column("StreamingMovies", "category", INTERNET_EXTRA),
    Column("Contract", "category", ("Month-to-month", "One year", "Two year")),
    Column("PaperlessBilling", "category", YES_NO),
    Column(
        "PaymentMethod",
        "category",
        ("Electronic check", "Mailed check", "Bank transfer (automatic)", "Credit card (automatic)"),
    ),
    Column("MonthlyCharges", "amount", minimum=0.0, maximum=MAXIMUM_MONTHLY_CHARGES),
    # Blank is allowed at tenure 0 and means that nothing has been billed yet: it is admitted as 0.
    Column("TotalCharges", "amount", minimum=0.0, maximum=MAXIMUM_TENURE * MAXIMUM_MONTHLY_CHARGES),
    Column("Churn", "label", YES_NO),
)


@dataclass(frozen=True)
class Dependency:
    """A service and what nobody has without it: `service` is 'No' exactly where each dependent says `absent`."""

    service: str
    absent: str
    dependents: tuple[str, ...]


DEPENDENCIES = (
    Dependency("PhoneService", "No phone service", ("MultipleLines",)),
    Dependency(
        "InternetService",
        INTERNET_EXTRA[-1],
        ("OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV", "StreamingMovies"),
    ),
)

# TotalCharges against tenure x MonthlyCharges. A tariff may have changed yesterday, and the dearest one of the public
# data is 6.5 times the cheapest: a factor of ten is a moved decimal point or cents, and the row is quarantined.
# There, no row differs by more than a quarter or BILL_SLACK, whichever is more: such rows are counted for a warning.
BILL_SLACK = 100.0
BROKEN_BILL_FACTOR = 10.0
DOUBTFUL_BILL_RATE = 0.25

KEY = COLUMNS[0]
LABEL = COLUMNS[-1]
FEATURES: tuple[Column, ...] = tuple(column for column in COLUMNS if column.is_feature)
FEATURE_NAMES: tuple[str, ...] = tuple(column.name for column in FEATURES)
BY_NAME: dict[str, Column] = {column.name: column for column in COLUMNS}
