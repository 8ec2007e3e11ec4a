"""Simulated customers: the columns of an extract, nobody real, the same for the same seed, honestly hard."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn import simulator
from churn.columns import COLUMNS, FEATURES
from churn.core.estimation import baseline_aucs
from churn.core.features import FeatureEncoder
from churn.core.training import TrainingData, encoded
from churn.policy import Policy
from churn.simulator import CHUNK_ROWS, MAXIMUM_COUNT, simulate, write_extract

MANY = pd.concat(simulate(CHUNK_ROWS + 5_000, seed=1), ignore_index=True)


def test_the_columns_are_those_of_an_extract_and_every_cell_is_allowed() -> None:
    assert list(MANY.columns) == [column.name for column in COLUMNS]
    for column in FEATURES:
        if column.categories:
            assert set(MANY[column.name]) <= set(column.categories)
    unknown = FeatureEncoder.from_contract().count_unknown(MANY)
    assert {name for name, count in unknown.items() if count} <= {"TotalCharges"}


def test_what_depends_on_a_service_says_so() -> None:
    offline, silent = MANY["InternetService"] == "No", MANY["PhoneService"] == "No"

    for name in simulator.EXTRA_SHARES:
        assert ((MANY[name] == "No internet service") == offline).all()
    assert ((MANY["MultipleLines"] == "No phone service") == silent).all()
    assert not (offline & silent).any()


def test_bills_add_up() -> None:
    new = MANY["tenure"] == 0
    total = pd.to_numeric(MANY["TotalCharges"], errors="coerce")
    ratio = (total / (MANY["tenure"] * MANY["MonthlyCharges"]))[~new]

    assert new.any()
    assert (MANY.loc[new, "TotalCharges"] == " ").all()
    assert ratio.mean() == pytest.approx(1.0, abs=0.005)
    assert np.allclose(MANY["MonthlyCharges"] * 20, (MANY["MonthlyCharges"] * 20).round())
    assert MANY["tenure"].between(0, 72).all()


def test_ids_look_like_ids_but_belong_to_nobody_real() -> None:
    assert MANY["customerID"].str.fullmatch(r"000[01]-[A-Z]{5}").all()
    assert MANY["customerID"].is_unique


def test_ids_are_unique_up_to_the_last_customer() -> None:
    edges = np.r_[0:50_000, simulator.LETTER_COUNT - 50_000 : simulator.LETTER_COUNT + 50_000, MAXIMUM_COUNT - 9]

    assert len(set(simulator._ids(edges))) == len(edges)
    assert np.gcd(simulator.ID_STRIDE, simulator.LETTER_COUNT) == 1


def test_no_id_is_one_of_the_public_data_set(telco: pd.DataFrame) -> None:
    assert not telco["customerID"].str.startswith(("0000-", "0001-")).any()


def test_the_same_seed_gives_the_same_customers_and_another_seed_others() -> None:
    first, again, other = (next(simulate(500, seed)) for seed in (4, 4, 5))

    pd.testing.assert_frame_equal(first, again)
    assert not first["MonthlyCharges"].equals(other["MonthlyCharges"])
    assert first["customerID"].equals(other["customerID"])


def test_a_larger_simulation_begins_with_the_smaller_one() -> None:
    pd.testing.assert_frame_equal(next(simulate(300, seed=1)), MANY.head(300))
    smaller = pd.concat(simulate(CHUNK_ROWS + 10, seed=1), ignore_index=True)
    pd.testing.assert_frame_equal(smaller, MANY.head(CHUNK_ROWS + 10))


def test_another_day_is_another_draw() -> None:
    days = [next(simulate(300, 1, date(2026, 11, day))) for day in (1, 1, 2)]

    pd.testing.assert_frame_equal(days[0], days[1])
    assert not days[0]["tenure"].equals(days[2]["tenure"])


def test_frames_stay_small_whatever_the_count() -> None:
    frames = simulate(10_000_000, seed=1)

    assert len(next(frames)) == CHUNK_ROWS


@pytest.mark.parametrize("count", [0, -1, MAXIMUM_COUNT + 1])
def test_a_count_that_cannot_be_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="count"):
        next(simulate(count, seed=1))


def test_the_shares_are_those_of_a_telecom() -> None:
    assert (MANY["Churn"] == "Yes").mean() == pytest.approx(0.265, abs=0.012)
    assert (MANY["Contract"] == "Month-to-month").mean() == pytest.approx(0.546, abs=0.012)
    assert (MANY["InternetService"] == "No").mean() == pytest.approx(0.219, abs=0.015)
    assert MANY["tenure"].mean() == pytest.approx(32.4, abs=0.8)
    assert MANY["MonthlyCharges"].mean() == pytest.approx(64.7, abs=1.0)
    by_contract = (MANY["Churn"] == "Yes").groupby(MANY["Contract"]).mean()
    assert by_contract["Month-to-month"] == pytest.approx(0.43, abs=0.03)
    assert by_contract["Two year"] == pytest.approx(0.03, abs=0.02)


def test_the_shares_are_those_of_the_public_data_set(telco: pd.DataFrame) -> None:
    for column in FEATURES:
        if column.categories:
            real, drawn = (f[column.name].value_counts(normalize=True) for f in (telco, MANY))
            assert (real - drawn).abs().max() < 0.03, column.name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_churn_is_as_hard_to_foresee_as_in_life(seed: int) -> None:
    customers = next(simulate(7_000, seed))
    data = TrainingData.from_extract(customers, date(2026, 11, 1), "a" * 64)

    auc = np.mean(baseline_aucs(encoded(data), data.groups, Policy(fold_count=3, nested_repeat_count=1)))

    assert 0.82 < auc < 0.88
    assert 0.25 < data.labels.mean() < 0.28


def test_an_extract_is_the_public_format_and_reads_back(tmp_path: Path) -> None:
    path, seen = tmp_path / "customers-2026-11-01.csv", []
    write_extract(path, CHUNK_ROWS + 100, 1, on_progress=seen.append)
    text = pd.read_csv(path, dtype=str, keep_default_na=False)
    again = TrainingData.from_extract(text, date(2026, 11, 1), "a" * 64)

    assert seen == [CHUNK_ROWS, CHUNK_ROWS + 100]
    assert path.read_text().splitlines()[0] == ",".join(column.name for column in COLUMNS)
    assert not text["MonthlyCharges"].str.endswith(".0").any()
    encode = FeatureEncoder.from_contract().encode
    np.testing.assert_array_equal(encode(again.features), encode(MANY.head(CHUNK_ROWS + 100)))


def test_an_extract_without_churn_has_no_such_column(tmp_path: Path) -> None:
    write_extract(tmp_path / "x.csv", 10, 1, with_churn=False)

    assert "Churn" not in (tmp_path / "x.csv").read_text()


def test_an_interrupted_extract_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "customers-2026-11-01.csv"
    path.write_text("yesterday")

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_extract(path, 10, 1, on_progress=interrupt)

    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "yesterday"
