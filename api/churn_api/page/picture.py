"""Probabilities as pictures: lengths for the SVG of the templates. Nothing depends on colour alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churn.policy import Policy, RiskLevel

WIDTH = 400.0  # of the scale from 0 to 1
LABEL_ROOM = 34.0  # half of a label's width: it stays inside the picture


@dataclass(frozen=True)
class Zone:
    """One risk level on the scale, from `x` over `width`."""

    level: RiskLevel
    x: float
    width: float
    starts_at: float

    @property
    def middle(self) -> float:
        """Where its name is written."""
        return self.x + self.width / 2


@dataclass(frozen=True)
class Mark:
    """A probability on the scale: where its pointer is, and where its label, which never leaves the picture."""

    probability: float
    x: float
    label_x: float


@dataclass(frozen=True)
class Gauge:
    """The scale from 0 to 100 % with the policy's levels, a tick between deciles, and one or two marks."""

    zones: tuple[Zone, ...]
    ticks: tuple[float, ...]
    now: Mark | None
    before: Mark | None


@dataclass(frozen=True)
class Trend:
    """A line through the published probabilities of one customer, the oldest first; the scale is 0 to 1."""

    points: str
    last: tuple[float, float]
    width: float
    height: float


def gauge(
    policy: Policy, cuts: NDArray[np.float64] | None, now: float | None = None, before: float | None = None
) -> Gauge:
    """The picture of a probability; `cuts` are the 99 percentiles of the published run."""
    edges = (0.0, policy.medium_risk_from, max(policy.medium_risk_from, policy.high_risk_from), 1.0)
    levels: tuple[RiskLevel, ...] = ("low", "medium", "high")
    zones = [
        Zone(level, start * WIDTH, (end - start) * WIDTH, start)
        for level, start, end in zip(levels, edges, edges[1:], strict=False)
        if end > start
    ]
    deciles = () if cuts is None else tuple(round(float(cut) * WIDTH, 2) for cut in cuts[9::10])
    return Gauge(tuple(zones), deciles, _mark(now), _mark(before))


def trend(probabilities: Sequence[float], width: float = 240.0, height: float = 48.0) -> Trend | None:
    """The picture of two probabilities or more."""
    if len(probabilities) < 2:
        return None
    step = (width - 10) / (len(probabilities) - 1)
    points = [
        (round(5 + place * step, 1), round(5 + (1 - probability) * (height - 10), 1))
        for place, probability in enumerate(probabilities)
    ]
    return Trend(" ".join(f"{x},{y}" for x, y in points), points[-1], width, height)


def _mark(probability: float | None) -> Mark | None:
    if probability is None:
        return None
    x = round(probability * WIDTH, 2)
    return Mark(probability, x, min(max(x, LABEL_ROOM), WIDTH - LABEL_ROOM))
