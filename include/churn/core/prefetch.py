"""Overlap: the next items are made while the present one is used."""

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(source: Generator[T, None, None], depth: int = 2) -> Generator[T, None, None]:
    """Yield what `source` yields, made in a thread of its own and at most `depth` items ahead.

    What `source` raises is raised here, in its turn. Leaving early closes `source`.
    """
    end = object()
    with ThreadPoolExecutor(max_workers=1) as worker:
        coming: deque[Future[T | object]] = deque(worker.submit(next, source, end) for _ in range(depth))
        try:
            while (item := coming.popleft().result()) is not end:
                coming.append(worker.submit(next, source, end))
                yield item  # type: ignore[misc]  # anything but the end is a T
        finally:
            for future in coming:
                future.cancel()
            worker.submit(source.close).result()
