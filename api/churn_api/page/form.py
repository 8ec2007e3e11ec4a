"""The form of a customer, made of the column contract: a new column is in it by itself."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from churn.columns import BY_NAME, DEPENDENCIES, FEATURES, KEY, Column
from churn_api.batch_rows import cells_of
from churn_api.bodies import customer_of
from churn_api.problems import FieldProblem
from churn_api.schemas import allowed

FIELDS = (KEY.name, *(column.name for column in FEATURES))
BEFORE = "was:"  # the prefix of a field's value before a what-if
_OTHER = "More"
_GROUPS: Mapping[str, Sequence[str]] = {
    "Contract and bill": (
        "Contract", "tenure", "MonthlyCharges", "TotalCharges", "PaymentMethod", "PaperlessBilling",
    ),
    "Services": [name for each in DEPENDENCIES for name in (each.service, *each.dependents)],
    "Person": ("gender", "SeniorCitizen", "Partner", "Dependents"),
}  # fmt: skip
_LABELS = {KEY.name: "Customer id", "tenure": "Months as a customer", "StreamingTV": "Streaming TV"}
_HINTS = {"TotalCharges": "All that was ever billed"}


@dataclass(frozen=True)
class Choice:
    """One value that a field may have."""

    value: str
    label: str


@dataclass(frozen=True)
class Field:
    """One input: `choices` is empty for text, `problem` is what is wrong with its value."""

    name: str
    label: str
    value: str
    hint: str
    choices: tuple[Choice, ...]
    input_mode: str
    problem: FieldProblem | None

    @property
    def id(self) -> str:
        """The id of the input in the page."""
        return f"field-{self.name}"


@dataclass(frozen=True)
class Group:
    """Inputs that belong together, under a heading."""

    title: str
    fields: tuple[Field, ...]


def groups(texts: Mapping[str, str], problems: Sequence[FieldProblem] = ()) -> list[Group]:
    """Every feature as an input with its text, in groups."""
    wrong = {problem.field: problem for problem in reversed(problems)}
    grouped = {name for names in _GROUPS.values() for name in names}
    others = [column.name for column in FEATURES if column.name not in grouped]
    chosen = {**_GROUPS, **({_OTHER: others} if others else {})}
    return [
        Group(title, tuple(_field(BY_NAME[name], texts.get(name, ""), wrong.get(name)) for name in names))
        for title, names in chosen.items()
    ]


def label_of(name: str) -> str:
    """A field as people call it: `MonthlyCharges` is "Monthly charges"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return _LABELS.get(name, words[:1].upper() + words[1:].lower())


def texts_of(record: Mapping[str, Any]) -> dict[str, str]:
    """A record as the texts of its inputs."""
    return {name: _text(value) for name, value in record.items()}


def read_form(texts: Mapping[str, str]) -> tuple[str | None, dict[str, Any]]:
    """The customer id and the known fields of a form's texts, read as a line of a CSV is. Raises BadRecord."""
    return customer_of(cells_of({name: texts[name] for name in FIELDS if name in texts}))


def _field(column: Column, value: str, problem: FieldProblem | None) -> Field:
    choices = _choices(column)
    if choices and value and value not in [choice.value for choice in choices]:
        choices = (*choices, Choice(value, value))  # a value that no model knows; the answer will say so
    hint = "" if choices else _HINTS.get(column.name, allowed(column).capitalize())
    mode = "decimal" if column.kind == "amount" else "numeric"
    return Field(column.name, label_of(column.name), value, hint, choices, mode, problem)


def _choices(column: Column) -> tuple[Choice, ...]:
    if column.kind == "integer" and (column.minimum, column.maximum) == (0, 1):
        return (Choice("1", "Yes"), Choice("0", "No"))
    return tuple(Choice(category, category) for category in column.categories)


def _text(value: Any) -> str:
    """A value as a person would type it: 70.5, and 70 rather than 70.0."""
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
