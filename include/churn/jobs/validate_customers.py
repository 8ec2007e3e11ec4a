"""Validate landed extracts: admit the good, set bad rows aside, refuse a bad file whole."""

import logging
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

from churn import quality
from churn.core import extract_checks
from churn.db import extract_profiles, extracts, history, quarantined_rows, staging, validation_results
from churn.db.database import Connection
from churn.db.migrations import require_current_schema
from churn.errors import (
    ConfigurationError,
    ExtractRefused,
    NoCustomers,
    QuarantineOverCap,
    ReplacementNeeded,
    StillLanding,
)
from churn.policy import Policy
from churn.records import (
    ExpectationResult,
    Extract,
    ExtractArrival,
    ExtractOutcome,
    Judgement,
    LandedFile,
    Notice,
)
from churn.services import Services

log = logging.getLogger(__name__)

LOCK = "validate_customers"
_FILE_CAN_BE_READ = "file_can_be_read"
_QUARANTINE_WITHIN_CAP = "quarantine_within_cap"
_FILLER_COUNT = 2  # connections that write history at once
_NEXT_STEP = "Have the file corrected and delivered again; it is picked up by itself."


def validate_customers(services: Services, file: str | None = None, replace: bool = False) -> list[ExtractOutcome]:
    """Decide about every landed extract that is not decided yet, oldest first, or about one named `file`.

    A content that was admitted or refused before for the same day is left as it is, and its outcome says so;
    only a refused file that is named is judged again. Another content for an admitted day is held until it is named
    with `replace`. What a killed process left undecided is taken up. A file that has not landed whole is
    left, without an outcome.
    Raises AlreadyRunning where another process validates, StillLanding where the named file is not whole, and
    ConfigurationError where a replacement names no file. A refusal is an outcome: `require_admitted` makes it an error.
    """
    if replace and file is None:
        raise ConfigurationError("A replacement names no file.", "Run `churn admit FILE --replace`.")
    require_current_schema(services.database)
    outcomes = []
    with services.database.lock(LOCK):
        for landed in _landed(services, file):
            try:
                outcomes.append(_decide(services, landed, file is not None, replace))
            except StillLanding as error:
                if file is not None:
                    raise
                log.warning("%s It is left for the next time.", error.message)
    for outcome in outcomes:
        log.info("%s: %s", outcome.extract.source_url, outcome.summary()["note"])
    return outcomes


def require_admitted(outcomes: Iterable[ExtractOutcome], asked_for: bool = False) -> None:
    """Raise ExtractRefused naming every file that was refused now; one refused before is not told again.

    Raises ReplacementNeeded where a file that someone has `asked_for` is held.
    """
    outcomes = list(outcomes)
    for outcome in outcomes:
        if asked_for and outcome.extract.state == "held":
            raise ReplacementNeeded(
                f"{outcome.extract.source_url} was not admitted: {outcome.note}.", "Or leave the day as it is."
            )
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


def _decide(services: Services, landed: LandedFile, judge_again: bool, replace_admitted: bool) -> ExtractOutcome:
    with services.database.transaction() as connection:
        known, counting = extracts.find(connection, landed), extracts.counting_for(connection, landed.snapshot_date)
    if known and known.state == "admitted":
        return ExtractOutcome(known, (), (), _repeat(services, known, counting, replace_admitted))
    if known and known.state == "refused" and not judge_again:
        return ExtractOutcome(known, (), (), f"already refused: {known.refusal}")
    asked_before = known is not None and known.state == "received" and known.replaces_extract_id is not None
    if counting and not replace_admitted and not asked_before:
        return _hold(services, landed, known, counting)
    with services.database.transaction() as connection:
        extract = extracts.take_in(connection, landed, known, counting)
    try:
        return _judge(services, landed, extract)
    except StillLanding:
        with services.database.transaction() as connection:
            _clear(connection, extract)
            extracts.forget(connection, extract)
        raise


def _judge(services: Services, landed: LandedFile, extract: Extract) -> ExtractOutcome:
    """Stage the file, and let the suite judge it while its rows are being admitted: both take their time.

    Nothing of the admission is committed before the suite and the comparison with earlier days have let it pass, and
    what they say of a refused file goes before what stopped its admission.
    """
    try:
        row_count, warnings = _stage(services, landed, extract)
    except ExtractRefused as refusal:
        return _refuse(services, extract, refusal, Judgement(), _FILE_CAN_BE_READ)
    with ThreadPoolExecutor(max_workers=1) as beside:
        suite = beside.submit(
            quality.judge_extract, services.database.sqlalchemy_url, services.project_dir, services.reports, extract
        )
        arrival, compared = _compare(services, extract, row_count)

        def judgement() -> Judgement:
            return replace(suite.result(), results=(*suite.result().results, *compared))

        try:
            _require_accepted(landed, Judgement(compared))
            return _admit(services, landed, extract, arrival, judgement, warnings)
        except ExtractRefused as refusal:
            gravest = _refusal_of(landed, judgement()) or refusal
            return _refuse(services, extract, gravest, judgement(), _QUARANTINE_WITHIN_CAP)


