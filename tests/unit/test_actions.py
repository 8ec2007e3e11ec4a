"""What is recommended never contradicts what is known of the customer."""

import itertools
from typing import Any, get_args

import pytest

from churn.columns import BY_NAME
from churn.core.actions import ACTION_WORDS, PAID_BY_HAND, fits, recommend
from churn.policy import Action, Policy, RiskLevel

ACTIONS: tuple[Action, ...] = get_args(Action)
RISKS: tuple[RiskLevel, ...] = get_args(RiskLevel)


def known_and_unknown(name: str) -> list[dict[str, Any]]:
    """A field with each of its categories, with one nobody knows, null and left out."""
    cells = [*BY_NAME[name].categories, "Something new", None]
    return [{}, *({name: cell} for cell in cells)]


TENURES: list[dict[str, Any]] = [{}, *({"tenure": months} for months in (None, 0, 1, 3, 4, 72))]
CUSTOMERS = [
    contract | support | internet | payment | tenure
    for contract, support, internet, payment, tenure in itertools.product(
        known_and_unknown("Contract"),
        known_and_unknown("TechSupport"),
        known_and_unknown("InternetService"),
        known_and_unknown("PaymentMethod"),
        TENURES,
    )
]


def contradicts(action: Action, customer: dict[str, Any]) -> bool:
    """Whether a customer's data speaks against an action, or says nothing that it could rest on."""
    if action == "contract":
        return customer.get("Contract") in ("One year", "Two year", "Something new", None)
    if action == "tech_support":
        has_it = customer.get("TechSupport") != "No"
        return has_it or customer.get("InternetService") in ("No", "Something new", None)
    if action == "payment_method":
        return "automatic" in (customer.get("PaymentMethod") or "automatic") or (
            customer["PaymentMethod"] == "Something new"
        )
    if action == "onboarding":
        return customer.get("tenure") is None or customer["tenure"] > 3
    return False


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_fits_exactly_where_the_data_does_not_speak_against_it(action: Action) -> None:
    policy = Policy()
    wrong = [each for each in CUSTOMERS if fits(action, each, policy) == contradicts(action, each)]
    assert wrong == []


@pytest.mark.parametrize("risk_level", RISKS)
def test_what_is_recommended_is_the_first_that_fits_in_the_order_of_the_policy(risk_level: RiskLevel) -> None:
    every_order = [Policy(actions_at_medium_risk=order, actions_at_high_risk=order[::-1]) for order in
                   (ACTIONS, ACTIONS[1:], ACTIONS[2:4], ())]  # fmt: skip
    for policy in (Policy(), *every_order):
        listed = {"low": (), "medium": policy.actions_at_medium_risk, "high": policy.actions_at_high_risk}[risk_level]
        for customer in CUSTOMERS:
            recommended = recommend(customer, risk_level, policy)
            fitting = [action for action in listed if not contradicts(action, customer)]
            assert (recommended.action if recommended else None) == (fitting[0] if fitting else None)


def test_nobody_is_bothered_at_low_risk() -> None:
    assert all(recommend(customer, "low", Policy()) is None for customer in CUSTOMERS)


def test_everyone_at_high_risk_gets_something() -> None:
    assert all(recommend(customer, "high", Policy()) is not None for customer in CUSTOMERS)


def test_every_action_has_words_and_no_two_say_the_same() -> None:
    assert set(ACTION_WORDS) == set(ACTIONS)
    assert len(set(ACTION_WORDS.values())) == len(ACTIONS)


def test_payment_by_hand_is_what_the_contract_does_not_call_automatic() -> None:
    assert set(PAID_BY_HAND) == {way for way in BY_NAME["PaymentMethod"].categories if "automatic" not in way}
