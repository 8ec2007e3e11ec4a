"""Simulated customers with the shape of the public Telco data set, as many as wanted, in bounded memory.

The tables below are rounded shares and effects measured on the public data set; no row of it is used. Rows
are drawn in chunks, each from its own random stream (seed, date, chunk), so the first n rows of a larger
simulation are the smaller simulation. Customers are not followed from day to day: another `snapshot_date` is
another draw of the same population under the same ids.
"""

import os
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from churn.columns import BY_NAME, COLUMNS, INTERNET_EXTRA, KEY, LABEL

CHUNK_ROWS = 20_000

# Public ids run from 0002 to 9995 before the dash: 0000 and 0001 belong to nobody real.
LETTER_COUNT = 26**5
MAXIMUM_COUNT = 2 * LETTER_COUNT
ID_STRIDE = 7_654_321  # coprime to 26**5, so that neighbours look unrelated and no id comes twice

CONTRACT_SHARES = (0.546, 0.213, 0.241)
TENURE_EDGES = np.array([0, 1, 2, 7, 13, 25, 37, 49, 61, 67, 71, 72, 73])  # months; the last edge is excluded
TENURE_SHARES = (  # of each bin, by contract
    (0.000, 0.158, 0.210, 0.152, 0.185, 0.125, 0.081, 0.061, 0.020, 0.007, 0.001, 0.000),
    (0.001, 0.005, 0.022, 0.058, 0.136, 0.162, 0.182, 0.220, 0.111, 0.073, 0.018, 0.012),
    (0.007, 0.001, 0.008, 0.024, 0.054, 0.058, 0.101, 0.170, 0.140, 0.156, 0.080, 0.201),
)
PARTNER_AT = ((0, 15, 36, 60, 72), (0.20, 0.40, 0.51, 0.68, 0.76))  # months, share
DEPENDENTS_SHARES = (0.103, 0.517)  # without, with a partner
SENIOR_SHARES = ((0.173, 0.02), (0.29, 0.05))  # by partner, dependents
INTERNET_SHARES = ((0.318, 0.547, 0.135), (0.375, 0.369, 0.256), (0.368, 0.255, 0.377))  # by contract
PHONE_SHARES = (0.711, 1.0, 1.0)  # by internet
LINES_SHARES = (0.39, 0.63, 0.22)  # several lines, of those with a phone, by internet
EXTRA_SHARES = {  # by internet (DSL, fiber) and contract
    "OnlineSecurity": ((0.30, 0.59, 0.76), (0.17, 0.42, 0.63)),
    "OnlineBackup": ((0.30, 0.48, 0.72), (0.33, 0.64, 0.71)),
    "DeviceProtection": ((0.23, 0.52, 0.76), (0.31, 0.62, 0.80)),
    "TechSupport": ((0.29, 0.57, 0.80), (0.16, 0.41, 0.71)),
    "StreamingTV": ((0.25, 0.45, 0.65), (0.47, 0.74, 0.81)),
    "StreamingMovies": ((0.26, 0.46, 0.66), (0.48, 0.74, 0.81)),
}
PAPERLESS_SHARES = (0.56, 0.77, 0.29)  # by internet
PAYMENT_SHARES = (  # electronic check, mailed check, bank transfer, credit card; by internet and contract
    ((0.38, 0.31, 0.16, 0.15), (0.20, 0.25, 0.27, 0.28), (0.09, 0.17, 0.37, 0.37)),
    ((0.62, 0.09, 0.15, 0.14), (0.34, 0.06, 0.29, 0.31), (0.22, 0.04, 0.38, 0.36)),
    ((0.12, 0.64, 0.12, 0.12), (0.08, 0.43, 0.27, 0.22), (0.03, 0.40, 0.27, 0.30)),
)

# A month's price on the bill's 0.05 grid, and what scatters around it.
PRICES = {"phone": 20.0, "lines": 5.0, "StreamingTV": 10.0, "StreamingMovies": 10.0}
INTERNET_PRICES = (25.0, 50.0, 0.0)
OTHER_EXTRA_PRICE, PRICE_DEVIATION, LOWEST_PRICE = 5.0, 1.0, 18.25
TOTAL_DEVIATION = 0.205  # of TotalCharges, in monthly charges times the root of the months

# The log odds of leaving.
INTERCEPT = 0.16
CONTRACT_EFFECTS = (0.0, -0.78, -1.85)
INTERNET_EFFECTS = (0.0, 0.78, -0.7)
TENURE_EFFECT = -0.61  # for log(1 + months)
EFFECTS = {
    "senior": 0.34,
    "dependents": -0.12,
    "lines": 0.30,
    "no phone": 0.50,
    "paperless": 0.33,
    "electronic check": 0.38,
    "OnlineSecurity": -0.34,
    "OnlineBackup": -0.20,
    "DeviceProtection": 0.03,
    "TechSupport": -0.28,
    "StreamingTV": 0.24,
    "StreamingMovies": 0.24,
}

