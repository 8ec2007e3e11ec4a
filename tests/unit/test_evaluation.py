"""The numbers of an evaluation against scikit-learn, the bootstrap and hand counts."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from churn.core.evaluation import (
    auc_difference,
    auc_interval,
    average_precision,
    calibration_error,
    capture,
    corrected_interval,
    deciles,
    evaluate,
)
from churn.core.plots import draw_plots
from churn.core.profit import RetentionEconomics
from churn.errors import NothingToTrainOn
from churn.policy import Policy

RANDOM = np.random.default_rng(8)
LABELS = (RANDOM.random(600) < 0.27).astype(int)
SCORES = 1 / (1 + np.exp(-(RANDOM.normal(size=600) + 1.4 * LABELS - 1.5)))
OTHERS = 1 / (1 + np.exp(-(RANDOM.normal(size=600) + 0.6 * LABELS + 0.5 * np.log(SCORES))))

pairs = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5001, 1.0])), min_size=2)


@given(pairs)
def test_auc_and_average_precision_are_those_of_scikit_learn_with_ties_too(
    rows: list[tuple[int, float]],
) -> None:
    labels, scores = np.array(rows).T
    assume(0 < labels.sum() < len(labels))

    assert auc_interval(labels, scores, 0.95).value == pytest.approx(roc_auc_score(labels, scores))
    assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores))


def test_the_delong_variance_is_that_of_the_definition() -> None:
    churners, stayers = SCORES[LABELS == 1], SCORES[LABELS == 0]
    wins = (churners[:, None] > stayers) + 0.5 * (churners[:, None] == stayers)
    variance = wins.mean(axis=1).var(ddof=1) / len(churners) + wins.mean(axis=0).var(ddof=1) / len(stayers)

    interval = auc_interval(LABELS, SCORES, 0.95)

    assert interval.high - interval.value == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-6)


def test_the_delong_interval_is_that_of_the_bootstrap() -> None:
    drawn = _bootstrap(lambda rows: roc_auc_score(LABELS[rows], SCORES[rows]))
    interval = auc_interval(LABELS, SCORES, 0.95)

    assert interval.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.008)
    assert interval.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.008)


def test_the_paired_interval_is_that_of_the_bootstrap_and_narrower_than_two_separate_ones() -> None:
    drawn = _bootstrap(
        lambda rows: roc_auc_score(LABELS[rows], SCORES[rows]) - roc_auc_score(LABELS[rows], OTHERS[rows])
    )
    difference = auc_difference(LABELS, SCORES, OTHERS, 0.95)
    separate = [auc_interval(LABELS, scores, 0.95) for scores in (SCORES, OTHERS)]

    assert difference.value == pytest.approx(separate[0].value - separate[1].value)
    assert difference.low == pytest.approx(np.quantile(drawn, 0.025), abs=0.008)
    assert difference.high == pytest.approx(np.quantile(drawn, 0.975), abs=0.008)
    assert difference.high - difference.low < sum(i.high - i.low for i in separate)


def _bootstrap(statistic) -> np.ndarray:  # type: ignore[no-untyped-def]
    random = np.random.default_rng(2)
    return np.array([statistic(random.integers(0, len(LABELS), len(LABELS))) for _ in range(800)])


def test_a_model_does_not_differ_from_itself() -> None:
    difference = auc_difference(LABELS, SCORES, SCORES, 0.95)

    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_95_of_100_intervals_hold_the_true_auc() -> None:
    random = np.random.default_rng(4)
    truth = 0.5 * (1 + math.erf(1.2 / 2))  # of two normal distributions 1.2 apart

    held = 0
    for _ in range(400):
        labels = np.repeat([0, 1], [150, 60])
        scores = 1 / (1 + np.exp(-(random.normal(size=210) + 1.2 * labels)))
        interval = auc_interval(labels, scores, 0.95)
        held += interval.low <= truth <= interval.high

    assert 0.92 <= held / 400 <= 0.98


def test_a_million_rows_take_seconds() -> None:
    labels = (RANDOM.random(1_000_000) < 0.3).astype(int)
    interval = auc_interval(labels, RANDOM.random(1_000_000), 0.95)

    assert interval.value == pytest.approx(0.5, abs=0.005)


def test_the_losses_are_those_of_scikit_learn() -> None:
    evaluation = evaluate(LABELS, SCORES, 0.95)

    assert evaluation.row_count == 600
    assert evaluation.churn_rate == pytest.approx(LABELS.mean())
    assert evaluation.brier == pytest.approx(brier_score_loss(LABELS, SCORES))
    assert evaluation.log_loss == pytest.approx(log_loss(LABELS, SCORES))


def test_a_certain_and_wrong_probability_costs_much_but_not_infinity() -> None:
    assert 10 < evaluate([0, 1], [1.0, 0.0], 0.95).log_loss < 40


def test_lift_and_capture_are_the_counted_ones() -> None:
    labels = np.array([1, 0, 1, 0, 0, 0, 0, 1, 0, 0] * 2)
    scores = np.linspace(1, 0, 20)

    evaluation = evaluate(labels, scores, 0.95)

    assert evaluation.lift_10 == pytest.approx((1 / 2) / (6 / 20))
    assert evaluation.capture_20 == pytest.approx(2 / 6)


def test_equal_scores_catch_churners_in_proportion_whatever_their_order() -> None:
    labels = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0])

    assert capture(labels, np.full(10, 0.3), 0.2) == pytest.approx(0.2)
    assert capture(labels[::-1], np.full(10, 0.3), 0.2) == pytest.approx(0.2)


def test_calibration_is_near_zero_for_honest_scores_and_the_gap_for_constant_shifts() -> None:
    honest = RANDOM.random(200_000)
    labels = (RANDOM.random(200_000) < honest).astype(int)

    assert calibration_error(labels, honest) < 0.01
    assert calibration_error(labels, honest * 0.5) == pytest.approx(0.25, abs=0.01)
    assert calibration_error([0, 1, 1, 0], [0.1, 0.8, 0.7, 0.2]) == pytest.approx(0.2)


def test_the_order_of_rows_changes_nothing() -> None:
    order = RANDOM.permutation(600)
    first, second = evaluate(LABELS, SCORES, 0.95), evaluate(LABELS[order], SCORES[order], 0.95)

    assert first.roc_auc.low == pytest.approx(second.roc_auc.low)
    assert first.calibration_error == pytest.approx(second.calibration_error)
    assert first.lift_10 == pytest.approx(second.lift_10)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], []])
def test_one_class_alone_cannot_judge_a_model(labels: list[int]) -> None:
    with pytest.raises(NothingToTrainOn, match="cannot judge"):
        evaluate(labels, [0.5] * len(labels), 0.95)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [
        ([0, 1], [0.5, math.nan]),
        ([0, 1], [0.5, 1.2]),
        ([0, 2], [0.5, 0.2]),
        ([0, 1], [0.5]),
        ([0, math.nan], [0, 1]),
    ],
)
def test_numbers_that_are_none_are_refused(labels: list[float], scores: list[float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        evaluate(labels, scores, 0.95)


def test_a_single_churner_gives_no_interval_to_promote_on() -> None:
    interval = auc_interval([0, 0, 1], [0.1, 0.2, 0.9], 0.95)
    difference = auc_difference([0, 0, 1], [0.1, 0.2, 0.9], [0.9, 0.2, 0.1], 0.95)

    assert interval.value == 1.0
    assert math.isnan(interval.low)
    assert math.isnan(difference.low)


def test_every_plot_has_a_title_labelled_axes_and_a_legend() -> None:
    figures = draw_plots(LABELS, SCORES, "lightgbm", RetentionEconomics.from_policy(Policy()))

    assert set(figures) == {"roc.png", "precision_recall.png", "calibration.png", "cumulative_gains.png", "profit.png"}
    for figure in figures.values():
        (axes,) = figure.axes
        assert "lightgbm" in axes.get_title()
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert axes.get_legend() is not None


def test_the_corrected_interval_is_that_of_nadeau_and_bengio() -> None:
    # Ten folds of a fifth: a variance of (1/10 + 0.2/0.8) s2 instead of s2/10.
    folds = 0.85 + 0.01 * np.arange(-4.5, 5.0)
    interval = corrected_interval(folds, 0.2, 0.95)
    assert interval.value == pytest.approx(0.85)
    assert interval.high - interval.value == pytest.approx(2.262157 * math.sqrt(0.35) * folds.std(ddof=1), rel=1e-6)
    with pytest.raises(ValueError, match="two folds"):
        corrected_interval([0.85], 0.2, 0.95)


def test_the_corrected_interval_covers_where_the_plain_one_does_not() -> None:
    """Folds that share their training rows move together: the truth is missed too often without the correction."""
    random = np.random.default_rng(5)
    covered = []
    for _ in range(400):
        shared, own = random.normal(scale=0.01), random.normal(scale=0.02, size=10)
        interval = corrected_interval(0.85 + shared + own, 0.2, 0.95)
        covered.append(interval.low <= 0.85 <= interval.high)
    assert 0.93 <= np.mean(covered) <= 1.0


def test_equal_scores_are_calibrated_as_a_group_wherever_a_bin_ends() -> None:
    # Three scores, each right on the whole: a bin that ends within one of them finds nothing wrong.
    scores = np.repeat([0.2, 0.4, 0.8], 35)
    labels = np.concatenate([np.arange(35) < count for count in (7, 14, 28)]).astype(int)
    assert calibration_error(labels, scores) == pytest.approx(0.0, abs=1e-12)
    shuffled = RANDOM.permutation(len(labels))
    assert calibration_error(labels[shuffled], scores[shuffled]) == pytest.approx(0.0, abs=1e-12)


@given(pairs)
def test_deciles_hold_every_customer_and_every_churner_once(rows: list[tuple[int, float]]) -> None:
    labels, scores = np.array(rows).T
    found = deciles(labels, scores)
    assert [each.decile for each in found] == list(range(1, min(10, len(rows)) + 1))
    assert sum(each.customer_count for each in found) == len(rows)
    assert sum(each.customer_count * each.churn_rate for each in found) == pytest.approx(labels.sum())
    assert sum(each.customer_count * each.mean_probability for each in found) == pytest.approx(scores.sum())
    said = [each.mean_probability for each in found]
    assert all(before >= after - 1e-12 for before, after in itertools.pairwise(said))


def test_deciles_do_not_depend_on_the_order_of_rows() -> None:
    coarse = np.round(SCORES, 1)
    mixed = RANDOM.permutation(len(coarse))
    for one, other in zip(deciles(LABELS, coarse), deciles(LABELS[mixed], coarse[mixed]), strict=True):
        assert one.churn_rate == pytest.approx(other.churn_rate)
