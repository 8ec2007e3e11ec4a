"""Fill docs/speed.md from the JSON of a bench: a number in the docs comes from a command."""

from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.results import Results
from tests.benchmarks.shown import Shown
from tests.benchmarks.tables import night_tables, request_tables

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
REQUESTS_BEGIN, REQUESTS_END = "<!-- endpoint:begin -->", "<!-- endpoint:end -->"


def write_docs(page: Path, results: Results) -> None:
    """Put the tables of a bench between the page's markers, nights and requests each between their own.

    What was not measured stays as it is. Raises ValueError where markers are not there once.
    """
    text = page.read_text("utf-8")
    if nights := night_tables(results):
        text = _between(text, BEGIN, END, [*map(_markdown, nights), *results.notes], results)
    if requests := request_tables(results):
        text = _between(text, REQUESTS_BEGIN, REQUESTS_END, [*map(_markdown, requests)], results)
    page.write_text(text, "utf-8")


def _between(text: str, begin: str, end: str, parts: list[str], results: Results) -> str:
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the page must hold {begin} and {end} once")
    about = ", ".join(f"{name} {value}" for name, value in results.about.items())
    head, _, rest = text.partition(begin)
    filled = "\n\n".join([f"Measured with {about}.", *parts])
    return f"{head}{begin}\n{filled}\n{end}{rest.partition(end)[2]}"


def _markdown(table: Shown) -> str:
    head = [f"### {table.title}", "", _row(table.columns), _row("---" for _ in table.columns)]
    return "\n".join([*head, *map(_row, table.rows)])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
