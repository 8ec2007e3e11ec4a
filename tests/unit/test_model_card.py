"""The model card and the picture of contributions."""

import re

import numpy as np
import pytest

from churn.core.calibration import Calibration
from churn.core.choice import Choice, Standing
from churn.core.estimation import Recipe
from churn.core.model_card import CardFacts, write_card
from churn.core.plots import SHOWN_FEATURES, plot_contributions
from churn.policy import Policy
from churn.records import Decision, Evaluation, Interval, ModelVersion, Rule

HOLDOUT = Evaluation(1_093, 0.265, Interval(0.8514, 0.827, 0.875), 0.65, 0.133, 0.41, 0.03, 2.84, 0.52)
STANDING = Standing("xgboost", Interval(0.85, 0.84, 0.86), Interval(10.7, 10.3, 11.1), None, None, 4e6, "chosen")
FACTS = CardFacts(
    ModelVersion(7, "run", "ab" * 32, "development"),
    Choice("xgboost", (STANDING,)),
    Recipe({"rounds": 300, "eta": 0.05}, Calibration.none()),
    4_541,
    HOLDOUT,
    Decision(False, "Production stays: a tie.", (Rule("AUC | paired", False, -0.001, 0.0),)),
    {"snapshot_date": "2026-11-22", "code_version": "abc"},
)


def test_the_card_says_how_good_how_made_and_what_not_to_do() -> None:
    card = write_card(FACTS, Policy())

    for said in (
        "version 7",
        "0.851 (0.827 to 0.875)",
        "xgboost",
        "rounds 300",
        "`2026-11-22`",
        "Production stays",
        "**no**",
    ):
        assert said in card
    assert [line for line in card.splitlines() if line.startswith("#")] == [
        "# Model card: churn, version 7", "## How good it is", "## How it was made", "## The gate", "## Limits",
    ]  # fmt: skip


def test_every_table_of_the_card_has_as_many_cells_in_each_row() -> None:
    blocks = write_card(FACTS, Policy()).split("\n\n")
    tables = [block.splitlines() for block in blocks if block.startswith("|")]

    assert len(tables) == 4
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table}) == 1


@pytest.mark.parametrize("feature_count", [2, 19])
def test_the_picture_has_the_strongest_features_with_the_strongest_on_top(feature_count: int) -> None:
    random = np.random.default_rng(1)
    strength = np.arange(feature_count, 0, -1.0)
    contributions = random.normal(size=(200, feature_count)) * strength
    matrix = np.where(random.random((200, feature_count)) < 0.1, np.nan, random.random((200, feature_count)))
    names = [f"feature {number}" for number in range(feature_count)]

    (axes,) = plot_contributions(names, matrix, contributions, "log odds", "a model").axes

    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[::-1] == names[:SHOWN_FEATURES]
    assert sum(len(points.get_offsets()) for points in axes.collections) == 200 * len(labels)
