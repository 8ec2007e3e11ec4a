"""GET /v1/customers/{id}/score: what the nights have published about one customer."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Blueprint, current_app
from pydantic import BaseModel, TypeAdapter

from churn.columns import MAXIMUM_KEY_LENGTH
from churn.db import serving
from churn.db.database import Connection, Database
from churn.db.serving import CustomerInputs, PublishedScore
from churn.errors import DatabaseUnavailable
from churn_api.auth import needs
from churn_api.night import Night
from churn_api.problems import Problem

blueprint = Blueprint("customers", __name__)
Found = TypeVar("Found")


class CustomerScores(BaseModel):
    """One customer: the row that readers see now (null where the newest run has none), and every kept one."""

    customer_id: str
    score: PublishedScore | None
    history: list[PublishedScore]


_AS_JSON = TypeAdapter(CustomerScores)


@blueprint.get("/v1/customers/<string:customer_id>/score")
@needs("read")
def customer_score(customer_id: str) -> dict[str, Any]:
    """The published row of one customer, with those of earlier nights, newest first."""
    return _AS_JSON.dump_python(published_scores(customer_id), mode="json")


def published_scores(customer_id: str) -> CustomerScores:
    """What the nights have published about one customer. Raises Problem: 404 for nobody, 503 without the database."""
    history = _ask(customer_id, serving.scores_of) or []
    if not history:
        raise Problem(404, "no-such-customer", "No published run holds a customer with this id.",
                      "Correct the id, or POST the customer to /v1/predict.")  # fmt: skip
    current = next((row for row in history if row.is_current), None)
    return CustomerScores(customer_id=customer_id, score=current, history=history)


def published_inputs(customer_id: str) -> CustomerInputs | None:
    """The fields of one customer that the newest published run scored. Raises Problem without the database."""
    return _ask(customer_id, serving.inputs_of)


def open_database() -> Database:
    """The API's database, or a problem that says that it has none."""
    night: Night = current_app.extensions["night"]
    if night.database is None:
        raise Problem(503, "no-database", "The API was started without a database.",
                      "Set CHURN_API_DATABASE_URL and start it again.")  # fmt: skip
    return night.database


def database_away() -> Problem:
    """The problem of a database that cannot be asked; its address stays in the log."""
    return Problem(503, "database-unavailable", "The database cannot be asked at this moment.",
                   "Ask again in a few seconds; predictions need no database.", retry_after=5)  # fmt: skip


def _ask(customer_id: str, read: Callable[[Connection, str], Found]) -> Found | None:
    """What `read` finds of one customer; None where no customer can have this id."""
    if len(customer_id) > MAXIMUM_KEY_LENGTH or "\0" in customer_id:  # PostgreSQL knows no text with a zero in it
        return None
    try:
        with open_database().transaction() as connection:
            return read(connection, customer_id)
    except DatabaseUnavailable as error:
        raise database_away() from error
