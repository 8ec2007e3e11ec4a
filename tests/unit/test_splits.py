"""The holdout is a property of the customer: the same for every version, every order, every year."""

import numpy as np
import pytest

from churn.core.splits import in_holdout, stratified_folds
from churn.policy import Policy

IDS = [f"{number:04d}-ABCDE" for number in range(20_000)]


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_the_holdout_has_the_share_that_the_policy_asks_for(rate: float) -> None:
    assert in_holdout(IDS, Policy(holdout_rate=rate)).mean() == pytest.approx(rate, abs=0.012)


def test_a_customer_stays_in_the_holdout_whoever_else_is_there() -> None:
    everyone = dict(zip(IDS, in_holdout(IDS, Policy()), strict=True))
    some = IDS[::-7]

    assert in_holdout(some, Policy()).tolist() == [everyone[customer_id] for customer_id in some]


def test_the_membership_of_today_is_the_membership_of_ever() -> None:
    """Another answer means that the salt or the hash has changed: versions could no longer be compared."""
    assert np.flatnonzero(in_holdout(IDS[:40], Policy())).tolist() == [2, 3, 4, 12, 13, 14, 17, 18, 21, 26]


def test_a_larger_holdout_contains_the_smaller_one() -> None:
    small, large = in_holdout(IDS, Policy(holdout_rate=0.1)), in_holdout(IDS, Policy(holdout_rate=0.3))

    assert (small <= large).all()


def test_folds_are_stratified_cover_every_row_once_and_repeat() -> None:
    labels = (np.arange(1_000) % 4 == 0).astype(int)
    folds = stratified_folds(labels, Policy())

    assert sorted(np.concatenate([judging for _, judging in folds])) == list(range(1_000))
    for (training, judging), (_, again) in zip(folds, stratified_folds(labels, Policy()), strict=True):
        assert not set(training) & set(judging)
        assert labels[judging].mean() == 0.25
        np.testing.assert_array_equal(judging, again)
