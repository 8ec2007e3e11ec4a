"""Extracts: landed files and what was decided about them."""

from datetime import date
from typing import Any

from churn.columns import LABEL
from churn.core.training_sources import Snapshot
from churn.db.database import Connection, query
from churn.errors import ChurnError, NoCustomers, NotFound, NothingToTrainOn
from churn.records import Extract, ExtractState, LandedFile

_FIELDS = tuple(Extract.__dataclass_fields__)


def get(connection: Connection, extract_id: int) -> Extract:
    """Read one extract. Raises ChurnError where there is none of this number."""
    extract = _read(connection, "get_extract", {"extract_id": extract_id})
    if extract is None:
        raise ChurnError(f"There is no extract {extract_id}.", "Look it up in monitoring.extracts.")
    return extract


def current(connection: Connection) -> Extract:
    """The extract that `customers` shows. Raises NoCustomers before the first admission."""
    extract = _read(connection, "get_current_extract", {})
    if extract is None:
        raise NoCustomers("No extract has been admitted yet.", "Land one and run `churn admit`.")
    return extract


def of_date(connection: Connection, day: date) -> Extract:
    """The extract that counts for a day. Raises NotFound where none was admitted for it."""
    extract = _read(connection, "get_extract_of_date", {"snapshot_date": day})
    if extract is None:
        raise NotFound(f"No extract of {day} was admitted.", "Land it and run `churn admit`, or name another day.")
    return extract


def latest_labelled(connection: Connection) -> Extract:
    """The extract of the newest day that was delivered with labels. Raises NothingToTrainOn without one."""
    extract = _read(connection, "get_latest_labelled_extract", {})
    if extract is None:
        raise NothingToTrainOn(
            "No admitted extract has labels.",
            f"Land one with the column {LABEL.name} and run `churn admit`.",
        )
    return extract


def snapshots(connection: Connection) -> list[Snapshot]:
    """The extract that counts for each day, in the order of days."""
    return [Snapshot(**row) for row in connection.execute(query("list_snapshots")).fetchall()]


def find(connection: Connection, landed: LandedFile) -> Extract | None:
    """What was decided last about this content for this day, if it was ever seen."""
    parameters = {"content_hash": landed.content_hash, "snapshot_date": landed.snapshot_date}
    return _read(connection, "find_extract", parameters)


def known_hashes(connection: Connection) -> dict[tuple[str, str], str]:
    """The content hash of every file that was read before, by (url, version)."""
    rows = connection.execute(query("list_known_hashes")).fetchall()
    return {(row["source_url"], row["source_version"]): row["content_hash"] for row in rows}


def counting_for(connection: Connection, day: date) -> Extract | None:
    """The extract that counts for a day, if one was admitted."""
    return _read(connection, "get_extract_of_date", {"snapshot_date": day})


def take_in(connection: Connection, landed: LandedFile, known: Extract | None, replaced: Extract | None) -> Extract:
    """Let a landed file be validated: in state `received`, as a new extract or as `known` where it is undecided.

    `replaced` is the extract that it was asked to replace; that is remembered for whoever takes over.
    """
    return _move(connection, landed, known, "received", replaced.extract_id if replaced else None)


def hold(connection: Connection, landed: LandedFile, known: Extract | None) -> Extract:
    """Keep a landed file waiting, in state `held`, until someone asks that it replaces what was admitted."""
    return _move(connection, landed, known, "held", None)


def forget(connection: Connection, extract: Extract) -> None:
    """Drop an extract in state `received`: its file was not complete."""
    connection.execute(query("forget_received_extract"), {"extract_id": extract.extract_id})


def mark_admitted(
    connection: Connection,
    extract: Extract,
    row_count: int,
    admitted_count: int,
    quarantined_count: int,
    data_docs: str | None,
) -> Extract:
    """Record the admission; the database holds row_count to the sum of the other two.

    Raises ChurnError where the extract was decided in the meantime.
    """
    parameters = {
        "extract_id": extract.extract_id,
        "row_count": row_count,
        "admitted_count": admitted_count,
        "quarantined_count": quarantined_count,
        "data_docs": data_docs,
    }
    return _one(_read(connection, "mark_extract_admitted", parameters))


def mark_refused(connection: Connection, extract: Extract, refusal: str, data_docs: str | None) -> Extract:
    """Record the refusal and why. Raises ChurnError where the extract was decided in the meantime."""
    parameters = {"extract_id": extract.extract_id, "refusal": refusal, "data_docs": data_docs}
    return _one(_read(connection, "mark_extract_refused", parameters))


def readmit(connection: Connection, extract: Extract, replaced: Extract) -> None:
    """Let an admitted extract count for its day again, in place of the one that does."""
    parameters = {"extract_id": extract.extract_id, "replaces_extract_id": replaced.extract_id}
    connection.execute(query("readmit_extract"), parameters)


def point_customers_at(connection: Connection, extract: Extract) -> bool:
    """Let `customers` show this extract unless it shows a later day; return whether it does now."""
    return connection.execute(query("point_customers_at_extract"), {"extract_id": extract.extract_id}).rowcount == 1


def _move(
    connection: Connection, landed: LandedFile, known: Extract | None, state: ExtractState, replaced_id: int | None
) -> Extract:
    parameters: dict[str, Any] = {"state": state, "replaces_extract_id": replaced_id}
    if known and known.state != "refused":
        return _one(_read(connection, "move_undecided_extract", parameters | {"extract_id": known.extract_id}))
    parameters |= {
        "content_hash": landed.content_hash,
        "source_url": landed.url,
        "source_version": landed.version,
        "snapshot_date": landed.snapshot_date,
    }
    return _one(_read(connection, "register_extract", parameters))


def _read(connection: Connection, name: str, parameters: dict[str, Any]) -> Extract | None:
    row = connection.execute(query(name), parameters).fetchone()
    return Extract(**{field: row[field] for field in _FIELDS}) if row else None


def _one(extract: Extract | None) -> Extract:
    if extract is None:
        raise ChurnError("The extract was decided by another process in the meantime.", "Run `churn admit` again.")
    return extract