def _repeat(services: Services, extract: Extract, counting: Extract | None, replace_admitted: bool) -> str:
    """Leave an admitted content as it is, or let one that was replaced count again where that was asked for."""
    if counting is None or counting.extract_id == extract.extract_id:
        return "already admitted: nothing to do"
    if not replace_admitted:
        return f"admitted before; {_replaceable(counting, extract.source_url)} again"
    with services.database.transaction() as connection:
        extracts.readmit(connection, extract, counting)
        is_current = extracts.point_customers_at(connection, extract)
    return f"admitted before, counts for its day again{'' if is_current else '; customers stays at a later day'}"


def _hold(services: Services, landed: LandedFile, known: Extract | None, counting: Extract) -> ExtractOutcome:
    """Keep a changed file of an admitted day waiting, and tell people once."""
    services.landing.require_unchanged(landed)
    told_before = known is not None and known.state == "held"
    with services.database.transaction() as connection:
        extract = known if known and told_before else extracts.hold(connection, landed, known)
    note = f"held: {_replaceable(counting, landed.url)}"
    if not told_before:
        services.notifier.send(
            Notice(
                title=f"Extract of {extract.snapshot_date} held",
                happened=f"{landed.url} differs from what was admitted for its day as extract {counting.extract_id}.",
                meaning="Nothing of it was admitted; customers and scores stay as they are.",
                next_step=f"Run `churn admit {shlex.quote(landed.url)} --replace`, or leave it: it is not told again.",
            )
        )
    return ExtractOutcome(extract, (), (), note)


def _replaceable(counting: Extract, url: str) -> str:
    return (
        f"extract {counting.extract_id} counts for {counting.snapshot_date} with other content; "
        f"run `churn admit {shlex.quote(url)} --replace` to let this one count"
    )


def _stage(services: Services, landed: LandedFile, extract: Extract) -> tuple[int, tuple[str, ...]]:
    """Copy the file to staging; return its row count and what is worth a warning."""
    with services.database.transaction() as connection, services.landing.text(landed) as text:
        return staging.stage(connection, extract, text), text.header.warnings


def _require_accepted(landed: LandedFile, judgement: Judgement) -> None:
    """Raise ExtractRefused where the suite refuses the file, or else the comparison with earlier days."""
    failed = [result for result in judgement.results if result.is_refusal and result.suite == quality.EXTRACT_SUITE]
    if failed:
        sentences = "; ".join(result.sentence for result in failed)
        raise ExtractRefused(f"The file fails its suite: {sentences}.", _NEXT_STEP)
    compared = [result for result in judgement.results if result.suite == extract_checks.SUITE]
    extract_checks.require_plausible(compared, f"churn admit {shlex.quote(landed.url)}")


def _refusal_of(landed: LandedFile, judgement: Judgement) -> ExtractRefused | None:
    try:
        _require_accepted(landed, judgement)
    except ExtractRefused as refusal:
        return refusal
    return None


def _compare(
    services: Services, extract: Extract, row_count: int
) -> tuple[ExtractArrival, tuple[ExpectationResult, ...]]:
    """The staged extract beside those before it, and what the checks say of it."""
    started = time.monotonic()
    with services.database.transaction() as connection:
        staging.require_staged(connection, extract)
        staging.analyse(connection)
        arrival = extract_profiles.arrival(connection, extract, row_count, services.policy.history_extract_count)
    results = extract_checks.check_arrival(arrival, services.policy, datetime.now(UTC).date())
    return arrival, _timed(results, started)


def _admit(
    services: Services,
    landed: LandedFile,
    extract: Extract,
    arrival: ExtractArrival,
    judged: Callable[[], Judgement],
    warnings: tuple[str, ...],
) -> ExtractOutcome:
    """Change customers, history, quarantine and the extract in one transaction, if the file turns out to be accepted.

    `judged` waits for the judgement of the file as a whole.
    """
    row_count, started = arrival.row_count, time.monotonic()
    with services.database.transaction() as connection:
        staging.require_staged(connection, extract)
        bad = quarantined_rows.find_bad(connection, row_count, services.policy.quarantine_cap_rate)
    table_name, admitted_count = _make_history(services, extract, bad)
    with services.database.transaction() as connection:
        staging.require_staged(connection, extract)
        if bad:
            quarantined_rows.set_aside(connection, extract, bad)
        if bad and landed.has_text:
            with services.landing.text(landed) as text:
                quarantined_rows.keep_text(connection, extract, text.chunks())
        broken = quarantined_rows.results_by_column(connection, extract)
        rules = _timed((_within_cap(row_count, len(bad), services.policy), *broken), started, quality.ROW_SUITE)
        history.attach(connection, extract, table_name)
        profile = _profile(services.policy, connection, extract, arrival, admitted_count)
        judgement = judged()
        _require_accepted(landed, judgement)
        extract = extracts.mark_admitted(connection, extract, row_count, admitted_count, len(bad), judgement.data_docs)
        is_current = extracts.point_customers_at(connection, extract)
        results = (*judgement.results, *rules, *profile)
        validation_results.record(connection, extract, results)
        staging.drop(connection, extract)
    warnings += tuple(result.sentence for result in results if result.severity == "warn" and not result.succeeded)
    return ExtractOutcome(extract, results, warnings, _admission_note(extract, is_current))


