"""The holdout is a property of the customer: the same for every version, every order, every year."""

import itertools
import math
import struct

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from churn.core.splits import grouped_folds, groups_of, in_holdout
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
    folds = grouped_folds(labels, np.arange(1_000), 5, seed=7)

    assert sorted(np.concatenate([judging for _, judging in folds])) == list(range(1_000))
    for (training, judging), (_, again) in zip(folds, grouped_folds(labels, np.arange(1_000), 5, seed=7), strict=True):
        assert not set(training) & set(judging)
        assert labels[judging].mean() == 0.25
        np.testing.assert_array_equal(judging, again)


def test_another_seed_is_another_division() -> None:
    labels = (np.arange(1_000) % 4 == 0).astype(int)
    first, second = (grouped_folds(labels, np.arange(1_000), 5, seed)[0][1] for seed in (1, 2))

    assert first.tolist() != second.tolist()


@given(
    rows=st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 40)), min_size=80, max_size=300),
    fold_count=st.integers(2, 6),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_a_group_is_on_one_side_of_every_fold(rows: list[tuple[int, int]], fold_count: int, seed: int) -> None:
    labels, groups = np.array(rows).T
    classes = [np.round(labels[groups == group].mean() + 1e-9) for group in np.unique(groups)]
    assume(max(np.bincount(np.array(classes, int))) >= fold_count)

    folds = grouped_folds(labels, groups, fold_count, seed)

    assert len(folds) == fold_count
    assert sorted(np.concatenate([judging for _, judging in folds])) == list(range(len(rows)))
    for training, judging in folds:
        assert sorted([*training, *judging]) == list(range(len(rows)))
        assert not set(groups[training]) & set(groups[judging])


@given(seed=st.integers(0, 2**32 - 1), fold_count=st.integers(2, 6))
@settings(max_examples=25)
def test_groups_of_several_rows_leave_each_fold_its_share_of_churners(seed: int, fold_count: int) -> None:
    """Customers of one to four snapshots each, one in four of them a churner."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(800), random.integers(1, 5, 800))
    labels = (groups % 4 == 0).astype(int)

    for _, judging in grouped_folds(labels, groups, fold_count, seed):
        assert labels[judging].mean() == pytest.approx(0.25, abs=0.06)
        assert len(judging) == pytest.approx(len(labels) / fold_count, rel=0.15)


def _components_by_hand(ids: list[str], vectors: list[tuple[float, ...]]) -> list[int]:
    """The slow way: merge until nothing changes. Numbers in order of first appearance, like `groups_of`."""
    keys = [struct.pack("<2d", *(math.nan if math.isnan(value) else value for value in vector)) for vector in vectors]
    numbers = list(range(len(ids)))
    changed = True
    while changed:
        changed = False
        for i, j in itertools.combinations(range(len(ids)), 2):
            if (ids[i] == ids[j] or keys[i] == keys[j]) and numbers[i] != numbers[j]:
                numbers[i] = numbers[j] = min(numbers[i], numbers[j])
                changed = True
    order = list(dict.fromkeys(numbers))
    return [order.index(number) for number in numbers]


# A NaN of another bit pattern, as a computation may leave it.
OTHER_NAN = struct.unpack("<d", (0x7FF8000000000123).to_bytes(8, "little"))[0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdefghijkl"),
            st.tuples(*[st.sampled_from([0.0, -0.0, 1.0, 2.5, 1e300, math.nan, OTHER_NAN])] * 2),
        ),
        min_size=1,
        max_size=14,
    )
)
@settings(max_examples=150)
def test_one_customer_and_one_feature_vector_are_one_group(rows: list[tuple[str, tuple[float, float]]]) -> None:
    ids, vectors = [row[0] for row in rows], [row[1] for row in rows]

    groups = groups_of(np.array(ids, object), np.array(vectors))

    assert groups.tolist() == _components_by_hand(ids, vectors)


def test_nobody_is_in_no_group() -> None:
    assert groups_of(np.array([], object), np.zeros((0, 3))).tolist() == []
