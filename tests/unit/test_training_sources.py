"""Which snapshots a retraining learns from, told by days."""

from datetime import date, timedelta

import pytest

from churn.core.training_sources import Snapshot, delivered_source, settled_sources

FIRST = date(2026, 1, 1)
HORIZON = 30


def history(days: range | list[int], labelled: range | list[int]) -> list[Snapshot]:
    return [Snapshot(100 + day, FIRST + timedelta(days=day), f"{day:064d}", day in labelled) for day in days]


def chosen(snapshots: list[Snapshot], limit: int = 6) -> list[tuple[int, int]]:
    """(day, settled day) of what is learned from, newest first."""
    sources = settled_sources(snapshots, HORIZON, limit)
    assert sources is not None
    return [
        ((each.snapshot_date - FIRST).days, (each.settled_date - FIRST).days)
        for each in sources.extracts
        if each.settled_date
    ]


def test_a_year_of_days_gives_six_horizons_one_after_the_other() -> None:
    year = history(range(365), range(365))

    assert chosen(year) == [(334, 364), (304, 334), (274, 304), (244, 274), (214, 244), (184, 214)]
    assert chosen(year, limit=1) == [(334, 364)]


def test_labels_that_come_late_settle_late() -> None:
    """Labels on two days only: the second of them settles everything up to a horizon before it."""
    assert chosen(history(range(100), [0, 80])) == [(50, 80)]
    assert chosen(history(range(100), [0, 45, 80])) == [(50, 80), (15, 45)]


def test_what_was_known_only_after_the_judged_day_is_not_learned_from() -> None:
    assert chosen(history([0, 31, 61], [61])) == [(31, 61)]


@pytest.mark.parametrize("labelled", [[], [0], [29]])
def test_without_a_label_at_the_end_of_a_horizon_nothing_is_settled(labelled: list[int]) -> None:
    assert settled_sources(history(range(40), labelled), HORIZON, 6) is None


def test_labels_that_are_asked_are_those_of_the_day_of_settlement_and_before() -> None:
    sources = settled_sources(history(range(0, 100, 10), [10, 50, 70, 90]), HORIZON, 6)

    assert sources is not None
    assert sources.newest.snapshot_date == FIRST + timedelta(days=60)
    assert sources.label_extract_ids == (110, 150, 170, 190)
    earlier = settled_sources(history(range(0, 100, 10), [10, 50, 70]), HORIZON, 6)
    assert earlier is not None
    assert earlier.label_extract_ids == (110, 150, 170)


def test_a_delivered_source_asks_no_other_extract() -> None:
    sources = delivered_source(7, FIRST, "a" * 64)

    assert (sources.labels, sources.newest.extract_id, sources.label_extract_ids) == ("as delivered", 7, ())
    assert sources.newest.settled_date is None
