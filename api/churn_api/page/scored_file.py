"""A file of customers, given back with what is said of each: for a spreadsheet, which must not run any of its cells."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from churn_api.batch import answer_rows
from churn_api.batch_rows import COLUMNS, CSV, csv_lines, flat, no_formula, write_table
from churn_api.problems import Problem

MOST_SHOWN = 50  # refused rows on the page; the file has all
TOP = 10
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # without it Excel takes the text for Windows-1252
_SAID = tuple(name for name in COLUMNS if name != "customer_id")


@dataclass(frozen=True)
class ScoredFile:
    """The answer to a file: `written` is the CSV; `top` the rows of the highest risk, `refused` the first bad ones."""

    written: bytes
    model_version: int
    scored_count: int
    refused_count: int
    level_counts: Mapping[str, int]
    top: Sequence[Mapping[str, Any]]
    refused: Sequence[Mapping[str, Any]]


def score_file(body: bytes) -> ScoredFile:
    """Score every row as POST /v1/predict/batch does. Raises Problem where the file is no table of customers."""
    _require_commas(body)
    answers, model_version = answer_rows(body, CSV)
    scored = [answer for answer in answers if answer["status"] == "scored"]
    refused = [answer for answer in answers if answer["status"] == "refused"]
    return ScoredFile(
        written=_BYTE_ORDER_MARK + _beside(csv_lines(body), answers),
        model_version=model_version,
        scored_count=len(scored),
        refused_count=len(refused),
        level_counts=Counter(answer["risk_level"] for answer in scored),
        top=sorted(scored, key=lambda answer: -answer["churn_probability"])[:TOP],
        refused=refused[:MOST_SHOWN],
    )


def _beside(lines: Sequence[Sequence[str]], answers: Sequence[Mapping[str, Any]]) -> bytes:
    """The columns as they came, and beside them what is said of each row."""
    first, *given = lines
    width = len(first)
    rows = []
    for line, answer in zip(given, answers, strict=True):
        own = [no_formula(cell) for cell in [*line[:width], *[""] * (width - len(line))]]
        said = flat(answer)
        rows.append([*own, *(said[name] for name in _SAID)])
    return write_table([*(no_formula(name) for name in first), *_SAID], rows)  # type: ignore[list-item]


def _require_commas(body: bytes) -> None:
    """Say what is wrong with what spreadsheets save by mistake, before each row is refused for it."""
    first = body[:2000].partition(b"\n")[0]
    if body[:4] == b"PK\x03\x04" or body[:4] == b"\xd0\xcf\x11\xe0":
        raise Problem(422, "not-csv", "The file is a workbook, not CSV.", "Save it as “CSV UTF-8 (comma delimited)”.")
    if b"," not in first and first.count(b";") + first.count(b"\t") > 0:
        raise Problem(422, "not-commas", "The columns are not divided by commas.",
                      "Save it as “CSV UTF-8 (comma delimited)”, with commas between the columns.")  # fmt: skip
