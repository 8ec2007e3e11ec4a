"""What a registered version leaves in MLflow for people: what moves its scores, and its model card."""

import numpy as np

from churn.core.contributions import contributions_of
from churn.core.forest import CannotCompile
from churn.core.model import ChurnModel
from churn.core.model_card import CardFacts, write_card
from churn.core.plots import plot_contributions
from churn.core.search import Rows
from churn.policy import Policy
from churn.tracking import Run

EXPLAINED_COUNT = 1_500  # customers in the picture


def record_contributions(run: Run, model: ChurnModel, rows: Rows, policy: Policy) -> None:
    """Log the picture of what moves the model's scores; a model that cannot be explained exactly has none."""
    drawn = np.random.default_rng(policy.seed).permutation(len(rows.labels))[:EXPLAINED_COUNT]
    matrix = np.ascontiguousarray(rows.matrix[drawn])
    try:
        explainer = contributions_of(model, matrix)
    except CannotCompile:
        return
    scale = "probability" if model.kind == "random_forest" else "log odds of leaving"
    figure = plot_contributions(model.encoder.names, matrix, explainer.contributions(matrix), scale, model.kind)
    run.log_figure(figure, "plots/contributions.png")


def record_card(run: Run, facts: CardFacts, policy: Policy) -> None:
    """Log the model card of a version."""
    run.log_text(write_card(facts, policy), "model_card.md")
