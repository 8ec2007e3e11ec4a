"""Before anyone may read a run: sealed, explained, and held against rules, suite and earlier nights."""

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

from churn.core.run_checks import baseline_of_reference, baseline_of_runs, check_run
from churn.db import scores, scoring_runs
from churn.errors import NotFound
from churn.jobs.explain_scores import explain_scores
from churn.jobs.reject_run import reject_run
from churn.policy import Policy
from churn.records import Decision, ExpectationResult, Judgement, Rule, ScoreBaseline, ScoreSummary, ScoringRun
from churn.run_judge import RunJudge
from churn.services import Services

log = logging.getLogger(__name__)


def check_scores(services: Services, scoring_run_id: int, judge: RunJudge | None = None) -> ScoringRun:
    """Seal the loaded run, give its customers their reasons, and decide whether it may be published.

    Whatever of that is done already is skipped. A shadow run is compared with the published one instead of being
    published. `judge` is one that the caller has started early. Raises RunRejected with every failed rule, after
    recording it and sending a notice.
    """
    name = f"scoring run {scoring_run_id}"
    with services.database.exclusive(name, services.policy.takeover_after_seconds) as connection:
        run = scoring_runs.get(connection, scoring_run_id)
        if run.state in ("checked", "published"):
            return run
        scoring_runs.require_state(run, "open", "scored")
        with nullcontext(judge) if judge else judge_of(services, scoring_run_id) as ready:
            run, summary, judgement = _seal_and_explain(services, connection, run, ready)
        decision = _decide(services, connection, run, summary, judgement)
        if not decision.approved:
            raise reject_run(services, connection, run, decision)
        scoring_runs.mark_checked(connection, run, decision)
        log.info("%s", decision.reason)
        if run.mode == "shadow":
            _compare_with_published(connection, run)
        return scoring_runs.get(connection, scoring_run_id)


def judge_of(services: Services, scoring_run_id: int) -> RunJudge:
    """Start the judge of a run, which takes seconds to get ready."""
    url = services.database.sqlalchemy_url_with({"churn.checked_run_id": str(scoring_run_id)})
    return RunJudge(url, services.project_dir, services.reports)


def _seal_and_explain(
    services: Services, connection: scores.Connection, run: ScoringRun, judge: RunJudge
) -> tuple[ScoringRun, ScoreSummary, Judgement]:
    """Rank the scores while their key is built, and explain them while they are judged.

    Not all at once: the seal would wait for whoever reads the table, and everybody else for the seal.
    """
    scores.close(connection, run)
    with ThreadPoolExecutor(max_workers=1) as beside:
        sealing = beside.submit(_seal, services, run)
        if run.state == "open":
            scores.rank(connection, run)
        sealing.result()
        run = scoring_runs.get(connection, run.scoring_run_id)
        judge.ask(run)
        summarising = beside.submit(_summarise, services, run)
        if run.explained_count is None:
            explain_scores(services, connection, run)
        scores.seal_reasons(connection, run)
        summary = summarising.result()
    return scoring_runs.get(connection, run.scoring_run_id), summary, judge.answer()


def _seal(services: Services, run: ScoringRun) -> None:
    name = f"seal scoring run {run.scoring_run_id}"
    with services.database.exclusive(name, services.policy.takeover_after_seconds) as connection:
        scores.seal(connection, run)


def _summarise(services: Services, run: ScoringRun) -> ScoreSummary:
    with services.database.transaction() as connection:
        return scores.summarise(connection, run)


def _decide(
    services: Services, connection: scores.Connection, run: ScoringRun, summary: ScoreSummary, judgement: Judgement
) -> Decision:
    policy = Policy.model_validate(run.policy)
    baseline = _baseline(services, connection, run, policy.baseline_run_count)
    return check_run(summary, run.model_digest, baseline, policy, [_as_rule(each) for each in judgement.results])


def _as_rule(result: ExpectationResult) -> Rule:
    about = f" of {result.column_name}" if result.column_name else ""
    observed = str(result.observed_value) if result.observed_value is not None else str(result.succeeded)
    return Rule(f"{result.expectation}{about}", result.succeeded, observed, "as the suite scoring_run says")


def _baseline(
    services: Services, connection: scores.Connection, run: ScoringRun, run_count: int
) -> ScoreBaseline | None:
    """The nights before; before the first one, the model's own reference."""
    runs = scoring_runs.baseline(connection, run, run_count)
    if runs:
        return baseline_of_runs(runs, run)
    reference = services.registry.load_reference(run.model_version)
    return baseline_of_reference(reference["churn_probability"].to_numpy(float))


def _compare_with_published(connection: scores.Connection, run: ScoringRun) -> None:
    try:
        shown = scoring_runs.of_date(connection, run.snapshot_date)
    except NotFound as error:
        log.info("Nothing to compare the shadow with: %s", error)
        return
    compared = scores.compare(connection, run, shown)
    log.info(
        "Against run %s: mean %+.4f, %.1f %% of customers in another decile, %.1f %% at another risk level.",
        shown.scoring_run_id, compared.mean_difference,
        100 * compared.moved_decile_rate, 100 * compared.changed_risk_level_rate,
    )  # fmt: skip