Codes = NDArray[np.integer]
Flags = NDArray[np.bool_]
Drawn = dict[str, NDArray]


def simulate(
    count: int, seed: int, snapshot_date: date | None = None, with_churn: bool = True
) -> Iterator[pd.DataFrame]:
    """Draw `count` customers in frames of at most CHUNK_ROWS with exactly the columns of an extract.

    About 26.5 % leave. Ids are the same for every seed, unique, and of nobody in the public data set. Amounts
    are numbers but TotalCharges is text, a blank at tenure 0, as pandas reads the public file.
    Raises ValueError for a count outside 1..MAXIMUM_COUNT.
    """
    if not 1 <= count <= MAXIMUM_COUNT:
        raise ValueError(f"count must be from 1 to {MAXIMUM_COUNT}, not {count}")
    day = [snapshot_date.toordinal()] if snapshot_date else []
    for start in range(0, count, CHUNK_ROWS):
        random = np.random.default_rng([seed, start // CHUNK_ROWS, *day])
        drawn = _draw(random, CHUNK_ROWS)
        frame = _frame(start, drawn).head(count - start)
        yield frame if with_churn else frame.drop(columns=LABEL.name)


def write_extract(
    path: Path,
    count: int,
    seed: int,
    with_churn: bool = True,
    snapshot_date: date | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Write simulated customers as a CSV in the public format; `on_progress` gets the rows written so far.

    The file appears under its name only when it is whole. Raises as `simulate`, and OSError.
    """
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as target:
        try:
            written = 0
            for frame in simulate(count, seed, snapshot_date, with_churn):
                text = frame.assign(MonthlyCharges=_texts(frame["MonthlyCharges"].to_numpy()))
                text.to_csv(target, index=False, header=written == 0, lineterminator="\n")
                written += len(frame)
                if on_progress is not None:
                    on_progress(written)
            target.flush()
            os.fsync(target.fileno())
            Path(target.name).chmod(0o644)  # a temporary file is readable by its owner only
            Path(target.name).replace(path)
        finally:
            Path(target.name).unlink(missing_ok=True)


def _draw(random: np.random.Generator, count: int) -> Drawn:
    drawn = _draw_people(random, count)
    drawn |= _draw_services(random, drawn)
    drawn |= _draw_bill(random, drawn)
    drawn["churn"] = random.random(count) < 1 / (1 + np.exp(-_log_odds(drawn)))
    return drawn


def _draw_people(random: np.random.Generator, count: int) -> Drawn:
    contract = _pick(random, np.tile(CONTRACT_SHARES, (count, 1)))
    period = _pick(random, np.array(TENURE_SHARES)[contract])
    widths = np.diff(TENURE_EDGES)
    tenure = TENURE_EDGES[period] + (random.random(count) * widths[period]).astype(np.int64)
    partner = random.random(count) < np.interp(tenure, *PARTNER_AT)
    dependents = random.random(count) < np.take(DEPENDENTS_SHARES, partner)
    senior = random.random(count) < np.array(SENIOR_SHARES)[partner.astype(int), dependents.astype(int)]
    woman = random.random(count) < 0.495
    return {
        "contract": contract,
        "tenure": tenure,
        "partner": partner,
        "dependents": dependents,
        "senior": senior,
        "woman": woman,
    }


def _draw_services(random: np.random.Generator, drawn: Drawn) -> Drawn:
    count, contract = len(drawn["contract"]), drawn["contract"]
    internet = _pick(random, _internet_shares(drawn))
    phone = random.random(count) < np.take(PHONE_SHARES, internet)
    # Who stays long has more of everything; who streams one thing streams the other.
    loyalty = 0.02 * (drawn["tenure"] - np.take((18, 42, 57), contract))
    taste = random.normal(size=count)
    lines = phone & _agrees(random, np.take(LINES_SHARES, internet), 1.6 * loyalty)
    services: Drawn = {"internet": internet, "phone": phone, "lines": lines}
    for name, shares in EXTRA_SHARES.items():
        share = np.array([*shares, (0.0, 0.0, 0.0)])[internet, contract]
        push = 1.3 * taste if name.startswith("Streaming") else 0.4 * taste
        services[name] = (internet < 2) & _agrees(random, share, loyalty + push)
    services["paperless"] = random.random(count) < np.take(PAPERLESS_SHARES, internet)
    services["payment"] = _pick(random, np.array(PAYMENT_SHARES)[internet, contract])
    return services


def _internet_shares(drawn: Drawn) -> NDArray[np.float64]:
    """Seniors take fiber more often, families do without internet more often."""
    senior, dependents = drawn["senior"][:, None], drawn["dependents"][:, None]
    weights = np.array(INTERNET_SHARES)[drawn["contract"]]
    weights = weights * np.where(senior, (0.8, 1.75, 0.15), (1.05, 0.9, 1.15))
    weights = weights * np.where(dependents, (1.1, 0.75, 1.35), (0.97, 1.08, 0.85))
    return weights / weights.sum(axis=1, keepdims=True)


def _draw_bill(random: np.random.Generator, drawn: Drawn) -> Drawn:
    count, tenure = len(drawn["phone"]), drawn["tenure"]
    price = np.take(INTERNET_PRICES, drawn["internet"]) + random.normal(0, PRICE_DEVIATION, count)
    for name in ("phone", "lines", *EXTRA_SHARES):
        price += drawn[name] * PRICES.get(name, OTHER_EXTRA_PRICE)
    monthly = _on_grid(np.maximum(price, LOWEST_PRICE))
    scatter = np.where(tenure > 1, random.normal(0, TOTAL_DEVIATION, count) * np.sqrt(tenure), 0.0)
    total = _on_grid(np.maximum(monthly * (tenure + scatter), monthly))
    return {"monthly": monthly, "total": total}


def _log_odds(drawn: Drawn) -> NDArray[np.float64]:
    facts = drawn | {"no phone": ~drawn["phone"], "electronic check": drawn["payment"] == 0}
    odds = INTERCEPT + TENURE_EFFECT * np.log1p(drawn["tenure"])
    odds += np.take(CONTRACT_EFFECTS, drawn["contract"]) + np.take(INTERNET_EFFECTS, drawn["internet"])
    return odds + sum(effect * facts[name] for name, effect in EFFECTS.items())


def _frame(start: int, drawn: Drawn) -> pd.DataFrame:
    online = drawn["internet"] < 2
    cells: dict[str, object] = {
        KEY.name: _ids(np.arange(start, start + len(online))),
        "gender": _names("gender", ~drawn["woman"]),
        "SeniorCitizen": drawn["senior"].astype(np.int64),
        "tenure": drawn["tenure"],
        "InternetService": _names("InternetService", drawn["internet"]),
        "MultipleLines": _names("MultipleLines", np.where(drawn["phone"], ~drawn["lines"], 2)),
        "Contract": _names("Contract", drawn["contract"]),
        "PaymentMethod": _names("PaymentMethod", drawn["payment"]),
        "MonthlyCharges": drawn["monthly"],
        "TotalCharges": np.where(drawn["tenure"] == 0, " ", _texts(drawn["total"])),
        LABEL.name: _yes_no(drawn["churn"]),
    }
    yes_no = {"Partner": "partner", "Dependents": "dependents", "PhoneService": "phone"}
    for column, fact in {**yes_no, "PaperlessBilling": "paperless"}.items():
        cells[column] = _yes_no(drawn[fact])
    for name in EXTRA_SHARES:
        cells[name] = np.array(INTERNET_EXTRA, dtype=object)[np.where(online, ~drawn[name], 2)]
    return pd.DataFrame({column.name: cells[column.name] for column in COLUMNS})


def _pick(random: np.random.Generator, shares: NDArray[np.float64]) -> Codes:
    """One column number for each row of shares (n, k) that add up to about 1."""
    cumulated = shares.cumsum(axis=1)
    return (random.random((len(shares), 1)) * cumulated[:, -1:] >= cumulated[:, :-1]).sum(axis=1)


def _agrees(random: np.random.Generator, share: NDArray[np.float64], push: NDArray[np.float64]) -> Flags:
    """True with the probability `share`, its odds multiplied by exp(push)."""
    odds = share / (1 - share) * np.exp(push)
    return random.random(len(share)) < odds / (1 + odds)


def _on_grid(amount: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.round(np.round(amount * 20) / 20, 2)


def _texts(amounts: NDArray[np.float64]) -> NDArray[np.object_]:
    return np.array([f"{amount:.10g}" for amount in amounts.tolist()], dtype=object)


def _names(column: str, codes: NDArray) -> NDArray[np.object_]:
    return np.array(BY_NAME[column].categories, dtype=object)[codes.astype(np.int64)]


def _yes_no(flags: Flags) -> NDArray[np.object_]:
    return np.where(flags, "Yes", "No").astype(object)


def _ids(numbers: NDArray[np.int64]) -> NDArray[np.object_]:
    """Four digits, a dash and five letters for each customer number from 0."""
    block, place = np.divmod(numbers, LETTER_COUNT)
    place = (place * ID_STRIDE) % LETTER_COUNT
    letters = place[:, None] // 26 ** np.arange(4, -1, -1) % 26 + ord("A")
    suffixes = letters.astype(np.uint8).tobytes().decode("ascii")
    return np.array(
        [f"{number:04d}-{suffixes[5 * i : 5 * i + 5]}" for i, number in enumerate(block.tolist())],
        dtype=object,
    )
