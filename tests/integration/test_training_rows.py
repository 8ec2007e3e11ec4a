"""What a model learns from was known on the day it is of: random histories, and the same rows worked out by hand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from psycopg import sql

from churn.columns import FEATURES
from churn.core import training
from churn.core.training import TrainingData
from churn.core.training_sources import TrainingSources
from churn.db.database import Connection, Database
from churn.errors import NothingToTrainOn
from churn.jobs.plan_training import choose_sources, read_rows
from churn.policy import Policy
from tests.histories import Delivered, admit_rows

FIRST = date(2026, 1, 1)
CUSTOMERS = [f"{number:04d}-HISTO" for number in range(40)]
Rows = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Delivery:
    """One extract to be admitted; several of one day replace each other."""

    day: date
    rows: Rows


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Delivery], Policy]:
    """A few dozen customers who come, change, leave, are forgotten and return, in up to fourteen extracts."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    days = draw(st.lists(st.integers(0, 30), min_size=2, max_size=14))  # any order, some twice
    labelled = draw(st.sampled_from((0.4, 0.7, 1.0)))  # share of extracts with labels
    policy = Policy(horizon_days=draw(st.integers(2, 9)), training_snapshot_count=draw(st.integers(1, 4)))
    deliveries = [
        Delivery(FIRST + timedelta(days=day), _random_rows(random, random.random() < labelled, day)) for day in days
    ]
    # The class sizes of a property are what they are.
    return deliveries, policy.model_copy(update={"minimum_class_count": 0, "holdout_rate": 0.4})


def _random_rows(random: np.random.Generator, labelled: bool, day: int) -> Rows:
    present = random.random(len(CUSTOMERS)) < random.choice((0.6, 0.95))
    return {
        customer: _features(random) | {"churned": _label(random, day) if labelled else None}
        for customer, here in zip(CUSTOMERS, present, strict=True)
        if here
    }


def _features(random: np.random.Generator) -> dict[str, Any]:
    """Few enough different ones that customers look alike."""
    row = {column.sql_name: column.categories[0] if column.categories else 0 for column in FEATURES}
    varied = {column.sql_name: str(random.choice(column.categories[:2])) for column in FEATURES if column.categories}
    row |= dict(list(varied.items())[:3])
    return row | {"tenure": int(random.integers(0, 8)), "monthly_charges": float(random.choice((0.1 + 0.2, 70.35)))}


def _label(random: np.random.Generator, day: int) -> bool | None:
    known = random.random() < 0.9
    return bool(random.random() < 0.02 + 0.006 * day) if known else None


@contextmanager
def admitted(database: Database, deliveries: list[Delivery]) -> Iterator[tuple[Connection, list[Delivered]]]:
    """The history in the database, taken back at the end."""
    with database.transaction() as connection:
        yield connection, [admit_rows(connection, each.day, each.rows) for each in deliveries]
        connection.rollback()


def sources_by_hand(deliveries: list[Delivered], policy: Policy) -> list[tuple[date, date]] | None:
    """(day, day on which it was settled) of each snapshot that is to be learned from, newest first."""
    horizon = timedelta(days=policy.horizon_days)
    counting = {each.extract.snapshot_date: each for each in deliveries}
    labelled = [day for day, each in counting.items() if any(row["churned"] is not None for row in each.rows.values())]
    settled = {
        day: min(later for later in labelled if later >= day + horizon)
        for day in counting
        if any(later >= day + horizon for later in labelled)
    }
    chosen: list[tuple[date, date]] = []
    for day in sorted(settled, reverse=True):
        if len(chosen) == policy.training_snapshot_count:
            break
        if not chosen or (day + horizon <= chosen[-1][0] and settled[day] <= chosen[0][0]):
            chosen.append((day, settled[day]))
    return chosen or None


def outcome_by_hand(counting: dict[date, Rows], customer: str, day: date, settled: date, horizon: int) -> int | None:
    """Whether a customer of `day` left within the horizon; None who had left, or of whom it was not known."""
    seen = {
        when: rows[customer]["churned"]
        for when, rows in counting.items()
        if when <= settled and customer in rows and rows[customer]["churned"] is not None
    }
    if any(churned for when, churned in seen.items() if when <= day):
        return None
    cut = day + timedelta(days=horizon)
    if any(churned for when, churned in seen.items() if day < when <= cut):
        return 1
    return 0 if any(when >= cut for when in seen) else None


