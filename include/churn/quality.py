"""Great Expectations: the reviewed suites of great_expectations/, run in the database by pushdown."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from churn.errors import ConfigurationError
from churn.records import ExpectationResult, Extract, Judgement, Severity
from churn.reports import Reports

CONTEXT_FOLDER = "great_expectations"
EXTRACT_SUITE, ROW_SUITE, TRAINING_SUITE, RUN_SUITE = (
    "customers_extract",
    "customers_rows",
    "training_frame",
    "scoring_run",
)
DATA_SOURCE = "churn"
_EXAMPLE_COUNT, _SHOWN_LENGTH = 3, 40
_SEVERITIES: dict[str, Severity] = {"critical": "refuse", "warning": "warn", "info": "warn"}


def judge_extract(sqlalchemy_url: str, project_dir: Path, reports: Reports, extract: Extract) -> Judgement:
    """Run the suite of the staged extract and build its page in `reports`/data_docs.

    Raises ConfigurationError where an expectation cannot be evaluated: that says nothing about the file.
    """
    with reports.writing() as folder:
        context = open_context(sqlalchemy_url, project_dir, folder)
        return _judge(context, EXTRACT_SUITE, f"extract-{extract.extract_id}", folder)


def judge_run(context: Any, scoring_run_id: int, customer_count: int, reports: Path) -> Judgement:
    """Run the suite of a sealed scoring run in a context whose connections name that run (churn.checked_scores).

    `customer_count` is the number of customers of its snapshot. Raises ConfigurationError where an expectation
    cannot be evaluated: that says nothing about the run.
    """
    name = f"scoring-run-{scoring_run_id}"
    return _judge(context, RUN_SUITE, name, reports, {"customer_count": customer_count})


def judge_training(
    sqlalchemy_url: str, project_dir: Path, reports: Reports, extract: Extract, customer_count: int
) -> Judgement:
    """Run the suite of the labelled customers of an extract, which the connection names (churn.training_customers).

    `customer_count` is the number that was read for training. Raises ConfigurationError where an expectation cannot
    be evaluated: that says nothing about the customers.
    """
    name = f"training-{extract.extract_id}"
    with reports.writing() as folder:
        context = open_context(sqlalchemy_url, project_dir, folder)
        return _judge(context, TRAINING_SUITE, name, folder, {"customer_count": customer_count})


def _judge(
    context: Any, suite: str, run_name: str, reports: Path, parameters: dict[str, Any] | None = None
) -> Judgement:
    """Evaluate a suite and build its page.

    The first pass asks for booleans only, which bundles its counts into few scans; only where something
    failed a second pass of the same run fetches numbers and examples.
    """
    # Importing Great Expectations takes seconds, and every command of the CLI would pay for it.
    from great_expectations.core.run_identifier import RunIdentifier

    run = RunIdentifier(run_name=run_name, run_time=datetime.now(UTC))
    started = time.monotonic()
    try:
        outcome = context.checkpoints.get(suite).run(run_id=run, expectation_parameters=parameters)
        if not outcome.success:
            outcome = context.checkpoints.get(f"{suite}_details").run(run_id=run, expectation_parameters=parameters)
    finally:
        context.data_sources.get(DATA_SOURCE).get_execution_engine().engine.dispose()
    identifier, validation = next(iter(outcome.run_results.items()))
    seconds = round(time.monotonic() - started, 3)
    return Judgement(
        results=tuple(_result(result, suite, seconds) for result in validation.results),
        data_docs=_page(context.get_docs_sites_urls(identifier), reports),
    )


def open_context(sqlalchemy_url: str, project_dir: Path, reports: Path) -> Any:
    """The file context of the checkout; address and reports folder are substituted, never written into it."""
    import great_expectations

    folder = project_dir / CONTEXT_FOLDER
    if not (folder / "great_expectations.yml").is_file():
        # Great Expectations would make a new context of its own there.
        raise ConfigurationError(f"{folder} holds no great_expectations.yml.", "Correct CHURN_PROJECT_DIR.")
    return great_expectations.get_context(
        mode="file",
        context_root_dir=folder,
        runtime_environment={
            "CHURN_DB_URL": sqlalchemy_url,
            "CHURN_REPORTS_DIR": str(reports.resolve()),
        },
    )


def _result(result: Any, suite: str, seconds: float) -> ExpectationResult:
    """Our record of one GX result. Raises ConfigurationError where it could not be evaluated."""
    config = result.expectation_config
    column = config.kwargs.get("column") or config.kwargs.get("column_B")
    failure = _exception_message(result.exception_info or {})
    if failure:
        raise ConfigurationError(
            f"{config.type} of {column or 'the table'} cannot be evaluated: {failure}.",
            f"Correct {CONTEXT_FOLDER}/expectations/{suite}.json; the data themselves were not judged.",
        )
    details = result.result or {}
    ours = ExpectationResult(
        expectation=config.type,
        column_name=column,
        severity=_SEVERITIES[str(getattr(config.severity, "value", config.severity))],
        succeeded=bool(result.success),
        unexpected_count=details.get("unexpected_count"),
        observed_value=details.get("observed_value", _observed_share(details)),
        suite=suite,
        duration_seconds=seconds,
    )
    return ours if ours.succeeded else replace(ours, finding=_finding(ours, details))


def _finding(result: ExpectationResult, details: dict[str, Any]) -> str | None:
    """For values of another type or outside the contract: what was found instead, in examples."""
    looks = {
        "expect_column_values_to_match_regex": "retyped",
        "expect_column_values_to_be_in_set": "recoded",
    }.get(result.expectation)
    found = list(dict.fromkeys(str(value)[:_SHOWN_LENGTH] for value in details.get("partial_unexpected_list") or ()))
    if not looks or not found:
        return None
    return f"{result.sentence}: it looks {looks}, for example {', '.join(map(repr, found[:_EXAMPLE_COUNT]))}"


def _observed_share(details: dict[str, Any]) -> dict[str, float] | None:
    """The share of unexpected values, 0..1. The values are customers' and stay in the data docs."""
    percent = details.get("unexpected_percent")
    return None if percent is None else {"unexpected_rate": round(percent / 100, 6)}


def _exception_message(info: dict[str, Any]) -> str | None:
    """GX tells of an exception either flat or by metric."""
    told = [info, *(value for value in info.values() if isinstance(value, dict))]
    return next((str(each.get("exception_message")) for each in told if each.get("raised_exception")), None)


def _page(sites: list[dict[str, Any]], reports: Path) -> str | None:
    for site in sites:
        if site.get("site_url"):
            page = Path(unquote(str(site["site_url"]).removeprefix("file://")))
            return page.relative_to(reports.resolve()).as_posix()
    return None
