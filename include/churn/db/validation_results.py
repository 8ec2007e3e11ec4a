"""Validation results: what each expectation observed in each extract."""

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from churn.db.database import Connection, query
from churn.records import ExpectationResult, Extract

_FIELDS = tuple(ExpectationResult.__dataclass_fields__)


def record(connection: Connection, extract: Extract, results: Sequence[ExpectationResult]) -> None:
    """Keep the results of one validation."""
    rows = [
        {
            "extract_id": extract.extract_id,
            **{name: getattr(result, name) for name in _FIELDS},
            "observed_value": None if result.observed_value is None else Jsonb(result.observed_value),
        }
        for result in results
    ]
    with connection.cursor() as cursor:
        cursor.executemany(query("record_validation_result"), rows)


def of_extract(connection: Connection, extract_id: int) -> list[ExpectationResult]:
    """The results of one extract, in the order of the suite."""
    rows = connection.execute(query("list_validation_results"), {"extract_id": extract_id}).fetchall()
    return [ExpectationResult(**{name: row[name] for name in _FIELDS}) for row in rows]
