"""Which candidate is made into the challenger, and how all of them compare."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from churn.core.choice import Choice, choose_candidate
from churn.core.estimation import CandidateEstimate, Recipe, baseline_aucs, blend
from churn.core.training import TrainingData, encoded
from churn.db import candidate_estimates
from churn.errors import NotFound
from churn.jobs.record_training import record_choice
from churn.jobs.train_candidate import TrainedCandidate
from churn.services import Services
from churn.tracking import Run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Chosen:
    """The kind and recipe that the challenger is made by, and the comparison that led to it."""

    choice: Choice
    recipe: Recipe


def choose(services: Services, run: Run, development: TrainingData, trained: Sequence[TrainedCandidate]) -> Chosen:
    """Compare the trained candidates on the development rows and log the comparison to the retraining's run.

    Raises NotFound where the database no longer has an estimate.
    """
    estimates = [_estimate_of(services, candidate) for candidate in trained]
    choice = choose_candidate(estimates, development.labels, services.policy)
    rows, groups = encoded(development), development.groups
    blended = blend(estimates, rows, groups, services.policy)
    record_choice(run, choice, blended, baseline_aucs(rows, groups, services.policy), services.policy)
    for standing in choice.standings:
        log.info("%s: %s.", standing.kind, standing.verdict)
    return Chosen(choice, next(each.recipe for each in estimates if each.kind == choice.kind))


def _estimate_of(services: Services, candidate: TrainedCandidate) -> CandidateEstimate:
    with services.database.transaction() as connection:
        found = candidate_estimates.find(connection, candidate.estimate_key)
    if found is None:
        raise NotFound(f"The database has no estimate of {candidate.kind} any more.", "Run the retraining again.")
    return found[0]
