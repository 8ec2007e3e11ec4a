"""The query that reads today's customers from another database, whatever SQLAlchemy can open: the billing system."""

from collections.abc import Generator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from churn.errors import ConfigurationError, SourceUnusable

_FETCHED_ROWS = 5_000
_PARAMETER = "snapshot_date"


class SourceQuery:
    """A reviewed .sql file and the address of the database that answers it.

    Raises ConfigurationError where the file cannot be read or the address is none that SQLAlchemy understands.
    """

    def __init__(self, file: Path, url: str) -> None:
        try:
            self._statement = sqlalchemy.text(file.read_text("utf-8"))
            self._url = sqlalchemy.make_url(url)
            self._url.get_dialect()
        except OSError as error:
            raise ConfigurationError(f"The query {file} cannot be read.", "Correct CHURN_LANDING_QUERY.") from error
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
            # The address holds a password, and so may what SQLAlchemy says about it.
            raise ConfigurationError(
                "SQLAlchemy does not understand the address of the source database.",
                "Correct CHURN_LANDING_QUERY_URL or the Connection, or install its driver.",
            ) from error

    def rows(self, snapshot_date: date) -> Generator[list[str], None, None]:
        """The names of the columns, then row by row their values as an extract holds them.

        Read by a server-side cursor where the database has one, so never whole. `:snapshot_date` is passed where the
        query uses it. Raises SourceUnusable where the database does not answer the query.
        """
        asked = {_PARAMETER: snapshot_date} if _PARAMETER in self._statement.compile().params else {}
        engine = sqlalchemy.create_engine(self._url, poolclass=sqlalchemy.NullPool)
        try:
            with engine.connect() as connection:
                streaming = connection.execution_options(stream_results=True, yield_per=_FETCHED_ROWS)
                result = streaming.execute(self._statement, asked)
                yield list(result.keys())
                for row in result:
                    yield [_as_text(value) for value in row]
        except SQLAlchemyError as error:
            address = self._url.render_as_string(hide_password=True)
            raise SourceUnusable(
                f"The source database {address} does not answer the query: {str(error).splitlines()[0]}.",
                "Mend the connection or the query, then run `churn land` again.",
            ) from error


def _as_text(value: Any) -> str:
    """A value as an extract holds it: nothing is blank, a whole number has no decimals."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return format(value, ".0f")
    if isinstance(value, Decimal) and value.is_finite():
        return format(value.normalize(), "f")
    return str(value)
