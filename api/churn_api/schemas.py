"""What a request may hold: the column contract of `churn.columns` as a pydantic model, written once.

Every field is optional; null is the same as left out. Numbers are JSON numbers within the contract's bounds.
A category the contract does not know is accepted: the model treats it as unknown and the answer says so.
"""

import difflib
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from pydantic_core import ErrorDetails

from churn.columns import BY_NAME, FEATURES, KEY, LABEL, Column
from churn_api.problems import FieldProblem

MAXIMUM_TEXT = 100
MAXIMUM_PROBLEMS = 20
_ACCEPTED = (KEY, *FEATURES)


def _whole(value: Any) -> Any:
    """12.0 is 12: some clients write every number with a point. Anything else stays for the type check."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _field_of(column: Column) -> tuple[Any, Any]:
    """The annotation and default of one column."""
    kind: Any
    if column.kind == "integer":
        limits = Field(strict=True, ge=column.minimum, le=column.maximum)
        kind = Annotated[int, limits, BeforeValidator(_whole)]
    elif column.kind == "amount":
        kind = Annotated[float, Field(strict=True, ge=column.minimum, le=column.maximum, allow_inf_nan=False)]
    else:
        kind = Annotated[str, Field(strict=True, min_length=1, max_length=MAXIMUM_TEXT)]
    return kind | None, Field(default=None, description=allowed(column), examples=list(column.categories) or None)


def allowed(column: Column) -> str:
    """What a column may hold, in words."""
    if column.categories:
        return "one of " + ", ".join(f'"{category}"' for category in column.categories)
    if column.kind == "integer":
        return f"a whole number from {column.minimum:.0f} to {column.maximum:.0f}"
    if column.kind == "amount":
        return f"a number from {column.minimum:.0f} to {column.maximum:.0f}"
    return f"text of 1 to {MAXIMUM_TEXT} characters"


CustomerRecord: type[BaseModel] = create_model(
    "CustomerRecord",
    __config__=ConfigDict(extra="forbid", frozen=True),
    __doc__="One customer as the extract names its columns; fields left out are unknown.",
    **{column.name: _field_of(column) for column in _ACCEPTED},  # type: ignore[call-overload]
)


def read_record(body: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """The customer id, or None, and the given features of a request's body.

    Raises pydantic's ValidationError; `field_problems` says in words what it found.
    """
    given = CustomerRecord.model_validate(body).model_dump(exclude_none=True)
    return given.pop(KEY.name, None), given


def field_problems(error: ValidationError) -> list[FieldProblem]:
    """Each field that breaks the contract, with what is expected. No value of the customer is repeated."""
    details = error.errors(include_url=False, include_input=False, include_context=False)
    return [_field_problem(detail) for detail in details[:MAXIMUM_PROBLEMS]]


def _field_problem(detail: ErrorDetails) -> FieldProblem:
    field = str(detail["loc"][0]) if detail["loc"] else "(name)"  # a name that is no Unicode text has no place
    column = BY_NAME.get(field)
    if detail["type"] == "extra_forbidden" or column is None:
        return _unexpected(field)
    return FieldProblem(
        field,
        f"{field} is not {allowed(column)}.",
        f"Send {allowed(column)}, or leave {field} out if it is unknown.",
    )


def _unexpected(field: str) -> FieldProblem:
    """A field that no customer has, with the one that was probably meant."""
    shown = field[:MAXIMUM_TEXT]
    if field == LABEL.name:
        return FieldProblem(field, f"{field} is what the model predicts.", "Leave it out.")
    likely = likely_field(field)
    hint = f"Did you mean {likely}? Otherwise leave it out." if likely else "Leave it out."
    return FieldProblem(shown, f"{shown} is not a field of a customer.", hint)


def likely_field(name: str) -> str | None:
    """The accepted field that `name` was probably meant to be, or None."""
    names = {_bare(column.name): column.name for column in _ACCEPTED}
    close = difflib.get_close_matches(_bare(name[:MAXIMUM_TEXT]), names, n=1, cutoff=0.7)
    return names[close[0]] if close else None


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
