"""Every week: four candidates on frozen rows, one winner, and a gate that decides whether it may serve."""

from churn.core.candidates import CANDIDATES
from churn.jobs.decide_promotion import Retraining, decide_promotion
from churn.jobs.plan_training import plan_training
from churn.jobs.train_candidate import train_candidate
from churn.services import Services


def retrain_model(services: Services) -> Retraining:
    """Plan, train every candidate and let the gate decide."""
    plan = plan_training(services)
    trained = [train_candidate(services, plan, kind) for kind in CANDIDATES]
    return decide_promotion(services, plan, trained)