def _make_history(services: Services, extract: Extract, bad_line_numbers: Sequence[int]) -> tuple[str, int]:
    """Write the rows that are to be admitted where nobody reads them yet; return the table's name and their count."""

    def fill(blocks: history.BlockRange) -> int:
        with services.database.transaction() as connection:
            staging.require_staged(connection, extract)
            return history.fill(connection, extract, table_name, blocks, bad_line_numbers)

    with services.database.transaction() as connection:
        table_name = history.prepare(connection, extract)
        ranges = history.block_ranges(connection, _FILLER_COUNT)
    with ThreadPoolExecutor(max_workers=_FILLER_COUNT) as fillers:
        return table_name, sum(fillers.map(fill, ranges))


def _profile(
    policy: Policy, connection: Connection, extract: Extract, arrival: ExtractArrival, admitted_count: int
) -> tuple[ExpectationResult, ...]:
    """Keep what the admitted extract looks like; return the warnings that follow from it."""
    started = time.monotonic()
    profile, doubtful_count = extract_profiles.measure(connection, extract, arrival.row_count)
    new_values = extract_profiles.new_values(connection, extract)
    results = (
        *extract_checks.check_new_values(new_values, profile, arrival.row_count),
        *extract_checks.check_profile(profile, arrival.row_count, arrival.past, policy),
        extract_checks.check_bills(doubtful_count, admitted_count, policy),
    )
    return _timed(results, started)


def _within_cap(row_count: int, bad_count: int, policy: Policy) -> ExpectationResult:
    """That the bad rows of an admitted file were few enough, with the numbers that it was decided by."""
    observed = {"row_count": row_count, "cap_rate": policy.quarantine_cap_rate}
    return ExpectationResult(_QUARANTINE_WITHIN_CAP, None, "refuse", True, bad_count, observed)


def _what_stopped(step: str, refusal: ExtractRefused) -> ExpectationResult:
    """The refusal of a file by something that is no expectation of a suite."""
    if isinstance(refusal, QuarantineOverCap):
        observed = {"row_count": refusal.row_count, "cap_rate": refusal.cap_rate}
        return ExpectationResult(step, None, "refuse", False, refusal.bad_count, observed, refusal.message)
    return ExpectationResult(step, None, "refuse", False, None, refusal.message)


def _timed(
    results: Iterable[ExpectationResult], started: float, suite: str | None = None
) -> tuple[ExpectationResult, ...]:
    """The results with the seconds of the pass that they were part of."""
    seconds = round(time.monotonic() - started, 3)
    return tuple(replace(result, suite=suite or result.suite, duration_seconds=seconds) for result in results)


def _admission_note(extract: Extract, is_current: bool) -> str:
    note = f"{extract.admitted_count} of {extract.row_count} rows admitted"
    note += f", {extract.quarantined_count} quarantined"
    return note if is_current else f"{note}; customers stays at a later day"


def _refuse(
    services: Services, extract: Extract, refusal: ExtractRefused, judgement: Judgement, step: str
) -> ExtractOutcome:
    """Record the refusal and tell people; no customer row changes."""
    results = judgement.results
    if not any(result.is_refusal for result in results):
        results = (*results, _what_stopped(step, refusal))
    with services.database.transaction() as connection:
        extract = extracts.mark_refused(connection, extract, refusal.message, judgement.data_docs)
        validation_results.record(connection, extract, results)
        _clear(connection, extract)
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


def _clear(connection: Connection, extract: Extract) -> None:
    """Leave no row of a file that was not admitted."""
    staging.drop(connection, extract)
    history.discard(connection)


def _what_a_refusal_means(connection: Connection) -> str:
    try:
        current = extracts.current(connection)
    except NoCustomers:
        return "There is no customer table yet, so nothing can be trained or scored."
    return f"customers stays as of {current.snapshot_date}, and so do scores until a later file is admitted."
