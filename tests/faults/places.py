"""Places in the night's code where a process stops itself, so that whatever befalls it befalls it exactly there."""

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import pyarrow as pa

ROWS_WRITTEN = 38_000  # Rows go to the server a megabyte at a time: this is a little more than one.


@dataclass(frozen=True)
class Place:
    """Before or after a product function is called, or `during` the iteration over the batches that it returned.

    `function` is named where it is looked up: module and name. `argument` narrows it to calls that begin with it.
    """

    when: Literal["before", "after", "during"]
    function: str
    argument: str | None = None

    def __str__(self) -> str:
        return " ".join(filter(None, (self.when, self.function.removeprefix("churn."), self.argument)))


def stop_at(place: Place) -> None:
    """Wrap the function so that this process stops itself (SIGSTOP) the first time it comes to the place."""
    module_name, _, name = place.function.rpartition(".")
    module = import_module(module_name)
    original: Callable[..., Any] = getattr(module, name)
    coming = [place]

    def stop() -> None:
        if coming:
            coming.clear()
            os.kill(os.getpid(), signal.SIGSTOP)

    def interrupted(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        count = 0
        for batch in batches:
            yield batch
            count += batch.num_rows
            if count > ROWS_WRITTEN:
                stop()

    def wrapped(*arguments: Any, **named: Any) -> Any:
        meant = place.argument is None or arguments[:1] == (place.argument,)
        if meant and place.when == "before":
            stop()
        result = original(*arguments, **named)
        if meant and place.when == "during":
            return interrupted(result)
        if meant and place.when == "after":
            stop()
        return result

    setattr(module, name, wrapped)
