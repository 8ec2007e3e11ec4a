"""The checks of an extract against its history: what refuses, what warns, and what chance explains."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from churn.core.extract_checks import (
    COUNTED,
    check_arrival,
    check_bills,
    check_new_values,
    check_profile,
    require_plausible,
    robust_z,
)
from churn.errors import ExtractRefused
from churn.policy import Policy
from churn.records import ExpectationResult, ExtractArrival, ExtractProfile, PastExtract

TODAY = date(2026, 11, 22)
POLICY = Policy()
PROFILE = ExtractProfile(
    quartiles={"tenure": (9.0, 29.0, 55.0), "SeniorCitizen": (0.0, 0.0, 0.0)},
    shares={"Contract": {"Month-to-month": 0.55, "One year": 0.21, "Two year": 0.24}},
    unknown_rates={"Contract": 0.0},
)


def past(*row_counts: int, profile: ExtractProfile | None = PROFILE) -> tuple[PastExtract, ...]:
    return tuple(
        PastExtract(number, TODAY - timedelta(days=number), count, profile)
        for number, count in enumerate(row_counts, start=1)
    )


def arrival(**changes: object) -> ExtractArrival:
    usual = ExtractArrival(TODAY, 5_000, past(5_000, 5_010, 4_990), previous_count=5_000, lost_count=50,
                           same_content_date=None)  # fmt: skip
    return replace(usual, **changes)  # type: ignore[arg-type]


def by_name(results: tuple[ExpectationResult, ...]) -> dict[str, ExpectationResult]:
    return {result.expectation: result for result in results}


def refusal(**changes: object) -> ExtractRefused | None:
    try:
        require_plausible(check_arrival(arrival(**changes), POLICY, TODAY), "churn admit FILE")
    except ExtractRefused as error:
        return error
    return None


def test_an_extract_like_those_before_it_passes_every_check() -> None:
    results = check_arrival(arrival(), POLICY, TODAY)
    assert [result.expectation for result in results if not result.succeeded] == []
    assert all(result.finding is None for result in results)


@pytest.mark.parametrize("row_count", [500, 2_499, 10_001, 50_000])
def test_a_count_far_from_the_median_of_the_last_extracts_is_refused(row_count: int) -> None:
    error = refusal(row_count=row_count)
    assert error
    assert f"{row_count} rows" in error.message
    assert "the 5000 that are usual (the median of the last 3 extracts); 0.5 to 2 times are allowed" in error.message
    way_out = "If that is right, change minimum_row_count_ratio or maximum_row_count_ratio in the policy and run `churn"
    assert error.message.endswith(f"{way_out} admit FILE`.")


@pytest.mark.parametrize("row_count", [2_500, 10_000])
def test_the_limits_of_the_count_are_allowed(row_count: int) -> None:
    assert refusal(row_count=row_count) is None


def test_one_odd_day_in_history_does_not_move_what_is_usual() -> None:
    assert refusal(past=past(5_000, 50, 5_000)) is None


def test_a_file_of_other_customers_is_refused_naming_how_many_are_missing() -> None:
    assert refusal(lost_count=1_500) is None
    error = refusal(lost_count=1_501)
    assert error
    assert "1501 of the 5000 customers of 2026-11-21 are not in the file (30.0%; 30.0% are allowed)" in error.message
    assert "change maximum_lost_customers_rate in the policy" in error.message


def test_two_reasons_are_told_together_with_both_limits() -> None:
    error = refusal(row_count=100, lost_count=4_900)
    assert error
    assert "100 rows" in error.message
    assert "4900 of the 5000" in error.message
    assert "maximum_row_count_ratio or maximum_lost_customers_rate in the policy" in error.message


def test_tomorrow_is_today_somewhere_and_the_day_after_is_in_the_future() -> None:
    assert refusal(snapshot_date=TODAY + timedelta(days=1)) is None
    error = refusal(snapshot_date=TODAY + timedelta(days=2))
    assert error
    assert "2026-11-24, which is in the future" in error.message
    assert "correct its name" in error.message
    assert "policy" not in error.message


def test_an_old_day_is_warned_about_and_never_refused() -> None:
    old = by_name(check_arrival(arrival(snapshot_date=date(2020, 1, 1)), POLICY, TODAY))["extract_is_fresh"]
    assert (old.severity, old.succeeded) == ("warn", False)
    assert refusal(snapshot_date=date(2020, 1, 1)) is None


def test_yesterdays_content_under_another_date_is_warned_about_by_its_day() -> None:
    same = by_name(check_arrival(arrival(same_content_date=date(2026, 11, 21)), POLICY, TODAY))["content_is_new"]
    assert (same.severity, same.succeeded) == ("warn", False)
    assert "the extract of 2026-11-21" in same.sentence


def test_without_history_the_checks_say_so_and_pass() -> None:
    results = by_name(check_arrival(arrival(past=(), previous_count=0, lost_count=0), POLICY, TODAY))
    for name in ("row_count_like_before", "customers_still_there"):
        assert results[name].succeeded
        assert results[name].observed_value["compared_with"] == "too few earlier extracts"


def test_the_modified_z_score_is_that_of_iglewicz_and_hoaglin() -> None:
    # Median 3, deviations 2 1 0 1 2, so a MAD of 1.
    assert robust_z(13, [1, 2, 3, 4, 5], floor=0.1) == pytest.approx(6.745)
    assert robust_z(3, [3, 3, 3], floor=0.5) == 0
    assert robust_z(4, [3, 3, 3], floor=0.5) == pytest.approx(2 * 0.6745)


def profile_with(**changes: object) -> ExtractProfile:
    return replace(PROFILE, **changes)  # type: ignore[arg-type]


def unusual(profile: ExtractProfile, history: tuple[PastExtract, ...], row_count: int = 5_000) -> list[str]:
    results = check_profile(profile, row_count, history, POLICY)
    assert {result.severity for result in results} == {"warn"}
    return [result.sentence for result in results if not result.succeeded]


HISTORY = past(*[5_000] * 5)


def test_the_same_profile_again_is_not_unusual_though_no_day_differed() -> None:
    assert unusual(PROFILE, HISTORY) == []


def test_a_median_that_moved_is_told_with_what_is_usual() -> None:
    (sentence,) = unusual(profile_with(quartiles={"tenure": (9.0, 40.0, 55.0)}), HISTORY)
    assert sentence.startswith("the median of tenure is 40 where 29 is usual (robust z ")


def test_a_flag_that_turned_over_is_told() -> None:
    assert unusual(profile_with(quartiles={"SeniorCitizen": (1.0, 1.0, 1.0)}), HISTORY)


def test_a_share_that_moved_is_told_with_the_value_that_moved_farthest() -> None:
    moved = {"Contract": {"Month-to-month": 0.35, "One year": 0.22, "Two year": 0.43}}
    (sentence,) = unusual(profile_with(shares=moved), HISTORY)
    assert sentence.startswith("Contract is 'Month-to-month' in 35.0% of the rows where 55.0% is usual")


def test_unknown_values_count_as_a_share_of_their_own() -> None:
    (sentence,) = unusual(profile_with(unknown_rates={"Contract": 0.04}), HISTORY)
    assert "a value outside the contract" in sentence


def test_chance_in_a_small_file_is_not_unusual() -> None:
    moved = profile_with(shares={"Contract": {"Month-to-month": 0.60, "One year": 0.19, "Two year": 0.21}})
    assert unusual(moved, HISTORY, row_count=100) == []
    assert unusual(moved, HISTORY, row_count=5_000)


def test_too_few_extracts_or_extracts_without_a_profile_give_no_warning() -> None:
    moved = profile_with(quartiles={"tenure": (9.0, 60.0, 70.0)})
    assert unusual(moved, HISTORY[:4]) == []
    assert unusual(moved, past(*[5_000] * 5, profile=None)) == []
    assert unusual(moved, HISTORY)


def test_new_values_are_named_with_their_rows() -> None:
    profile = profile_with(unknown_rates={"Contract": 16 / 1_000, "gender": 0.0})
    contract, gender = check_new_values({"Contract": {"Weekly": 12, "Daily": 1}}, profile, 1_000)
    assert gender.succeeded
    assert (contract.severity, contract.succeeded, contract.unexpected_count) == ("warn", False, 16)
    assert (
        contract.sentence
        == "Contract has new values 'Weekly' in 12 rows, 'Daily' in 1 row and others in 3 (quarantined)"
    )


def test_few_doubtful_bills_are_usual_and_many_are_told() -> None:
    assert check_bills(10, 1_000, POLICY).succeeded
    assert "11 rows (1.1%; usual is 1.0%)" in check_bills(11, 1_000, POLICY).sentence
    assert check_bills(0, 0, POLICY).succeeded


def test_every_category_and_the_one_flag_are_counted() -> None:
    assert len(COUNTED) == 16
    assert COUNTED["SeniorCitizen"] == ("0", "1")
