"""Prefetching changes when items are made, never which."""

import threading
from collections.abc import Generator

import pytest

from churn.core.prefetch import prefetched


def numbers(count: int, made: list[int] | None = None) -> Generator[int, None, None]:
    for number in range(count):
        if made is not None:
            made.append(number)
        yield number


@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_every_item_comes_once_and_in_order(count: int) -> None:
    assert list(prefetched(numbers(count))) == list(range(count))


def test_at_most_depth_items_are_made_ahead() -> None:
    made: list[int] = []
    stream = prefetched(numbers(100, made), depth=3)
    next(stream)
    assert len(made) <= 1 + 3 + 1
    stream.close()  # type: ignore[attr-defined]


def test_an_error_comes_after_the_items_before_it() -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise KeyError("gone")

    stream = prefetched(failing())
    assert next(stream) == 1
    with pytest.raises(KeyError, match="gone"):
        next(stream)


def test_leaving_early_closes_the_source_and_ends_its_thread() -> None:
    closed = []

    def source() -> Generator[int, None, None]:
        try:
            yield from range(1_000)
        finally:
            closed.append(True)

    before = threading.active_count()
    stream = prefetched(source())
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]
    assert closed == [True]
    assert threading.active_count() == before
