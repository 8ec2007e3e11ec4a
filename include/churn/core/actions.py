"""What to do about a customer at risk: the first action of a reviewed table that fits what is known of them.

An action is recommended only where the customer's own data says that it fits. What is unknown recommends nothing: it
might be what the customer has already. The words are here, the order and the limits are in the policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from churn.policy import Action, Policy, RiskLevel

# Held against the policy's names by a test.
ACTION_WORDS: Mapping[Action, str] = {
    "onboarding": "Call to welcome them: check that everything works and answer their questions",
    "contract": "Offer a contract of one year in place of month-to-month",
    "tech_support": "Offer tech support, free for three months",
    "payment_method": "Offer automatic payment by bank transfer or credit card",
    "offer": "Make a personal retention offer",
}
PAID_BY_HAND = ("Electronic check", "Mailed check")
INTERNET = ("DSL", "Fiber optic")


@dataclass(frozen=True)
class RecommendedAction:
    """What to do, as a name for programs and in words for people."""

    action: Action
    words: str


def recommend(record: Mapping[str, Any], risk_level: RiskLevel, policy: Policy) -> RecommendedAction | None:
    """What to do about one customer, named like an extract's columns; None at low risk and where nothing fits."""
    listed = {"high": policy.actions_at_high_risk, "medium": policy.actions_at_medium_risk, "low": ()}[risk_level]
    for action in listed:
        if fits(action, record, policy):
            return RecommendedAction(action, ACTION_WORDS[action])
    return None


def fits(action: Action, record: Mapping[str, Any], policy: Policy) -> bool:
    """Whether an action agrees with what is known of a customer; an offer always does."""
    if action == "onboarding":
        tenure = record.get("tenure")
        return tenure is not None and tenure <= policy.onboarding_months
    if action == "contract":
        return record.get("Contract") == "Month-to-month"
    if action == "tech_support":
        return record.get("TechSupport") == "No" and record.get("InternetService") in INTERNET
    if action == "payment_method":
        return record.get("PaymentMethod") in PAID_BY_HAND
    return True
