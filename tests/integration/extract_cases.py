"""Named inputs of every bad kind, each with its verdict and what must be said about it."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import pyarrow as pa

from tests.factories import NAMES, customer_rows
from tests.integration.extract_texts import (
    LINE_3,
    ROW_COUNT,
    ZIPPED,
    changed,
    flipped,
    good,
    good_parquet,
    parquet,
    renamed,
    retyped,
    text,
    typed,
    with_line,
    with_row,
    without,
)
from tests.integration.validations import NEXT_DAY

YESTERDAY = customer_rows(ROW_COUNT)
"""What was admitted before the bad input lands."""

Verdict = Literal["refused", "quarantined", "admitted", "held", "ignored"]


@dataclass(frozen=True)
class BadInput:
    """What lands after yesterday's good file; the verdict on the last of it, and a part of the sentence about it."""

    name: str
    files: Callable[[], dict[str, bytes]]
    verdict: Verdict
    said: str


def named(suffix: str = "csv", day: date = NEXT_DAY) -> str:
    return f"customers-{day}.{suffix}"


def bad_input(
    name: str, content: Callable[[], bytes], said: str, verdict: Verdict = "refused", file: str = named()
) -> BadInput:
    return BadInput(name, lambda: {file: content()}, verdict, said)


# The table ----------------------------------------------------------------------------------------------------

_HEADERS = (",".join(NAMES).lower(), ",".join(NAMES))


def in_format(suffix: str, name: str, content: Callable[[], bytes], said: str) -> BadInput:
    return bad_input(f"{suffix}: {name}", content, said, file=named(suffix))


