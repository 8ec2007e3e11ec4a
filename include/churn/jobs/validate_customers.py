"""Validate landed extracts: admit the good, set bad rows aside, refuse a bad file whole."""

import logging
from collections.abc import Iterable

from churn import quality
from churn.core.extract_text import ExtractText
from churn.db import extracts, quarantined_rows, staging, validation_results
from churn.db.database import Connection
from churn.db.migrations import require_current_schema
from churn.errors import ExtractRefused, NoCustomers
from churn.records import ExpectationResult, Extract, ExtractOutcome, Judgement, LandedFile, Notice
from churn.services import Services

log = logging.getLogger(__name__)

LOCK = "validate_customers"
_FILE_CAN_BE_READ = "file_can_be_read"
_QUARANTINE_WITHIN_CAP = "quarantine_within_cap"
_NEXT_STEP = "Have the file corrected and delivered again; it is picked up by itself."


def validate_customers(services: Services, file: str | None = None) -> list[ExtractOutcome]:
    """Decide about every landed extract that is not decided yet, oldest first, or about one named `file`.

    A content that was admitted or refused before for the same day is left as it is, and its outcome says so;
    only a refused file that is named is judged again. What a killed process left undecided is taken up.
    Raises AlreadyRunning where another process validates. A refusal is an outcome: `require_admitted` makes it an
    error.
    """
    require_current_schema(services.database)
    with services.database.lock(LOCK):
        outcomes = [_decide(services, landed, judge_again=file is not None) for landed in _landed(services, file)]
    for outcome in outcomes:
        log.info("%s: %s", outcome.extract.source_url, outcome.summary()["note"])
    return outcomes


def require_admitted(outcomes: Iterable[ExtractOutcome]) -> None:
    """Raise ExtractRefused naming every file that was refused now; one refused before is not told again."""
    refused = [outcome for outcome in outcomes if outcome.extract.state == "refused" and outcome.results]
    if refused:
        told = " ".join(f"{outcome.extract.source_url} was {outcome.note}" for outcome in refused)
        raise ExtractRefused(told, _NEXT_STEP)


def _landed(services: Services, file: str | None) -> list[LandedFile]:
    if file is not None:
        return [services.landing.file(file)]
    with services.database.transaction() as connection:
        known = extracts.known_hashes(connection)
    return services.landing.files(known)


def _decide(services: Services, landed: LandedFile, judge_again: bool) -> ExtractOutcome:
    with services.database.transaction() as connection:
        extract = extracts.find(connection, landed)
        if extract and extract.state == "admitted":
            return ExtractOutcome(extract, (), (), _readmit(connection, extract))
        if extract and extract.state == "refused" and not judge_again:
            return ExtractOutcome(extract, (), (), f"already refused: {extract.refusal}")
        if extract is None or extract.state == "refused":
            extract = extracts.register(connection, landed)
    judgement, step = Judgement(), _FILE_CAN_BE_READ
    try:
        row_count, warnings = _stage(services, landed, extract)
        judgement = quality.judge_extract(
            services.database.sqlalchemy_url, services.project_dir, services.reports, extract
        )
        _require_suite(judgement.results)
        step = _QUARANTINE_WITHIN_CAP
        return _admit(services, extract, row_count, judgement, warnings)
    except ExtractRefused as refusal:
        return _refuse(services, extract, refusal, judgement, step)


def _readmit(connection: Connection, extract: Extract) -> str:
    """The file of a day that was replaced lies there again: what lies there is what counts."""
    if not extracts.readmit(connection, extract):
        return "already admitted: nothing to do"
    is_current = extracts.point_customers_at(connection, extract)
    return f"admitted before, counts for its day again{'' if is_current else '; customers stays at a later day'}"


def _stage(services: Services, landed: LandedFile, extract: Extract) -> tuple[int, tuple[str, ...]]:
    """Copy the file to staging; return its row count and what is worth a warning."""
    with services.landing.open(landed) as stream, services.database.transaction() as connection:
        text = ExtractText(stream)
        row_count = staging.stage(connection, extract, text)
        if text.content_hash != landed.content_hash:
            raise ExtractRefused("The file changed while it was being read.", "Wait until its upload is complete.")
        return row_count, text.header.warnings


def _require_suite(results: Iterable[ExpectationResult]) -> None:
    failed = [result for result in results if result.severity == "refuse" and not result.succeeded]
    if failed:
        raise ExtractRefused(f"The file fails its suite: {'; '.join(map(_told, failed))}.", _NEXT_STEP)


def _told(result: ExpectationResult) -> str:
    count = "" if result.unexpected_count is None else f" ({result.unexpected_count} values do not)"
    return f"{result.expectation.replace('_', ' ')} in {result.column_name or 'the table'}{count}"


def _admit(
    services: Services, extract: Extract, row_count: int, judgement: Judgement, warnings: tuple[str, ...]
) -> ExtractOutcome:
    """Change customers, history, quarantine and the extract in one transaction."""
    with services.database.transaction() as connection:
        staging.require_staged(connection, extract)
        aside_count = quarantined_rows.set_aside(connection, extract, row_count, services.policy.quarantine_cap_rate)
        extracts.add_history_partition(connection, extract)
        admitted_count = staging.admit(connection, extract)
        extract = extracts.mark_admitted(
            connection, extract, row_count, admitted_count, aside_count, judgement.data_docs
        )
        is_current = extracts.point_customers_at(connection, extract)
        results = (*judgement.results, *quarantined_rows.results_by_column(connection, extract))
        validation_results.record(connection, extract, results)
        staging.drop(connection, extract)
    warnings += tuple(_told(result) for result in results if result.severity == "warn" and not result.succeeded)
    return ExtractOutcome(extract, results, warnings, _admission_note(extract, is_current))


def _admission_note(extract: Extract, is_current: bool) -> str:
    note = f"{extract.admitted_count} of {extract.row_count} rows admitted"
    note += f", {extract.quarantined_count} quarantined"
    return note if is_current else f"{note}; customers stays at a later day"


def _refuse(
    services: Services, extract: Extract, refusal: ExtractRefused, judgement: Judgement, step: str
) -> ExtractOutcome:
    """Record the refusal and tell people; no customer row changes."""
    results = judgement.results
    if all(result.succeeded or result.severity != "refuse" for result in results):
        results = (*results, ExpectationResult(step, None, "refuse", False, None, refusal.message))
    with services.database.transaction() as connection:
        extract = extracts.mark_refused(connection, extract, refusal.message, judgement.data_docs)
        validation_results.record(connection, extract, results)
        staging.drop(connection, extract)
        meaning = _what_a_refusal_means(connection)
    services.notifier.send(
        Notice(
            title=f"Extract of {extract.snapshot_date} refused",
            happened=f"{extract.source_url} was refused. {refusal.message}",
            meaning=meaning,
            next_step=refusal.next_step,
        )
    )
    return ExtractOutcome(extract, results, (), f"refused: {refusal.message}")


def _what_a_refusal_means(connection: Connection) -> str:
    try:
        current = extracts.current(connection)
    except NoCustomers:
        return "There is no customer table yet, so nothing can be trained or scored."
    return f"customers stays as of {current.snapshot_date}, and so do scores until a later file is admitted."
