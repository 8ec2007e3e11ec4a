"""The winner of a retraining is judged once, registered, and promoted or proposed where the gate approves."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from churn.core import training
from churn.core.candidates import Kind
from churn.core.model_card import CardFacts
from churn.core.promotion import Evidence
from churn.core.promotion import decide_promotion as decide
from churn.core.training_sources import LabelSource
from churn.db import promotions, retraining_requests
from churn.jobs.choose_candidate import choose
from churn.jobs.choose_engine import admit_engine
from churn.jobs.gather_evidence import Gathering, gather_evidence
from churn.jobs.plan_training import TrainingPlan, frozen_rows
from churn.jobs.record_model import record_card, record_contributions
from churn.jobs.record_training import record_decision, record_holdout
from churn.jobs.train_candidate import TrainedCandidate
from churn.records import Decision, Evaluation, ModelVersion
from churn.services import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retraining:
    """What a retraining came to; `awaits_approval` where the gate approves and a person has the last word.

    `holdout` is None where the challenger could not be judged.
    """

    winner: Kind
    candidates: tuple[TrainedCandidate, ...]
    model_version: int
    decision: Decision
    holdout: Evaluation | None
    mlflow_run_id: str
    labels: LabelSource
    awaits_approval: bool = False

    def summary(self) -> dict[str, Any]:
        """The result as one flat row."""
        auc = self.holdout.roc_auc if self.holdout else None
        return {
            "winner": self.winner,
            "labels": self.labels,
            "model_version": self.model_version,
            "promoted": self.decision.approved and not self.awaits_approval,
            "awaits_approval": self.awaits_approval,
            "roc_auc": auc.value if auc else None,
            "roc_auc_low": auc.low if auc else None,
            "roc_auc_high": auc.high if auc else None,
            "calibration_error": self.holdout.calibration_error if self.holdout else None,
            "reason": self.decision.reason,
        }


def decide_promotion(services: Services, plan: TrainingPlan, trained: Sequence[TrainedCandidate]) -> Retraining:
    """Fit the best candidate, judge it once on the holdout, register it, and promote it where the gate approves.

    Challenger and Production are compared on the same holdout rows, which neither has trained on. The ledger has the
    decision before the alias moves. Under the policy's `promotion_mode` "approve" an approved version is staged and
    recorded as proposed: a person promotes it. Any error on the way leaves the alias where it is. One decision at a
    time: raises AlreadyRunning where another is being taken, and RegistryUnavailable after the ledger has the reason
    where that is why evidence is missing. Repeating it after a promotion returns that promotion.
    """
    with services.database.lock("promotion"), services.tracking.run(plan.mlflow_run_id) as run:
        development, holdout = frozen_rows(services, plan)
        chosen = choose(services, run, development, trained)
        winner, recipe = chosen.choice.kind, chosen.recipe
        model = training.fit_model(winner, development, services.policy, recipe.parameters, recipe.calibration)
        reference = training.draw_reference(model, development, services.policy)
        challenger = services.registry.register(model, run.run_id, reference, services.policy, plan.tags)
        gathered = gather_evidence(services, model, challenger, holdout)
        earlier = _promoted_before(services, gathered.evidence, challenger)
        decision = earlier or decide(gathered.evidence, services.policy)
        outcome = "promoted" if earlier else promotions.outcome(decision, services.policy)
        if not earlier:
            _record(services, plan, trained, challenger, gathered, decision)
            _act(services, challenger, gathered, outcome)
        if (judged := gathered.judged) is not None:
            record_holdout(run, judged.evaluation, judged.labels, judged.probabilities, services.policy)
            record_contributions(run, model, training.encoded(holdout), services.policy)
            counted = len(development.labels)
            facts = CardFacts(challenger, chosen.choice, recipe, counted, judged.evaluation, decision, plan.tags)
            record_card(run, facts, services.policy)
        record_decision(run, decision, outcome)
    return Retraining(
        winner,
        tuple(trained),
        challenger.version,
        decision,
        gathered.evidence.holdout,
        plan.mlflow_run_id,
        plan.labels,
        awaits_approval=outcome == "proposed",
    )


def _promoted_before(services: Services, evidence: Evidence, challenger: ModelVersion) -> Decision | None:
    """The decision of an earlier attempt that promoted this very version, where it serves by now."""
    if evidence.serving_version != challenger.version:
        return None
    with services.database.transaction() as connection:
        return promotions.approval_of(connection, challenger.version)


def _record(
    services: Services,
    plan: TrainingPlan,
    trained: Sequence[TrainedCandidate],
    challenger: ModelVersion,
    gathered: Gathering,
    decision: Decision,
) -> None:
    """Write the decision to the ledger before the alias moves: no promotion without its evidence."""
    evidence = {
        **asdict(gathered.evidence),
        "candidates": [asdict(candidate) for candidate in trained],
        "fingerprint": plan.fingerprint,
        "extract_id": plan.extract_id,
        "mlflow_run_id": plan.mlflow_run_id,
    }
    with services.database.transaction() as connection:
        promotions.record(
            connection,
            decision=decision,
            model_version=challenger.version,
            previous_version=gathered.evidence.production_version,
            evidence=evidence,
            policy=services.policy,
        )
        if gathered.outage is None:  # otherwise the next attempt settles it
            retraining_requests.settle(connection, decision.reason)
    log.info("%s", decision.reason)


def _act(services: Services, challenger: ModelVersion, gathered: Gathering, outcome: str) -> None:
    """Promote what was promoted; stage what was proposed or kept, unless its artifact is unsound or serves already.

    Raises the outage that kept evidence away, so that a scheduler tries again.
    """
    if gathered.outage is not None:
        raise gathered.outage
    if outcome == "promoted" and gathered.loaded is not None:
        services.registry.promote(challenger.version)
        admit_engine(services, challenger.version, challenger.digest, gathered.loaded)
    elif gathered.loaded is not None and gathered.evidence.serving_version != challenger.version:
        services.registry.stage(challenger.version)