UNREADABLE_OR_IMPLAUSIBLE = (
    bad_input("empty", lambda: b"", "The file is empty"),
    bad_input("only a byte order mark", lambda: b"\xef\xbb\xbf", "The file is empty"),
    bad_input("only blank lines", lambda: b"\n\n\n", "The file is empty"),
    bad_input("header only", lambda: (",".join(NAMES) + "\n").encode(), "a header and no rows"),
    bad_input("no header", lambda: good().split("\n", 1)[1].encode(), "Line 1 is not the header"),
    bad_input("semicolons", lambda: text(customer_rows(3), separator=";").encode(), "separated by semicolons"),
    bad_input("tabs", lambda: text(customer_rows(3), separator="\t").encode(), "separated by tabs"),
    bad_input("UTF-16", lambda: good().encode("utf-16"), "Line 1 is not UTF-8"),
    bad_input(
        "Latin-1 in a row",
        lambda: good().replace("Yes", "J\xe4", 1).encode("latin-1"),
        "Line 2 cannot be read",
    ),
    bad_input("NUL byte in a row", lambda: with_line(5, "\0" + LINE_3), "Line 5 cannot be read"),
    bad_input("NUL byte in the header", lambda: b"\0" + good().encode(), "Line 1 holds a NUL byte"),
    bad_input("a field too few", lambda: with_line(7, LINE_3.rsplit(",", 1)[0]), "Line 7 .* missing data"),
    bad_input("a field too many", lambda: with_line(7, LINE_3 + ",more"), "Line 7 .* extra data"),
    bad_input("a blank line inside", lambda: with_line(9, ""), "Line 9 .* missing data"),
    bad_input("an open quote", lambda: with_line(4, '"' + LINE_3), "unterminated CSV quoted field"),
    bad_input(
        "mixed line ends",
        lambda: good().replace("\n", "\r\n", 4).encode(),
        "Line 5 cannot be read: unquoted newline",
    ),
    bad_input("a column missing", lambda: without("tenure"), "The header lacks tenure"),
    bad_input("a column renamed", lambda: renamed("customerID", "customer_id"), r"renamed to 'customer_id'\?"),
    bad_input("a column in another case", lambda: renamed("tenure", "Tenure"), r"renamed to 'Tenure'\?"),
    bad_input("a column twice", lambda: renamed("Partner", "gender"), "'gender' is in the header twice"),
    bad_input("a key twice", lambda: with_line(9, LINE_3), "unique in customerID"),
    bad_input("keys blank", lambda: changed("customerID", ""), "not be null in customerID"),
    bad_input("unknown categories", lambda: changed("Contract", "Weekly", every=4), "in set in Contract"),
    bad_input("decimal commas", lambda: changed("MonthlyCharges", '"70,5"'), "match regex in MonthlyCharges"),
    bad_input("words for tenure", lambda: changed("tenure", "a year"), "match regex in tenure"),
    bad_input("another label", lambda: changed("Churn", "1"), "in set in Churn"),
    bad_input(
        "more bad rows than the cap",
        lambda: changed("tenure", "9999", every=10),
        r"4 of 40 rows are bad, the cap is 5.0%; for example line 2: tenure is '9999', outside 0 to 600",
    ),
    bad_input("a character cut in two", lambda: good().encode()[:-1] + "é".encode()[:1], "cannot be read"),
    bad_input(
        "an error page", lambda: b"<html><body>503 Service Unavailable</body></html>\n", "Line 1 is not the header"
    ),
    bad_input("JSON", lambda: b'[{"customerID": "1"}]', "The header lacks|Line 1"),
    bad_input("header only, CRLF", lambda: (",".join(NAMES) + "\r\n").encode(), "a header and no rows"),
    bad_input("white space in a column name", lambda: renamed("tenure", " tenure"), r"renamed to ' tenure'\?"),
    bad_input("every category in lower case", lambda: good().lower().replace(*_HEADERS).encode(), "in set in Contract"),
    bad_input("every category with a trailing space", lambda: changed("Contract", "One year "), "in set in Contract"),
    bad_input("ten times the rows", lambda: good(10 * ROW_COUNT).encode(), "400 rows, 10.00 times the 40"),
    bad_input("a tenth of the rows", lambda: good(ROW_COUNT // 10).encode(), "4 rows, 0.10 times the 40"),
    bad_input(
        "the customers of another telecom",
        lambda: good().replace("-TEST", "-ELSE").encode(),
        "40 of the 40 customers of .* are not in the file",
    ),
    bad_input(
        "a day in the future",
        lambda: good().encode(),
        "which is in the future",
        file=named(day=NEXT_DAY + timedelta(days=30)),
    ),
)

IN_OTHER_FORMATS = (
    in_format("csv.gz", "cut off", lambda: ZIPPED[:-40], "The gzip file ends before its end"),
    in_format("csv.gz", "its checksum cut off", lambda: ZIPPED[:-3], "The gzip file ends before its end"),
    in_format("csv.gz", "damaged", lambda: flipped(ZIPPED, len(ZIPPED) // 2), "The gzip file is damaged"),
    in_format("csv.gz", "not gzip", lambda: good().encode(), "The gzip file is damaged: Not a gzipped file"),
    in_format("csv.gz", "something behind it", lambda: ZIPPED + b"more", "The gzip file is damaged"),
    in_format("csv.gz", "empty", lambda: b"", "The file is empty"),
    in_format("csv.gz", "nothing in it", lambda: gzip.compress(b""), "The file is empty"),
    in_format(
        "csv.gz", "a column missing", lambda: gzip.compress(good().replace("tenure", "x", 1).encode()), "lacks tenure"
    ),
    in_format("parquet", "empty", lambda: b"", "The Parquet file is damaged"),
    in_format("parquet", "CSV", lambda: good().encode(), "The Parquet file is damaged"),
    in_format("parquet", "cut off", lambda: good_parquet()[:-100], "The Parquet file is damaged"),
    in_format(
        "parquet",
        "no rows",
        lambda: parquet({name: pa.array([], pa.string()) for name in NAMES}),
        "a header and no rows",
    ),
    in_format(
        "parquet",
        "a column missing",
        lambda: parquet({name: values for name, values in typed(customer_rows(9)).items() if name != "tenure"}),
        "The header lacks tenure",
    ),
    in_format(
        "parquet",
        "a column renamed",
        lambda: parquet({name.replace("ID", "_id"): values for name, values in typed(customer_rows(9)).items()}),
        r"renamed to 'customer_id'\?",
    ),
    in_format(
        "parquet",
        "words for tenure",
        lambda: retyped("tenure", ["a year"] * ROW_COUNT),
        "match regex in tenure",
    ),
    in_format(
        "parquet",
        "nested",
        lambda: retyped("Partner", [["Yes"]] * ROW_COUNT),
        "Column 'Partner' is retyped: it holds list<.*>, not text",
    ),
    in_format(
        "parquet",
        "binary",
        lambda: retyped("gender", [b"Male"] * ROW_COUNT),
        "Column 'gender' is retyped: it holds binary",
    ),
    in_format(
        "parquet",
        "booleans",
        lambda: retyped("Partner", [True] * ROW_COUNT),
        "Column 'Partner' is retyped: it holds bool",
    ),
    in_format(
        "parquet",
        "dates",
        lambda: retyped("tenure", [date(2026, 1, 1)] * ROW_COUNT),
        "Column 'tenure' is retyped: it holds date32.*, not numbers",
    ),
    in_format(
        "parquet",
        "numbers for a category",
        lambda: retyped("Contract", [1] * ROW_COUNT),
        "Column 'Contract' is retyped: it holds int64, not text",
    ),
)

ODD_BUT_READ = (
    bad_input("a byte order mark", lambda: b"\xef\xbb\xbf" + good().encode(), "40 of 40 rows", "admitted"),
    bad_input("CRLF", lambda: good().replace("\n", "\r\n").encode(), "40 of 40 rows", "admitted"),
    bad_input("no line end at the end", lambda: good().rstrip().encode(), "40 of 40 rows", "admitted"),
    bad_input("blank lines at the end", lambda: f"{good()}\n\n".encode(), "40 of 40 rows", "admitted"),
    bad_input("columns in another order", lambda: text(YESTERDAY, NAMES[::-1]).encode(), "40 of 40 rows", "admitted"),
    bad_input(
        "a column added",
        lambda: text(YESTERDAY, (*NAMES, "region")).encode(),
        "column 'region' is not in the contract and was ignored",
        "admitted",
    ),
    bad_input(
        "5 MB in a column that was added",
        lambda: text(
            [row | {"region": "x" * 5_000_000} for row in YESTERDAY[:1]] + YESTERDAY[1:], (*NAMES, "region")
        ).encode(),
        "40 of 40 rows",
        "admitted",
    ),
    bad_input("no label", lambda: without("Churn"), "40 of 40 rows", "admitted"),
    bad_input("emoji in a key", lambda: with_row({"customerID": "🐘-👍🏽"}), "41 of 41 rows", "admitted"),
    bad_input("a quote in a key", lambda: with_row({"customerID": 'O"Neil, Ann'}), "41 of 41 rows", "admitted"),
    bad_input("SQL in a key", lambda: with_row({"customerID": "'; DROP TABLE x; --"}), "41 of 41 rows", "admitted"),
    bad_input("yesterday's file again", lambda: good().encode(), "byte for byte, the extract of", "admitted"),
    bad_input(
        "a file of last year",
        lambda: good().encode(),
        "the file is 400 days old",
        "admitted",
        file=named(day=NEXT_DAY - timedelta(days=400)),
    ),
    bad_input("a date that is no day", lambda: good().encode(), "", "ignored", file="customers-2026-02-30.csv"),
    bad_input("a date without dashes", lambda: good().encode(), "", "ignored", file=f"customers-{NEXT_DAY:%Y%m%d}.csv"),
    bad_input("another name", lambda: good().encode(), "", "ignored", file=f"Customers-{NEXT_DAY}.csv"),
    bad_input("half an upload", lambda: good().encode(), "", "ignored", file=f"{named()}.part"),
    BadInput(
        "the same keys in two files of a day",
        lambda: {named(): good().encode(), named("csv.gz"): ZIPPED},
        "held",
        "counts for .* with other content",
    ),
    BadInput(
        "the header again in the middle",
        lambda: {named(): good().encode() + ",".join(NAMES).encode() + b"\n"},
        "quarantined",
        "SeniorCitizen is 'SeniorCitizen', not a whole number",
    ),
)

BAD_ROWS: tuple[tuple[dict[str, str], str], ...] = (
    ({"customerID": ""}, "customerID is blank"),
    ({"customerID": "   "}, "customerID is blank"),
    ({"customerID": "k" * 65}, f"customerID is '{'k' * 40}…', longer than 64 characters"),
    ({"customerID": "a\tb"}, "customerID is 'a?b', with a control character in it"),
    ({"customerID": "a\nb"}, "customerID is 'a?b', with a control character in it"),
    ({"customerID": " 0001"}, "customerID is ' 0001', with white space around it"),
    ({"gender": ""}, "gender is blank"),
    ({"gender": "female"}, "gender is 'female', not one of Female, Male"),
    ({"gender": "Female "}, "gender is 'Female ', not one of Female, Male"),
    ({"Partner": "'; DROP TABLE churn.extracts; --"},
     "Partner is ''; DROP TABLE churn.extracts; --', not one of Yes, No"),
    ({"Contract": "X" * 5_000}, f"Contract is '{'X' * 40}…', not one of Month-to-month, One year, Two year"),
    ({"SeniorCitizen": "2"}, "SeniorCitizen is '2', outside 0 to 1"),
    ({"SeniorCitizen": "Yes"}, "SeniorCitizen is 'Yes', not a whole number"),
    ({"tenure": ""}, "tenure is blank"),
    ({"tenure": "abc"}, "tenure is 'abc', not a whole number"),
    ({"tenure": "12.0"}, "tenure is '12.0', not a whole number"),
    ({"tenure": "1_000"}, "tenure is '1_000', not a whole number"),
    ({"tenure": " 12 "}, "tenure is ' 12 ', not a whole number"),
    ({"tenure": "١٢"}, "tenure is '١٢', not a whole number"),
    ({"tenure": "0x1F"}, "tenure is '0x1F', not a whole number"),
    ({"tenure": "-1"}, "tenure is '-1', outside 0 to 600"),
    ({"tenure": "1000000000"}, "tenure is '1000000000', outside 0 to 600"),
    ({"tenure": "9" * 400}, f"tenure is '{'9' * 40}…', outside 0 to 600"),
    ({"MonthlyCharges": "nan"}, "MonthlyCharges is 'nan', not a number"),
    ({"MonthlyCharges": "inf"}, "MonthlyCharges is 'inf', not a number"),
    ({"MonthlyCharges": "1e400"}, "MonthlyCharges is '1e400', not a number"),
    ({"MonthlyCharges": "70,5"}, "MonthlyCharges is '70,5', not a number"),
    ({"MonthlyCharges": "-0.01"}, "MonthlyCharges is '-0.01', outside 0 to 1000"),
    ({"MonthlyCharges": "9" * 400}, f"MonthlyCharges is '{'9' * 40}…', outside 0 to 1000"),
    ({"TotalCharges": ""}, "TotalCharges is blank while tenure is 12"),
    ({"TotalCharges": " "}, "TotalCharges is blank while tenure is 12"),
    ({"TotalCharges": "$846"}, "TotalCharges is '$846', not a number"),
    ({"Churn": "maybe"}, "Churn is 'maybe', not one of Yes, No"),
    ({"Contract": "One\nyear"}, "Contract is 'One?year', not one of Month-to-month, One year, Two year"),
    ({"Contract": 'One "year", or'}, "Contract is 'One \"year\", or', not one of Month-to-month, One year, Two year"),
    ({"InternetService": "🐘"}, "InternetService is '🐘', not one of DSL, Fiber optic, No"),
    ({"PaymentMethod": "X" * 5_000_000},
     f"PaymentMethod is '{'X' * 40}…', not one of Electronic check, Mailed check, Bank transfer (automatic),"
     " Credit card (automatic)"),
)  # fmt: skip

# Each field is fine by itself, and no customer can be like that.
MISFITS: tuple[tuple[dict[str, str], tuple[str, ...]], ...] = (
    ({"InternetService": "No"}, tuple(
        f"{name} is '{value}' while InternetService is 'No'"
        for name, value in (
            ("OnlineSecurity", "No"), ("OnlineBackup", "Yes"), ("DeviceProtection", "No"), ("TechSupport", "No"),
            ("StreamingTV", "Yes"), ("StreamingMovies", "No"),
        )
    )),
    *(({name: "No internet service"}, (f"{name} is 'No internet service' while InternetService is 'Fiber optic'",))
      for name in ("OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV",
                   "StreamingMovies")),
    ({"PhoneService": "No"}, ("MultipleLines is 'No' while PhoneService is 'No'",)),
    ({"MultipleLines": "No phone service"}, ("MultipleLines is 'No phone service' while PhoneService is 'Yes'",)),
    ({"tenure": "60", "MonthlyCharges": "100", "TotalCharges": "5"},
     ("TotalCharges is '5' while 60 months at 100 come to 6000.00",)),
    ({"TotalCharges": "84600"}, ("TotalCharges is '84600' while 12 months at 70.5 come to 846.00",)),
    ({"tenure": "0", "TotalCharges": "2000"}, ("TotalCharges is '2000' while 0 months at 70.5 come to 0.00",)),
    ({"StreamingTV": "No internet service", "TotalCharges": "0"},
     ("StreamingTV is 'No internet service' while InternetService is 'Fiber optic'",
      "TotalCharges is '0' while 12 months at 70.5 come to 846.00")),
)  # fmt: skip

# Unusual, and there are customers like that.
FITTING: tuple[dict[str, str], ...] = (
    {"InternetService": "No"} | dict.fromkeys(
        ("OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport", "StreamingTV", "StreamingMovies"),
        "No internet service",
    ),
    {"PhoneService": "No", "MultipleLines": "No phone service", "InternetService": "DSL"},
    {"tenure": "0", "TotalCharges": "70.5"},
    {"tenure": "0", "TotalCharges": " ", "MonthlyCharges": "0"},
    {"tenure": "70", "MonthlyCharges": "118.75", "TotalCharges": "1300"},  # the dearest tariff since yesterday
    {"tenure": "70", "MonthlyCharges": "18.25", "TotalCharges": "8300"},  # the cheapest
    {"MonthlyCharges": "0", "TotalCharges": "0"},
)  # fmt: skip


def one_bad_row(changes: dict[str, str], said: str) -> BadInput:
    fields = ", ".join(f"{name}={value[:40]!r}" for name, value in changes.items())
    return bad_input(f"a row: {fields}", lambda: with_row(changes), said, "quarantined")


BAD_FILES = (*UNREADABLE_OR_IMPLAUSIBLE, *IN_OTHER_FORMATS, *ODD_BUT_READ)
BAD_INPUTS = (
    *BAD_FILES,
    *(one_bad_row(changes, reason) for changes, reason in BAD_ROWS),
    *(one_bad_row(changes, reasons[0]) for changes, reasons in MISFITS),
)