def rows_by_hand(deliveries: list[Delivered], chosen: list[tuple[date, date]], horizon: int) -> dict[Any, Any]:
    """{(day, customer): (features, label)} of everything that may be learned from."""
    counting = {each.extract.snapshot_date: each.rows for each in deliveries}
    found = {}
    for day, settled in chosen:
        for customer, row in counting[day].items():
            label = outcome_by_hand(counting, customer, day, settled, horizon)
            if label is not None:
                found[day, customer] = ([row[column.sql_name] for column in FEATURES], label)
    return found


def as_read(data: TrainingData) -> dict[Any, Any]:
    features = data.features[[column.name for column in FEATURES]].to_numpy(object).tolist()
    keys = zip(data.snapshot_dates.tolist(), data.customer_ids, strict=True)
    return dict(zip(keys, zip(features, data.labels.tolist(), strict=True), strict=True))


def as_bytes(data: TrainingData) -> tuple[bytes, ...]:
    ids = "\n".join(data.customer_ids).encode()
    return (ids, data.matrix.tobytes(), data.labels.tobytes(), data.snapshot_dates.tobytes())


many_histories = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(histories())
@many_histories
def test_every_feature_and_every_label_is_what_it_was_on_its_day(
    pipeline: Database, history: tuple[list[Delivery], Policy]
) -> None:
    deliveries, policy = history
    with admitted(pipeline, deliveries) as (connection, delivered):
        chosen = sources_by_hand(delivered, policy)
        assume(chosen)
        sources = choose_sources(connection, policy)
        data = read_rows(connection, sources, policy)

        assert sources.labels == "outcomes"
        assert [(each.snapshot_date, each.settled_date) for each in sources.extracts] == chosen
        ids = {each.extract.extract_id: each.extract.content_hash for each in delivered}
        assert all(ids[each.extract_id] == each.content_hash for each in sources.extracts)
        assert as_read(data) == rows_by_hand(delivered, chosen or [], policy.horizon_days)


@given(histories(), st.integers(0, 2**32 - 1))
@many_histories
def test_nothing_that_happened_after_the_cut_changes_a_bit(
    pipeline: Database, history: tuple[list[Delivery], Policy], seed: int
) -> None:
    """After the snapshot all features are others; after its horizon everybody who stayed leaves, and the other way."""
    deliveries, policy = history
    with admitted(pipeline, deliveries) as (connection, delivered):
        assume(sources_by_hand(delivered, policy))
        before = read_rows(connection, choose_sources(connection, policy), policy)
    day, random = before.snapshot_date, np.random.default_rng(seed)
    cut = day + timedelta(days=policy.horizon_days)
    changed = [
        Delivery(each.day, {who: _after(random, row, each.day > cut) for who, row in each.rows.items()})
        if each.day > day
        else each
        for each in deliveries
    ]
    with admitted(pipeline, changed) as (connection, _):
        after = read_rows(connection, choose_sources(connection, policy), policy)
    assert as_bytes(after) == as_bytes(before)


def _after(random: np.random.Generator, row: dict[str, Any], beyond_the_cut: bool) -> dict[str, Any]:
    flipped = None if row["churned"] is None else not row["churned"]
    return _features(random) | {"churned": flipped if beyond_the_cut else row["churned"]}


@given(histories(), histories())
@many_histories
def test_planned_rows_stay_whatever_is_admitted_or_replaced_while_a_model_trains(
    pipeline: Database, history: tuple[list[Delivery], Policy], later: tuple[list[Delivery], Policy]
) -> None:
    deliveries, policy = history
    with admitted(pipeline, deliveries) as (connection, delivered):
        assume(any(row["churned"] is not None for each in delivered for row in each.rows.values()))
        try:
            sources = choose_sources(connection, policy)
        except NothingToTrainOn:  # the only labels were replaced
            assume(False)
        before = read_rows(connection, sources, policy)
        for each in later[0]:
            admit_rows(connection, each.day, each.rows)
        after = read_rows(connection, sources, policy)
        assert training.fingerprint(after) == training.fingerprint(before)
        assert as_bytes(after) == as_bytes(before)


