"""The checks of a staged extract that need to know the ones before it.

Some refuse the file, because no telecom changes like that in a day; the others warn, and the file is admitted.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any

from churn.columns import COLUMNS, Column
from churn.errors import ExtractRefused
from churn.policy import Policy
from churn.records import ExpectationResult, ExtractArrival, ExtractProfile, PastExtract, Severity

SUITE = "extract_history"
UNKNOWN = "a value outside the contract"
SAMPLE_COUNT = 30_000  # rows that ANALYZE looks at with the server's default statistics target
# What makes no odds even where the days before were all alike: half a point of a share, a hundredth of a median.
SHARE_FLOOR, MEDIAN_FLOOR = 0.005, 0.01
_MAD_OF_A_DEVIATION = 0.6745  # of a normal distribution: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993
_LIMITS = {
    "row_count_like_before": ("minimum_row_count_ratio", "maximum_row_count_ratio"),
    "customers_still_there": ("maximum_lost_customers_rate",),
}


def check_arrival(arrival: ExtractArrival, policy: Policy, today: date) -> tuple[ExpectationResult, ...]:
    """Judge row count, customers, date and content of a staged extract; `today` is the day in UTC.

    Without an earlier extract there is nothing to compare with: the results say so and pass.
    """
    return (
        _row_count(arrival, policy),
        _customers(arrival, policy),
        *_date(arrival.snapshot_date, policy, today),
        _content(arrival),
    )


def require_plausible(results: Iterable[ExpectationResult], command: str) -> None:
    """Raise ExtractRefused with the numbers, and the way out where they are right, if a check refuses the extract.

    `command` is the one that judges it again.
    """
    refused = [result for result in results if result.is_refusal]
    if not refused:
        return
    sentences = [f"{result.sentence}." for result in refused]
    limits = [name for result in refused for name in _LIMITS.get(result.expectation, ())]
    if limits:
        sentences.append(f"If that is right, change {' or '.join(limits)} in the policy and run `{command}`.")
    raise ExtractRefused(" ".join(sentences), "Otherwise have the file corrected and delivered again.")


def check_profile(
    profile: ExtractProfile, row_count: int, past: Sequence[PastExtract], policy: Policy
) -> tuple[ExpectationResult, ...]:
    """Judge the median of each number and the shares of each category beside those of earlier extracts: warnings."""
    before = [extract.profile for extract in past if extract.profile]
    return (
        *(_median(name, quartiles, row_count, before, policy) for name, quartiles in profile.quartiles.items()),
        *(_shares(name, profile, row_count, before, policy) for name in profile.shares),
    )


def check_new_values(
    new_values: dict[str, dict[str, int]], profile: ExtractProfile, row_count: int
) -> tuple[ExpectationResult, ...]:
    """Tell the values of each category that are outside the contract, with the rows (quarantined) that have them."""
    return tuple(
        _new_values(name, new_values.get(name, {}), round(rate * row_count))
        for name, rate in profile.unknown_rates.items()
    )


def check_bills(doubtful_count: int, admitted_count: int, policy: Policy) -> ExpectationResult:
    """Judge how many TotalCharges are far from tenure x MonthlyCharges, though not impossible: a warning."""
    rate = doubtful_count / max(admitted_count, 1)
    limit = policy.maximum_doubtful_bills_rate
    return _result(
        "bills_consistent",
        "TotalCharges",
        "warn",
        rate <= limit,
        {"doubtful_rate": round(rate, 6), "maximum": limit},
        f"TotalCharges is far from tenure x MonthlyCharges in {doubtful_count} rows ({rate:.1%}; usual is {limit:.1%})",
        doubtful_count,
    )


def robust_z(value: float, before: Sequence[float], floor: float) -> float:
    """The modified z-score of a value: 0.6745 times its distance from the median of `before`, over their MAD.

    A MAD below `floor` counts as the floor, so that days that were all alike make no small change unusual.
    """
    centre = median(before)
    deviation = median(abs(each - centre) for each in before)
    return _MAD_OF_A_DEVIATION * (value - centre) / max(deviation, floor)


def counted_values(column: Column) -> tuple[str, ...]:
    """The values whose shares a profile keeps: of a category, and of a number that is a flag."""
    if column.kind == "integer" and column.maximum == 1:
        return ("0", "1")
    return column.categories if column.kind == "category" else ()


COUNTED = {column.name: counted_values(column) for column in COLUMNS if counted_values(column)}


def _row_count(arrival: ExtractArrival, policy: Policy) -> ExpectationResult:
    low, high = policy.minimum_row_count_ratio, policy.maximum_row_count_ratio
    if not arrival.past:
        return _nothing_before("row_count_like_before", None, "refuse", {"row_count": arrival.row_count})
    usual = median(extract.row_count for extract in arrival.past)
    ratio = arrival.row_count / usual if usual else math.inf
    return _result(
        "row_count_like_before",
        None,
        "refuse",
        low <= ratio <= high,
        {"row_count": arrival.row_count, "usual": usual, "minimum": low * usual, "maximum": high * usual},
        f"The file holds {arrival.row_count} rows, {ratio:.2f} times the {usual:g} that are usual"
        f" ({_of(arrival.past)}); {low:g} to {high:g} times are allowed",
    )


def _customers(arrival: ExtractArrival, policy: Policy) -> ExpectationResult:
    limit = policy.maximum_lost_customers_rate
    if not arrival.past or not arrival.previous_count:
        return _nothing_before("customers_still_there", "customerID", "refuse", None)
    rate = arrival.lost_count / arrival.previous_count
    return _result(
        "customers_still_there",
        "customerID",
        "refuse",
        rate <= limit,
        {"lost_rate": round(rate, 6), "maximum": limit, "since": arrival.past[0].snapshot_date.isoformat()},
        f"{arrival.lost_count} of the {arrival.previous_count} customers of {arrival.past[0].snapshot_date} are not in"
        f" the file ({rate:.1%}; {limit:.1%} are allowed)",
        arrival.lost_count,
    )


def _date(snapshot_date: date, policy: Policy, today: date) -> list[ExpectationResult]:
    # East of Greenwich a day begins before it does in UTC.
    last = today + timedelta(days=1)
    age = (today - snapshot_date).days
    seen: dict[str, Any] = {"snapshot_date": snapshot_date.isoformat(), "age_days": age}
    return [
        _result(
            "date_not_in_the_future",
            None,
            "refuse",
            snapshot_date <= last,
            seen | {"maximum": last.isoformat()},
            f"The file is of {snapshot_date}, which is in the future (today is {today} in UTC): correct its name",
        ),
        _result(
            "extract_is_fresh",
            None,
            "warn",
            age <= policy.fresh_extract_days,
            seen | {"maximum": policy.fresh_extract_days},
            f"the file is {age} days old; up to {policy.fresh_extract_days} are usual, unless days are made up for",
        ),
    ]


def _content(arrival: ExtractArrival) -> ExpectationResult:
    same = arrival.same_content_date
    return _result(
        "content_is_new",
        None,
        "warn",
        same is None,
        None if same is None else {"same_as": same.isoformat()},
        f"the file is, byte for byte, the extract of {same} under another date: was an old file delivered again?",
    )


def _median(
    name: str,
    quartiles: tuple[float, float, float],
    row_count: int,
    before: Sequence[ExtractProfile],
    policy: Policy,
) -> ExpectationResult:
    low, value, high = quartiles
    known = [profile.quartiles[name][1] for profile in before if name in profile.quartiles]
    if len(known) < policy.unusual_needs_extracts:
        return _nothing_before("median_like_before", name, "warn", {"median": value})
    # The standard error of a median by the quartiles (McGill, Tukey and Larsen 1978): chance is nothing unusual.
    chance = 0.93 * (high - low) / math.sqrt(max(row_count, 1))
    usual = median(known)
    z = robust_z(value, known, max(MEDIAN_FLOOR * abs(usual), _MAD_OF_A_DEVIATION * chance, 1e-9))
    return _result(
        "median_like_before",
        name,
        "warn",
        abs(z) <= policy.unusual_from_robust_z,
        {"median": value, "usual": usual, "robust_z": round(z, 2), "maximum": policy.unusual_from_robust_z},
        f"the median of {name} is {value:g} where {usual:g} is usual (robust z {z:.1f})",
    )


def _shares(
    name: str, profile: ExtractProfile, row_count: int, before: Sequence[ExtractProfile], policy: Policy
) -> ExpectationResult:
    shares, known = _all_shares(profile, name), [_all_shares(each, name) for each in before if name in each.shares]
    if len(known) < policy.unusual_needs_extracts:
        return _nothing_before("shares_like_before", name, "warn", shares)
    judged = {}
    for value, share in shares.items():
        usual = [each.get(value, 0.0) for each in known]
        chance = math.sqrt(share * (1 - share) / min(max(row_count, 1), SAMPLE_COUNT))
        judged[value] = robust_z(share, usual, max(SHARE_FLOOR, _MAD_OF_A_DEVIATION * chance)), median(usual)
    worst = max(judged, key=lambda value: abs(judged[value][0]))
    z, usual_share = judged[worst]
    return _result(
        "shares_like_before",
        name,
        "warn",
        abs(z) <= policy.unusual_from_robust_z,
        {"shares": shares, "farthest": worst, "usual": usual_share, "robust_z": round(z, 2)}
        | {"maximum": policy.unusual_from_robust_z},
        f"{name} is {worst!r} in {shares[worst]:.1%} of the rows where {usual_share:.1%} is usual (robust z {z:.1f})",
    )


def _all_shares(profile: ExtractProfile, name: str) -> dict[str, float]:
    shares = {value: round(profile.shares[name].get(value, 0.0), 6) for value in COUNTED[name]}
    return shares | {UNKNOWN: round(profile.unknown_rates.get(name, 0.0), 6)}


def _new_values(name: str, values: dict[str, int], row_count: int) -> ExpectationResult:
    told = ", ".join(f"{value!r} in {count} row{'' if count == 1 else 's'}" for value, count in values.items())
    more = row_count - sum(values.values())
    told += f" and others in {more}" if more > 0 else ""
    return _result(
        "values_are_known",
        name,
        "warn",
        not values,
        {"new_values": values} if values else None,
        f"{name} has new value{'' if len(values) == 1 else 's'} {told} (quarantined)",
        row_count,
    )


def _of(past: Sequence[PastExtract]) -> str:
    if len(past) == 1:
        return f"the extract of {past[0].snapshot_date}"
    return f"the median of the last {len(past)} extracts"


def _nothing_before(expectation: str, column: str | None, severity: Severity, seen: Any) -> ExpectationResult:
    observed = {"compared_with": "too few earlier extracts"} | ({"observed": seen} if seen else {})
    return ExpectationResult(expectation, column, severity, True, None, observed, suite=SUITE)


def _result(
    expectation: str,
    column: str | None,
    severity: Severity,
    succeeded: bool,
    observed: Any,
    finding: str,
    unexpected_count: int | None = None,
) -> ExpectationResult:
    return ExpectationResult(
        expectation,
        column,
        severity,
        succeeded,
        unexpected_count,
        observed,
        finding=None if succeeded else finding,
        suite=SUITE,
    )
