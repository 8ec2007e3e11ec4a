"""The request log is kept for as long as the policy says, and for no customer who is to be forgotten."""

from churn.db import answered_requests
from churn.db.database import Database
from churn.db.migrations import require_current_schema


def drop_old_requests(database: Database, kept_days: int) -> int:
    """Drop the days of the request log that are older than `kept_days`; the number of days dropped."""
    require_current_schema(database)
    with database.transaction() as connection:
        return answered_requests.drop_old(connection, kept_days)


def erase_customer(database: Database, customer_id: str) -> int:
    """Erase every request that named the customer; the number of rows erased.

    What a worker still holds is written within a second or so: run it again where the customer was asked about just
    now. A request without a customer's id belongs to nobody who could be found.
    """
    require_current_schema(database)
    with database.transaction() as connection:
        return answered_requests.erase(connection, customer_id)
