"""Named bad files and bad rows, each with what must be said about it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.factories import NAMES, customer_rows

ROW_COUNT = 40


@dataclass(frozen=True)
class BadFile:
    """A file that must be refused, and a part of the sentence that says why."""

    name: str
    content: Callable[[], bytes]
    complaint: str


def text(rows: list[dict[str, str]], names: tuple[str, ...] = NAMES, separator: str = ",", end: str = "\n") -> str:
    lines = [separator.join(names), *(separator.join(row.get(name, "x") for name in names) for row in rows)]
    return end.join(lines) + end


def good() -> str:
    return text(customer_rows(ROW_COUNT))


def with_line(number: int, line: str) -> bytes:
    """The good file with one line (1 is the header) replaced."""
    lines = good().splitlines()
    lines[number - 1] = line
    return ("\n".join(lines) + "\n").encode()


def changed(name: str, value: str, every: int = 1) -> bytes:
    """The good file with one column set to a value in every n-th row."""
    rows = customer_rows(ROW_COUNT)
    for row in rows[::every]:
        row[name] = value
    return text(rows).encode()


def renamed(old: str, new: str) -> bytes:
    return good().replace(old, new, 1).encode()


def without(name: str) -> bytes:
    return text(customer_rows(ROW_COUNT), tuple(each for each in NAMES if each != name)).encode()


LINE_3 = good().splitlines()[2]

BAD_FILES = (
    BadFile("empty", lambda: b"", "The file is empty"),
    BadFile("only a byte order mark", lambda: b"\xef\xbb\xbf", "The file is empty"),
    BadFile("only blank lines", lambda: b"\n\n\n", "The file is empty"),
    BadFile("header only", lambda: (",".join(NAMES) + "\n").encode(), "a header and no rows"),
    BadFile("no header", lambda: good().split("\n", 1)[1].encode(), "Line 1 is not the header"),
    BadFile("semicolons", lambda: text(customer_rows(3), separator=";").encode(), "separated by semicolons"),
    BadFile("tabs", lambda: text(customer_rows(3), separator="\t").encode(), "separated by tabs"),
    BadFile("UTF-16", lambda: good().encode("utf-16"), "Line 1 is not UTF-8"),
    BadFile(
        "Latin-1 in a row",
        lambda: good().replace("Yes", "J\xe4", 1).encode("latin-1"),
        "Line 2 cannot be read",
    ),
    BadFile("NUL byte in a row", lambda: with_line(5, "\0" + LINE_3), "Line 5 cannot be read"),
    BadFile("NUL byte in the header", lambda: b"\0" + good().encode(), "Line 1 holds a NUL byte"),
    BadFile("a field too few", lambda: with_line(7, LINE_3.rsplit(",", 1)[0]), "Line 7 .* missing data"),
    BadFile("a field too many", lambda: with_line(7, LINE_3 + ",more"), "Line 7 .* extra data"),
    BadFile("a blank line inside", lambda: with_line(9, ""), "Line 9 .* missing data"),
    BadFile("an open quote", lambda: with_line(4, '"' + LINE_3), "unterminated CSV quoted field"),
    BadFile(
        "mixed line ends",
        lambda: good().replace("\n", "\r\n", 4).encode(),
        "Line 5 cannot be read: unquoted newline",
    ),
    BadFile("a column missing", lambda: without("tenure"), "The header lacks tenure"),
    BadFile("a column renamed", lambda: renamed("customerID", "customer_id"), r"renamed to 'customer_id'\?"),
    BadFile("a column in another case", lambda: renamed("tenure", "Tenure"), r"renamed to 'Tenure'\?"),
    BadFile("a column twice", lambda: renamed("Partner", "gender"), "'gender' is in the header twice"),
    BadFile("a key twice", lambda: with_line(9, LINE_3), "unique in customerID"),
    BadFile("keys blank", lambda: changed("customerID", ""), "not be null in customerID"),
    BadFile("unknown categories", lambda: changed("Contract", "Weekly", every=4), "in set in Contract"),
    BadFile("decimal commas", lambda: changed("MonthlyCharges", '"70,5"'), "match regex in MonthlyCharges"),
    BadFile("words for tenure", lambda: changed("tenure", "a year"), "match regex in tenure"),
    BadFile("another label", lambda: changed("Churn", "1"), "in set in Churn"),
    BadFile(
        "more bad rows than the cap",
        lambda: changed("tenure", "9999", every=10),
        r"4 of 40 rows are bad, the cap is 5.0%; for example line 2: tenure is '9999', outside 0 to 600",
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
