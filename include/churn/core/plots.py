"""Pictures of a model, without pyplot: no state that threads share."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from numpy.typing import NDArray

from churn.core.evaluation import CALIBRATION_BINS
from churn.core.features import Matrix
from churn.core.profit import ProfitCurve, RetentionEconomics, profit_curve

Labels = NDArray[np.integer]
Probabilities = NDArray[np.float64]

SHOWN_FEATURES = 15
MODEL_COLOUR, CHANCE_COLOUR = "#1f5fa8", "#9a9a9a"


def draw_plots(
    labels: Labels, probabilities: Probabilities, name: str, economics: RetentionEconomics
) -> dict[str, Figure]:
    """Every plot of one model by its file name; `labels` and `probabilities` are (n,), `name` the title."""
    return {
        "roc.png": plot_roc(labels, probabilities, name),
        "precision_recall.png": plot_precision_recall(labels, probabilities, name),
        "calibration.png": plot_calibration(labels, probabilities, name),
        "cumulative_gains.png": plot_gains(labels, probabilities, name),
        "profit.png": plot_profit(profit_curve(labels, probabilities, economics), name),
    }


def plot_roc(labels: Labels, probabilities: Probabilities, name: str) -> Figure:
    """Churners caught against stayers alarmed, over every threshold."""
    caught, alarmed, _ = _curve(labels, probabilities)
    figure, axes = _square(f"ROC curve: {name}", "Share of stayers alarmed", "Share of churners caught")
    axes.plot(alarmed, caught, color=MODEL_COLOUR, label=f"AUC {np.trapezoid(caught, alarmed):.3f}")
    axes.plot([0, 1], [0, 1], color=CHANCE_COLOUR, linestyle="--", label="Chance")
    return _finished(figure, axes)


def plot_precision_recall(labels: Labels, probabilities: Probabilities, name: str) -> Figure:
    """The churn rate among the alarmed against the share of churners caught."""
    caught, _, taken = _curve(labels, probabilities)
    precision = caught[1:] * labels.mean() / taken[1:]
    figure, axes = _square(f"Precision and recall: {name}", "Share of churners caught", "Churn rate of the alarmed")
    axes.step(caught[1:], precision, where="pre", color=MODEL_COLOUR, label="Model")
    axes.axhline(labels.mean(), color=CHANCE_COLOUR, linestyle="--", label=f"Churn rate {labels.mean():.1%}")
    return _finished(figure, axes)


def plot_calibration(labels: Labels, probabilities: Probabilities, name: str) -> Figure:
    """The churn rate against the mean probability in bins of equal count."""
    bins = np.array_split(np.argsort(probabilities, kind="stable"), min(CALIBRATION_BINS, len(labels)))
    expected = [probabilities[rows].mean() for rows in bins]
    observed = [labels[rows].mean() for rows in bins]
    figure, axes = _square(f"Calibration: {name}", "Mean churn probability", "Churn rate")
    axes.plot(expected, observed, color=MODEL_COLOUR, marker="o", label=f"{len(bins)} groups of equal size")
    axes.plot([0, 1], [0, 1], color=CHANCE_COLOUR, linestyle="--", label="Perfect")
    return _finished(figure, axes)


def plot_gains(labels: Labels, probabilities: Probabilities, name: str) -> Figure:
    """The share of churners caught against the share of customers contacted, highest score first."""
    caught, _, taken = _curve(labels, probabilities)
    figure, axes = _square(f"Cumulative gains: {name}", "Share of customers contacted", "Share of churners caught")
    axes.plot(taken, caught, color=MODEL_COLOUR, label="Model")
    axes.plot([0, labels.mean(), 1], [0, 1, 1], color=CHANCE_COLOUR, linestyle=":", label="Perfect")
    axes.plot([0, 1], [0, 1], color=CHANCE_COLOUR, linestyle="--", label="Chance")
    return _finished(figure, axes)


def plot_profit(curve: ProfitCurve, name: str) -> Figure:
    """The profit of a retention campaign per customer of the base against the share of customers contacted."""
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot(
        title=f"Profit: {name}", xlabel="Share of customers contacted", ylabel="Profit per customer", xlim=(0, 1)
    )
    axes.grid(alpha=0.3)
    axes.plot(curve.contacted_share, curve.profit, color=MODEL_COLOUR, label="Model")
    axes.plot([0, 1], [0, curve.profit[-1]], color=CHANCE_COLOUR, linestyle="--", label="Chance")
    share, most = curve.contacted_share[curve.best], curve.profit[curve.best]
    axes.plot([share], [most], color=MODEL_COLOUR, marker="o", label=f"Best: {most:.2f} at {share:.0%}")
    return _finished(figure, axes)


def plot_contributions(
    names: Sequence[str], matrix: Matrix, contributions: NDArray[np.float64], scale: str, name: str
) -> Figure:
    """What moves the scores of some customers: for each feature a point a customer, the strongest feature on top.

    `matrix` and `contributions` are (n, features) as core.contributions has them, in the raw scale that `scale` names.
    Colours go from a feature's low values to its high ones, or from its first category to its last; unknown is grey.
    """
    strongest = np.argsort(-np.abs(contributions).mean(axis=0), kind="stable")[:SHOWN_FEATURES]
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.add_subplot(title=f"What moves the scores: {name}", xlabel=f"Contribution to the {scale}")
    heights = np.random.default_rng(0).uniform(-0.35, 0.35, len(matrix))  # so that points do not hide each other
    for place, feature in enumerate(strongest[::-1]):
        ranks = _shares_below(matrix[:, feature])
        colours = colormaps["coolwarm"](ranks)
        colours[np.isnan(ranks)] = to_rgba(CHANCE_COLOUR)
        axes.scatter(contributions[:, feature], place + heights, s=4, c=colours, linewidths=0, rasterized=True)
    axes.axvline(0, color=CHANCE_COLOUR, linewidth=1)
    axes.set_yticks(range(len(strongest)), [names[feature] for feature in strongest[::-1]])
    axes.grid(axis="x", alpha=0.3)
    return figure


def _shares_below(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each value (n,) its place between the lowest (0) and the highest (1); NaN where it is unknown."""
    known = np.unique(values[~np.isnan(values)])
    places = np.searchsorted(known, values) / max(len(known) - 1, 1)
    return np.where(np.isnan(values), np.nan, places)


def _curve(labels: Labels, probabilities: Probabilities) -> tuple[NDArray, NDArray, NDArray]:
    """Shares of churners, stayers and customers at or above each distinct score, from none to all."""
    order = np.argsort(-probabilities, kind="stable")
    ends = np.r_[np.flatnonzero(np.diff(probabilities[order])), len(order) - 1]
    churners = np.r_[0, np.cumsum(labels[order], dtype=np.int64)[ends]]
    customers = np.r_[0, ends + 1]
    stayers = customers - churners
    return churners / churners[-1], stayers / stayers[-1], customers / customers[-1]


def _square(title: str, x_label: str, y_label: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel=x_label, ylabel=y_label, xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    return figure, axes


def _finished(figure: Figure, axes: Axes) -> Figure:
    axes.legend(loc="best")
    return figure
