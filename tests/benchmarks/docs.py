"""Fill docs/speed.md from the JSON of a bench: a number in the docs comes from a command."""

from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.results import Results
from tests.benchmarks.tables import Shown, all_tables

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def write_docs(page: Path, results: Results) -> None:
    """Put the tables of a bench between the page's markers. Raises ValueError where they are not there once."""
    text = page.read_text("utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{page} must hold {BEGIN} and {END} once")
    head, _, rest = text.partition(BEGIN)
    page.write_text(f"{head}{BEGIN}\n{_filled(results)}\n{END}{rest.partition(END)[2]}", "utf-8")


def _filled(results: Results) -> str:
    about = ", ".join(f"{name} {value}" for name, value in results.about.items())
    parts = [f"Measured with {about}.", *map(_markdown, all_tables(results)), *results.notes]
    return "\n\n".join(parts)


def _markdown(table: Shown) -> str:
    head = [f"### {table.title}", "", _row(table.columns), _row("---" for _ in table.columns)]
    return "\n".join([*head, *map(_row, table.rows)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
