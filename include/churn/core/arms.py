"""Which version answers a request, and what the answers of two versions were worth once the truth is known."""

import hashlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from churn.core.evaluation import auc_difference, auc_interval, unpaired_auc_difference
from churn.core.profit import RetentionEconomics, expected_maximum_profit
from churn.records import Interval

Arm = Literal["production", "challenger", "fallback", "shadow"]
Design = Literal["split", "shadow"]


def is_challenged(unit: str, challenger_version: int, share: float) -> bool:
    """Whether the challenger answers for `unit`, a customer or a request; `share` is its part of them (0..1).

    The same unit gets the same answer from every worker as long as the challenger is the same; a greater share keeps
    those who were in it. Another challenger draws anew, so that no customer is always the one who is tried on.
    """
    drawn = hashlib.sha256(f"{challenger_version}:{unit}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(drawn[:8], "big") < share * 2**64


@dataclass(frozen=True)
class ArmComparison:
    """The challenger beside Production on customers whose outcome is known.

    `split`: other customers in each arm; `shadow`: both versions on the same customers. `auc_difference` is that of
    the challenger less that of Production; profits are expected maximum profits per customer, in money.
    """

    challenger_version: int
    design: Design
    production_count: int
    challenger_count: int
    production_auc: Interval
    challenger_auc: Interval
    auc_difference: Interval
    production_profit: float
    challenger_profit: float
    fallback_count: int = 0


def compare_split(
    challenger_version: int,
    production: tuple[ArrayLike, ArrayLike],
    challenger: tuple[ArrayLike, ArrayLike],
    economics: RetentionEconomics,
    confidence: float,
    fallback_count: int = 0,
) -> ArmComparison:
    """Compare two arms of different customers, each (labels (n,) of 0 and 1, probabilities (n,)).

    Raises ValueError and NothingToTrainOn as
    `evaluation.evaluate`.
    """
    first, second = auc_interval(*production, confidence), auc_interval(*challenger, confidence)
    return ArmComparison(
        challenger_version,
        "split",
        len(np.asarray(production[0])),
        len(np.asarray(challenger[0])),
        first,
        second,
        unpaired_auc_difference(challenger, production, confidence),
        expected_maximum_profit(*production, economics).amount,
        expected_maximum_profit(*challenger, economics).amount,
        fallback_count,
    )


def compare_shadow(
    challenger_version: int,
    labels: ArrayLike,
    production: ArrayLike,
    challenger: ArrayLike,
    economics: RetentionEconomics,
    confidence: float,
) -> ArmComparison:
    """Compare two versions on the same customers: labels (n,) of 0 and 1, probabilities (n,) of each.

    Raises as `compare_split`.
    """
    count = len(np.asarray(labels))
    return ArmComparison(
        challenger_version,
        "shadow",
        count,
        count,
        auc_interval(labels, production, confidence),
        auc_interval(labels, challenger, confidence),
        auc_difference(labels, challenger, production, confidence),
        expected_maximum_profit(labels, production, economics).amount,
        expected_maximum_profit(labels, challenger, economics).amount,
    )