@given(histories())
@many_histories
def test_no_customer_and_no_feature_vector_is_on_both_sides_and_nothing_is_learned_from_later_than_the_cut(
    pipeline: Database, history: tuple[list[Delivery], Policy]
) -> None:
    deliveries, policy = history
    with admitted(pipeline, deliveries) as (connection, delivered):
        chosen = sources_by_hand(delivered, policy)
        assume(chosen)
        data = read_rows(connection, choose_sources(connection, policy), policy)
    split = training.split_by_time(data, policy)
    learned, judging = split.development, split.holdout

    assert not set(learned.customer_ids) & set(judging.customer_ids)
    assert not {row.tobytes() for row in learned.matrix} & {row.tobytes() for row in judging.matrix}
    assert set(judging.snapshot_dates.tolist()) <= {data.snapshot_date}
    if len(np.unique(data.snapshot_dates)) > 1:
        known = learned.snapshot_dates + np.timedelta64(policy.horizon_days, "D")
        assert (known <= np.datetime64(data.snapshot_date)).all()
    held_out = training.in_holdout(data.customer_ids, policy)
    newest = data.snapshot_dates == np.datetime64(data.snapshot_date)
    assert sorted(judging.customer_ids) == sorted(data.customer_ids[held_out & newest])
    eligible = ~held_out & (newest if newest.all() else ~newest)
    assert len(learned.labels) + split.left_out_count == eligible.sum()


@given(histories())
@many_histories
def test_the_suite_of_a_training_looks_at_the_rows_that_are_learned_from(
    pipeline: Database, history: tuple[list[Delivery], Policy]
) -> None:
    deliveries, policy = history
    with admitted(pipeline, deliveries) as (connection, delivered):
        assume(sources_by_hand(delivered, policy))
        sources = choose_sources(connection, policy)
        data = read_rows(connection, sources, policy)
        for extract in sources.extracts:
            of_day = data.snapshot_dates == np.datetime64(extract.snapshot_date)
            expected = dict(zip(data.customer_ids[of_day], data.labels[of_day].astype(bool).tolist(), strict=True))
            assert _seen_by_suite(connection, sources, extract.extract_id, policy) == expected


def _seen_by_suite(
    connection: Connection, sources: TrainingSources, extract_id: int, policy: Policy
) -> dict[str, bool]:
    (settled,) = (each.settled_date for each in sources.extracts if each.extract_id == extract_id)
    chosen = {
        "churn.training_extract_id": str(extract_id),
        "churn.training_settled_date": str(settled),
        "churn.training_horizon_days": str(policy.horizon_days),
    }
    for name, value in chosen.items():
        connection.execute("SELECT set_config(%s, %s, true)", (name, value))
    rows = connection.execute(sql.SQL("SELECT customer_id, churned FROM churn.training_customers")).fetchall()
    return {row["customer_id"]: row["churned"] for row in rows}


def test_before_there_are_outcomes_labels_are_as_they_were_delivered(pipeline: Database) -> None:
    random = np.random.default_rng(1)
    rows = _random_rows(random, True, 20)
    deliveries = [Delivery(FIRST, rows), Delivery(FIRST + timedelta(days=29), _random_rows(random, False, 29))]
    with admitted(pipeline, deliveries) as (connection, delivered):
        sources = choose_sources(connection, Policy())
        data = read_rows(connection, sources, Policy())
    assert sources.labels == "as delivered"
    assert [each.extract_id for each in sources.extracts] == [delivered[0].extract.extract_id]
    labelled = {who: int(row["churned"]) for who, row in rows.items() if row["churned"] is not None}
    assert dict(zip(data.customer_ids, data.labels.tolist(), strict=True)) == labelled


def test_without_any_label_there_is_nothing_to_learn_from(pipeline: Database) -> None:
    random = np.random.default_rng(1)
    days = [FIRST, FIRST + timedelta(days=40)]
    with (
        admitted(pipeline, [Delivery(day, _random_rows(random, False, 1)) for day in days]) as (connection, _),
        pytest.raises(NothingToTrainOn, match="labels"),
    ):
        choose_sources(connection, Policy())
