"""A table as plain values."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shown:
    """A table: a title, the names of its columns, rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
