"""A retraining is a function of its rows: their order decides nothing, and what is too little is said."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from churn.columns import FEATURE_NAMES
from churn.core import training
from churn.core.splits import in_holdout
from churn.core.training import TrainingData
from churn.errors import NothingToTrainOn
from churn.policy import Policy
from churn.simulator import simulate

POLICY = Policy()
CUSTOMERS = next(simulate(2_500, seed=21))
DAY = date(2026, 11, 1)
DATA = TrainingData.from_extract(CUSTOMERS, DAY, "a" * 64)
FAST = {"rounds": 40}


def shuffled(data: TrainingData) -> TrainingData:
    return data.take(np.random.default_rng(1).permutation(len(data.labels)))


def test_the_split_keeps_every_customer_once_and_the_holdout_apart() -> None:
    development, holdout = training.split_training(DATA, POLICY)

    assert not in_holdout(development.customer_ids, POLICY).any()
    assert in_holdout(holdout.customer_ids, POLICY).all()
    assert sorted([*development.customer_ids, *holdout.customer_ids]) == sorted(DATA.customer_ids)


def test_rows_stay_aligned_through_the_split() -> None:
    _, holdout = training.split_training(shuffled(DATA), POLICY)
    rows = CUSTOMERS.set_index("customerID").loc[list(holdout.customer_ids)]

    assert holdout.features["MonthlyCharges"].tolist() == rows["MonthlyCharges"].tolist()
    assert holdout.labels.tolist() == (rows["Churn"] == "Yes").astype(int).tolist()


def test_labels_with_an_index_of_their_own_stay_aligned() -> None:
    some = CUSTOMERS[CUSTOMERS.index % 3 == 0]
    labels = (some["Churn"] == "Yes").astype(int)

    data = TrainingData(some["customerID"], some[list(FEATURE_NAMES)], labels, DAY, "a" * 64)  # type: ignore[arg-type]

    assert data.take(np.array([5])).labels[0] == labels.iloc[5]
    assert data.take(np.array([5])).features["tenure"].iloc[0] == some["tenure"].iloc[5]


def test_rows_without_a_label_are_left_out() -> None:
    unlabelled = CUSTOMERS.assign(Churn=[None, "", *CUSTOMERS["Churn"][2:]])

    assert len(TrainingData.from_extract(unlabelled, DAY, "a" * 64).labels) == len(CUSTOMERS) - 2


@pytest.mark.parametrize(
    ("ids", "labels"),
    [(["a", "a"], [0, 1]), (["a", "b"], [0, 2]), (["a"], [0, 1]), (["a", "b"], [0, np.nan])],
)
def test_rows_that_do_not_fit_together_are_refused(ids: list[str], labels: list[int]) -> None:
    with pytest.raises(ValueError, match=r"must|may"):
        TrainingData(np.array(ids, object), pd.DataFrame({"tenure": [1, 2]}), np.array(labels), DAY, "a" * 64)


def test_a_customer_may_come_once_a_day_and_never_later_than_the_snapshot() -> None:
    ids, features, labels = np.array(["a", "a"], object), pd.DataFrame({"tenure": [1, 2]}), np.array([0, 1])
    both = np.array(["2026-10-01", "2026-11-01"], training.DAYS)

    assert TrainingData(ids, features, labels, DAY, "a" * 64, both).take(np.array([1])).snapshot_dates == both[1]
    with pytest.raises(ValueError, match="later day"):
        TrainingData(ids, features, labels, date(2026, 10, 31), "a" * 64, both)


def several_days() -> TrainingData:
    """The same customers on three days, with other features and labels each time."""
    frames = [next(simulate(2_500, seed=seed)) for seed in (31, 32, 33)]
    parts = [TrainingData.from_extract(frame, DAY, "a" * 64) for frame in frames]
    days = np.repeat(np.array(["2026-11-01", "2026-10-02", "2026-09-01"], training.DAYS), 2_500)
    features = pd.concat([part.features for part in parts])
    ids, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("customer_ids", "labels"))
    return TrainingData(ids, features, labels, DAY, "a" * 64, days)


def test_the_newest_day_judges_and_the_days_before_it_are_learned_from() -> None:
    data = several_days()
    split = training.split_by_time(data, POLICY)

    assert set(split.holdout.snapshot_dates.tolist()) == {DAY}
    assert set(split.development.snapshot_dates.tolist()) == {date(2026, 10, 2), date(2026, 9, 1)}
    assert not in_holdout(split.development.customer_ids, POLICY).any()
    assert in_holdout(split.holdout.customer_ids, POLICY).all()
    again = training.split_by_time(shuffled(data), POLICY)
    assert training.fingerprint(again.development) == training.fingerprint(split.development)
    np.testing.assert_array_equal(again.development.customer_ids, split.development.customer_ids)
    assert training.fingerprint(shuffled(data)) == training.fingerprint(data)


def test_the_fingerprint_sees_of_which_day_a_row_is() -> None:
    data = several_days()
    other = data.snapshot_dates.copy()
    other[-1] -= np.timedelta64(1, "D")

    assert training.fingerprint(replace(data, snapshot_dates=other)) != training.fingerprint(data)


def test_who_looks_like_a_customer_who_judges_is_not_learned_from() -> None:
    held_out = in_holdout(DATA.customer_ids, POLICY)
    judge, learner = np.flatnonzero(held_out)[0], np.flatnonzero(~held_out)[:3]
    features = DATA.features.copy()
    features.iloc[learner] = features.iloc[judge]
    split = training.split_by_time(TrainingData(DATA.customer_ids, features, DATA.labels, DAY, "a" * 64), POLICY)

    assert not set(DATA.customer_ids[learner]) & set(split.development.customer_ids)
    assert DATA.customer_ids[judge] in split.holdout.customer_ids
    assert split.left_out_count >= 3
    assert len(split.development.labels) + len(split.holdout.labels) + split.left_out_count == len(DATA.labels)


def test_the_fingerprint_does_not_see_the_order_or_the_type_of_rows() -> None:
    as_text = TrainingData(DATA.customer_ids, DATA.features.astype(str), DATA.labels, DAY, "b" * 64)

    assert training.fingerprint(shuffled(DATA)) == training.fingerprint(DATA)
    assert training.fingerprint(as_text) == training.fingerprint(DATA)


def test_the_fingerprint_sees_every_change() -> None:
    features = DATA.features.copy()
    features.loc[7, "tenure"] += 1
    labels = DATA.labels.copy()
    labels[9] = 1 - labels[9]
    ids = DATA.customer_ids.copy()
    ids[3] = "9999-ZZZZZ"
    others = [
        TrainingData(DATA.customer_ids, features, DATA.labels, DAY, "a" * 64),
        TrainingData(DATA.customer_ids, DATA.features, labels, DAY, "a" * 64),
        TrainingData(ids, DATA.features, DATA.labels, DAY, "a" * 64),
        TrainingData(DATA.customer_ids, DATA.features, DATA.labels, date(2026, 11, 2), "a" * 64),
    ]

    assert len({training.fingerprint(data) for data in [DATA, *others]}) == 5


def test_the_order_of_rows_changes_no_bit_of_the_model() -> None:
    models = [
        training.fit_model("lightgbm", training.split_training(data, POLICY)[0], POLICY, FAST)
        for data in (DATA, shuffled(DATA))
    ]

    assert training.largest_difference(*models, CUSTOMERS) == 0.0
    assert models[0].to_files() == models[1].to_files()


@pytest.mark.parametrize("rows", [CUSTOMERS.head(150), CUSTOMERS[CUSTOMERS["Churn"] == "No"]])
def test_too_few_of_one_class_is_said_with_numbers_and_a_next_step(rows: pd.DataFrame) -> None:
    small = TrainingData.from_extract(rows, DAY, "a" * 64)

    with pytest.raises(NothingToTrainOn, match=r"\d+ churners and \d+ stayers") as caught:
        training.split_training(small, POLICY)

    assert "50 of each" in caught.value.message
    assert "larger labelled extract" in caught.value.next_step


def test_a_holdout_too_small_to_judge_is_refused_too() -> None:
    with pytest.raises(NothingToTrainOn, match="to judge a model"):
        training.split_training(TrainingData.from_extract(CUSTOMERS.head(700), DAY, "a" * 64), POLICY)


def test_the_reference_has_features_scores_and_no_customer_ids() -> None:
    development, _ = training.split_training(DATA, POLICY)
    model = training.fit_model("lightgbm", development, POLICY, FAST)

    reference = training.draw_reference(model, development, POLICY, 500)

    assert tuple(reference.columns) == (*FEATURE_NAMES, "churn_probability")
    assert len(reference) == 500
    assert reference["TotalCharges"].dtype == np.float64
    np.testing.assert_array_equal(model.predict(reference), reference["churn_probability"])
    pd.testing.assert_frame_equal(training.draw_reference(model, development, POLICY, 500), reference)


def test_a_small_development_set_is_its_own_reference() -> None:
    model = training.fit_model("lightgbm", DATA, POLICY, {"rounds": 5})

    assert len(training.draw_reference(model, DATA, POLICY)) == 2_500


def test_unknown_cells_stay_unknown_in_the_reference() -> None:
    blanked = DATA.features.assign(Contract="Forever", tenure=" ")
    data = TrainingData(DATA.customer_ids, blanked, DATA.labels, DAY, "a" * 64)
    model = training.fit_model("lightgbm", data, POLICY, {"rounds": 5})

    reference = training.draw_reference(model, data, POLICY, 100)

    assert reference[["Contract", "tenure"]].isna().all(axis=None)
