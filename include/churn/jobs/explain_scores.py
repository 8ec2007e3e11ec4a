"""Why: the top reasons, in words, of the customers of a run whom policy says."""

import logging
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import inf

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from churn.core.contributions import Explainer, contributions_of
from churn.core.features import FeatureEncoder, Matrix
from churn.core.model import ChurnModel
from churn.core.prefetch import prefetched
from churn.core.reasons import Reasons, top_reasons
from churn.db import scores, scoring_parts, scoring_runs
from churn.db.feature_stream import CustomerBlock, read_blocks
from churn.db.score_sources import risky_customers_of
from churn.policy import Policy
from churn.records import ScoringRun
from churn.services import Services

log = logging.getLogger(__name__)

SPARE_PERCENT = 2  # of the customers: by so much tonight's ranking may differ before the history is read again


@dataclass(frozen=True)
class Explanation:
    """Who gets reasons with the score: whoever has the probability `lowest` or more (None: nobody).

    There is no explainer where the policy asks for no reasons.
    """

    encoder: FeatureEncoder
    explainer: Explainer | None
    lowest: float | None

    def reasons_of(self, matrix: Matrix, probabilities: NDArray[np.float64]) -> pa.ListArray:
        """The reasons of n customers; null for those who get none."""
        if self.explainer is None or self.lowest is None:
            return pa.nulls(len(matrix), pa.list_(pa.string()))
        chosen = probabilities >= self.lowest
        rows = matrix[chosen]
        return _as_lists(top_reasons(self.encoder, rows, self.explainer.contributions(rows)), chosen)


def explanation_beside_scores(
    services: Services, connection: scores.Connection, run: ScoringRun, model: ChurnModel
) -> Explanation:
    """Choose whom to explain before anybody is ranked: as if the scores were those that readers see now, and some more.

    What was too little or too much is put right by `explain_scores`. Before the first night it is nobody.
    """
    policy, count = Policy.model_validate(run.policy), run.customer_count or 0
    if not _asks_for_reasons(policy, count):
        return Explanation(model.encoder, None, None)
    explainer = explainer_of(services, run.model_version, model)
    shown = scoring_runs.published(connection)
    cuts = (shown.percentile_cuts if shown else None) or ()
    return Explanation(model.encoder, explainer, explained_from(policy, explainer.is_fast, count, cuts, SPARE_PERCENT))


def explain_scores(services: Services, connection: scores.Connection, run: ScoringRun) -> int:
    """See to it that in a ranked and sealed run those have reasons whom policy says, and nobody else; return how many.

    Who: the top deciles by policy; everybody, where the table is small enough and the model explains fast. Most of
    them got their reasons with their scores.
    """
    policy, count = Policy.model_validate(run.policy), run.scored_count or 0
    with connection.transaction():
        if _asks_for_reasons(policy, count):
            _explain_ranked(services, connection, run, policy)
        explained_count = scores.mark_explained(connection, run)
    log.info("Reasons for %s of %s customers.", f"{explained_count:,}", f"{count:,}")
    return explained_count


def _explain_ranked(services: Services, connection: scores.Connection, run: ScoringRun, policy: Policy) -> None:
    model = services.registry.load(run.model_version, expected_digest=run.model_digest)
    explainer = explainer_of(services, run.model_version, model)
    lowest = explained_from(policy, explainer.is_fast, run.scored_count or 0, run.percentile_cuts or ())
    if lowest is not None:
        _put_right(services, connection, run, Explanation(model.encoder, explainer, lowest), lowest)


def _asks_for_reasons(policy: Policy, customer_count: int) -> bool:
    """Whether anybody of so many customers may get reasons, however fast the model explains."""
    return policy.reasons_top_deciles > 0 or customer_count <= policy.reasons_for_all_up_to


def _put_right(
    services: Services, connection: scores.Connection, run: ScoringRun, explanation: Explanation, lowest: float
) -> None:
    """Take back the reasons of customers below `lowest`, and give reasons to those from there on who have none."""
    parts = scoring_parts.of_run(connection, run.scoring_run_id)
    explained_from = [inf if part.explained_from is None else part.explained_from for part in parts]
    if min(explained_from) < lowest:
        scores.withdraw_reasons(connection, run, lowest)
    for part, before in zip(parts, explained_from, strict=True):
        if before > lowest:
            source = risky_customers_of(run, part, lowest, before)
            blocks = read_blocks(services.database, explanation.encoder, source)
            with closing(prefetched(_explained(blocks, explanation))) as batches:
                scores.load_reasons(connection, run, batches)


def explainer_of(services: Services, model_version: int, model: ChurnModel) -> Explainer:
    """The model's explainer. A linear model explains against the sample that travels with it; trees know their own."""
    if model.kind != "logistic":
        return contributions_of(model, np.empty((0, len(model.encoder.columns))))
    return contributions_of(model, model.encoder.encode(services.registry.load_reference(model_version)))


def explained_from(
    policy: Policy, is_fast: bool, customer_count: int, cuts: Sequence[float], spare_percent: int = 0
) -> float | None:
    """The probability from which customers get reasons by the percentile cuts of a run; None where nobody does.

    `spare_percent` hundredths of them are added to the deciles that policy names.
    """
    if policy.reasons_top_deciles == 10 or (is_fast and customer_count <= policy.reasons_for_all_up_to):
        return 0.0
    if policy.reasons_top_deciles == 0 or not cuts:
        return None
    return cuts[100 - 10 * policy.reasons_top_deciles - spare_percent - 1]


def _explained(
    blocks: Generator[CustomerBlock, None, None], explanation: Explanation
) -> Generator[pa.RecordBatch, None, None]:
    with closing(blocks):
        for block in blocks:
            reasons = explanation.reasons_of(block.matrix, np.full(len(block), inf))
            ranked = pa.nulls(len(block), pa.float64())  # nobody of them is below the cut
            yield pa.record_batch([block.customer_ids, ranked, reasons], schema=scores.REASONS)


def _as_lists(reasons: Reasons, chosen: NDArray[np.bool_]) -> pa.ListArray:
    """The reasons of the chosen of n customers, null for the others."""
    given = reasons.codes >= 0
    lengths = np.zeros(len(chosen), np.int32)
    lengths[chosen] = given.sum(axis=1)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    phrases = pa.array(reasons.phrases, pa.string()).take(pa.array(reasons.codes[given]))
    return pa.ListArray.from_arrays(pa.array(offsets), phrases, mask=pa.array(~chosen))
