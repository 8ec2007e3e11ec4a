"""One part of a run: COPY out, predict, explain, COPY in, overlapped and in bounded memory; all commits together."""

import logging
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pyarrow as pa

from churn.core.engines import Engine
from churn.core.model import ChurnModel
from churn.core.prefetch import prefetched
from churn.db import scores, scoring_parts, scoring_runs
from churn.db.feature_stream import CustomerBlock, read_blocks
from churn.db.score_sources import changed_customers_of, customers_of
from churn.errors import ScoresUnusable
from churn.jobs.choose_engine import choose_engine
from churn.jobs.explain_scores import Explanation, explanation_beside_scores
from churn.jobs.reject_run import reject_run
from churn.records import Decision, Rule, ScoringPart, ScoringRun
from churn.services import Services

log = logging.getLogger(__name__)


def score_part(services: Services, scoring_run_id: int, part_number: int) -> ScoringPart:
    """Score the customers of one part into the run's table.

    A finished part is skipped, so a retry changes nothing; an attempt that has come to a standstill is taken over,
    and can write nothing more. Raises ArtifactRejected where the model is not the one the run recorded,
    RunRejected where the model gives something that is not a probability, RunNotOpen, TakenOver, DatabaseFull.
    """
    name = f"scoring run {scoring_run_id} part {part_number}"
    with services.database.exclusive(name, services.policy.takeover_after_seconds) as connection:
        part = scoring_parts.claim(connection, scoring_run_id, part_number)
        if part.finished_at is not None:
            log.info("Part %s of scoring run %s is finished already.", part_number, scoring_run_id)
            return part
        run = scoring_runs.get(connection, scoring_run_id)
        scoring_runs.require_state(run, "open")
        model = services.registry.load(run.model_version, expected_digest=run.model_digest)
        engine = choose_engine(services, run.model_version, run.model_digest, model)
        try:
            with connection.transaction():
                return _score(services, connection, run, part, model, engine)
        except ScoresUnusable as error:
            rule = Rule("every score is a probability", False, "something else", "0 to 1")
            raise reject_run(services, connection, run, Decision(False, error.message, (rule,))) from error


def _score(
    services: Services,
    connection: scores.Connection,
    run: ScoringRun,
    part: ScoringPart,
    model: ChurnModel,
    engine: Engine,
) -> ScoringPart:
    source, carried_count = customers_of(run, part), 0
    explanation = explanation_beside_scores(services, connection, run, model)
    if run.base_run_id is not None:
        base = scoring_runs.get(connection, run.base_run_id)
        carried_count = scores.carry_over(connection, run, part, base)
        source = changed_customers_of(run, part, base)
        explanation = replace(explanation, lowest=None)  # of those who are carried over nothing is read
    unknown: Counter[str] = Counter()
    blocks = read_blocks(services.database, model.encoder, source)
    with closing(prefetched(_scored(blocks, engine, explanation, unknown))) as batches:
        row_count = carried_count + scores.load(connection, run, batches)
    scored = replace(
        part,
        engine=engine.name,
        model_digest=run.model_digest,
        row_count=row_count,
        carried_count=carried_count,
        unknown_counts=dict(sorted(unknown.items())),
        explained_from=explanation.lowest,
    )
    finished = scoring_parts.finish(connection, scored)
    log.info("Part %s: %s customers by %s.", part.part_number, f"{row_count:,}", engine.name)
    return finished


def _scored(
    blocks: Generator[CustomerBlock, None, None], engine: Engine, explanation: Explanation, unknown: Counter[str]
) -> Generator[pa.RecordBatch, None, None]:
    """Predict and explain block by block, counting the cells that the model had to do without."""
    count, names = 0, explanation.encoder.names
    with closing(blocks):
        for block in blocks:
            probabilities = engine.probabilities(block.matrix)
            _require_probabilities(block, probabilities)
            missing = np.isnan(block.matrix).sum(axis=0)
            unknown.update({name: int(cells) for name, cells in zip(names, missing, strict=True) if cells})
            count += len(block)
            log.debug("Scored %s customers.", f"{count:,}")
            reasons = explanation.reasons_of(block.matrix, probabilities)
            yield pa.record_batch([block.customer_ids, pa.array(probabilities), reasons], schema=scores.REASONS)


def _require_probabilities(block: CustomerBlock, probabilities: np.ndarray) -> None:
    """Raise ScoresUnusable naming the first customer whose score is not a number between 0 and 1."""
    wrong = ~((probabilities >= 0) & (probabilities <= 1))
    if wrong.any():
        first = int(wrong.argmax())
        raise ScoresUnusable(
            f"The model gave customer {block.customer_ids[first].as_py()} the score {probabilities[first]}"
            f" ({int(wrong.sum())} such scores in the first {len(block)} customers that hold one).",
            "Promote another version, then `churn score run`.",
        )
