"""Why: the top reasons, in words, of the customers of a run whom policy says."""

import logging
from collections.abc import Generator
from contextlib import closing

import numpy as np
import pyarrow as pa

from churn.core.contributions import Explainer, contributions_of
from churn.core.features import FeatureEncoder
from churn.core.model import ChurnModel
from churn.core.prefetch import prefetched
from churn.core.reasons import Reasons, top_reasons
from churn.db import scores
from churn.db.feature_stream import CustomerBlock, read_blocks
from churn.db.score_sources import risky_customers_of
from churn.policy import Policy
from churn.records import ScoringRun
from churn.services import Services

log = logging.getLogger(__name__)


def explain_scores(services: Services, connection: scores.Connection, run: ScoringRun) -> int:
    """Write the reasons of a ranked run into its table; return how many customers got some.

    Who: the top deciles by policy; everybody, where the table is small enough and the model explains fast.
    """
    model = services.registry.load(run.model_version, expected_digest=run.model_digest)
    explainer = explainer_of(services, run.model_version, model)
    lowest = explained_from(run, Policy.model_validate(run.policy), explainer.is_fast)
    with connection.transaction():
        count = 0
        if lowest is not None:
            blocks = read_blocks(services.database, model.encoder, risky_customers_of(run, lowest))
            with closing(prefetched(_explained(blocks, model.encoder, explainer))) as batches:
                count = scores.load_reasons(connection, run, batches)
        scores.mark_explained(connection, run, count)
    log.info("Reasons for %s of %s customers.", f"{count:,}", f"{run.scored_count:,}")
    return count


def explainer_of(services: Services, model_version: int, model: ChurnModel) -> Explainer:
    """The model's explainer. A linear model explains against the sample that travels with it; trees know their own."""
    if model.kind != "logistic":
        return contributions_of(model, np.empty((0, len(model.encoder.columns))))
    return contributions_of(model, model.encoder.encode(services.registry.load_reference(model_version)))


def explained_from(run: ScoringRun, policy: Policy, is_fast: bool) -> float | None:
    """The probability from which customers of a run get reasons, or None where nobody does."""
    if policy.reasons_top_deciles == 10 or (is_fast and (run.scored_count or 0) <= policy.reasons_for_all_up_to):
        return 0.0
    if policy.reasons_top_deciles == 0 or not run.percentile_cuts:
        return None
    return run.percentile_cuts[100 - 10 * policy.reasons_top_deciles - 1]


def _explained(
    blocks: Generator[CustomerBlock, None, None], encoder: FeatureEncoder, explainer: Explainer
) -> Generator[pa.RecordBatch, None, None]:
    with closing(blocks):
        for block in blocks:
            reasons = top_reasons(encoder, block.matrix, explainer.contributions(block.matrix))
            yield pa.record_batch([block.customer_ids, _as_lists(reasons)], schema=scores.REASONS)


def _as_lists(reasons: Reasons) -> pa.ListArray:
    given = reasons.codes >= 0
    offsets = np.concatenate([[0], np.cumsum(given.sum(axis=1))]).astype(np.int32)
    phrases = pa.array(reasons.phrases, pa.string()).take(pa.array(reasons.codes[given]))
    return pa.ListArray.from_arrays(pa.array(offsets), phrases)
