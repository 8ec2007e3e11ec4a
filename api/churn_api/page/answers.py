"""What the page says of one customer: the answer of the API, what holds the risk down, and what would change it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from flask import current_app

from churn.columns import BY_NAME, DEPENDENCIES, Column
from churn.core.actions import recommend
from churn.core.features import FeatureEncoder
from churn.core.reasons import CATEGORY_PHRASES, top_reasons
from churn.db.serving import CustomerInputs, PublishedScore
from churn.policy import Policy, RiskLevel
from churn_api.arms import ask
from churn_api.page.form import label_of
from churn_api.production import Served
from churn_api.scoring import Record, Scored, remember, score

# What a telecom can offer, in the order in which equal effects are shown; the rest of a customer is as it is.
OFFERS = ("Contract", "TechSupport", "OnlineSecurity", "OnlineBackup", "DeviceProtection", "PaymentMethod")
CHARGE_FACTORS = (0.9, 0.8)
MOST_EFFECTS = 6
_SMALLEST_EFFECT = 0.0005  # what shows as a difference of 0.1 points


@dataclass(frozen=True)
class Effect:
    """One change of one field, and the probability that the model would give then."""

    name: str
    value: str
    words: str
    churn_probability: float
    change: float


@dataclass(frozen=True)
class Answer:
    """What is said of one customer and by which version; `published` where a night said it, else None.

    `reasons` push the risk up and `lowering` holds it down, in words; `unknown` are the labels of fields that the model
    had to do without.
    """

    churn_probability: float
    risk_level: RiskLevel
    decile: int
    reasons: list[str] | None
    lowering: list[str]
    action: str | None
    unknown: list[str]
    effects: list[Effect]
    model_version: int
    published: PublishedScore | None = None


def tell(customer_id: str | None, record: Record) -> Answer:
    """Score one customer as POST /v1/predict does, and leave it for the request log."""
    served, scored = ask(customer_id, lambda asked: score(asked, [record])[0], lambda said: said.churn_probability)
    remember(served.version, [(customer_id, record, scored)])
    return _answer(served, record, scored)


def tell_change(customer_id: str | None, before: Record, after: Record) -> tuple[Answer, Answer]:
    """Score a customer as they are and as they might be, by the same version.

    The log has the second without the customer's id: nobody is so, and what becomes of the customer is not its truth.
    """
    served, (old, new) = ask(
        customer_id,
        lambda asked: (score(asked, [before])[0], score(asked, [after])[0]),
        lambda both: both[1].churn_probability,
    )
    remember(served.version, [(None, after, new)])
    return _answer(served, before, old), _answer(served, after, new)


def tell_published(row: PublishedScore, inputs: CustomerInputs | None, served: Served | None) -> Answer:
    """What a night has published of a customer, and what the model adds to it where it is the night's still."""
    said = Answer(
        row.churn_probability, cast(RiskLevel, row.risk_level), row.decile, row.reasons, [], None, [], [],
        row.model_version, row,
    )  # fmt: skip
    if inputs is None or not row.is_current:
        return said
    policy: Policy = current_app.extensions["policy"]
    action = recommend(inputs.record, said.risk_level, policy)
    said = replace(said, action=action.words if action else None)
    if served is None or served.version != row.model_version:
        return said
    found = effects(served, inputs.record, row.churn_probability)
    return replace(said, lowering=_lowering(served, inputs.record), effects=found)


def _answer(served: Served, record: Record, scored: Scored) -> Answer:
    action = scored.recommended_action
    return Answer(
        churn_probability=scored.churn_probability,
        risk_level=scored.risk_level,
        decile=scored.decile,
        reasons=scored.reasons,
        lowering=_lowering(served, record),
        action=action.words if action else None,
        unknown=[label_of(name) for name in scored.unknown_fields],
        effects=effects(served, record, scored.churn_probability),
        model_version=served.version,
    )


def _lowering(served: Served, record: Record) -> list[str]:
    """What pushes the score down most, in the words of the reasons."""
    encoder = served.model.encoder
    matrix = encoder.encode_record(record)
    return top_reasons(encoder, matrix, -served.explainer.contributions(matrix)).of(0)


def effects(served: Served, record: Record, now: float) -> list[Effect]:
    """What single offers would do to a probability that is `now`, the most lowering first."""
    encoder = served.model.encoder
    offers = list(_offers(encoder, record))
    if not offers:
        return []
    probabilities = served.engine.probabilities(
        encoder.encode_records([{**record, name: value} for name, value, _ in offers])
    )
    found = [
        Effect(name, str(value), words, probability, probability - now)
        for (name, value, words), probability in zip(offers, probabilities.tolist(), strict=True)
        if abs(probability - now) >= _SMALLEST_EFFECT
    ]
    return sorted(found, key=lambda effect: effect.change)[:MOST_EFFECTS]


def _offers(encoder: FeatureEncoder, record: Record) -> Iterator[tuple[str, Any, str]]:
    """Changes of one field that is known: its name, its new value and both in words."""
    for name in OFFERS:
        if name in encoder.names and record.get(name) is not None and not _is_absent(name, record):
            for category in _offered(BY_NAME[name], record):
                yield name, category, CATEGORY_PHRASES.get(name, {}).get(category, f"{label_of(name)}: {category}")
    charges = record.get("MonthlyCharges") or 0.0
    for factor in CHARGE_FACTORS if charges > 0 else ():
        lower = round(charges * factor, 2)
        yield "MonthlyCharges", lower, f"Monthly charges {1 - factor:.0%} lower: {lower:,.2f}"


def _offered(column: Column, record: Mapping[str, Any]) -> Iterator[str]:
    absent = {each.absent for each in DEPENDENCIES if column.name in each.dependents}
    for category in column.categories:
        if category != record[column.name] and category not in absent:
            yield category


def _is_absent(name: str, record: Mapping[str, Any]) -> bool:
    """Whether a customer has not the service that this one needs."""
    return any(name in each.dependents and record.get(each.service) in ("No", None) for each in DEPENDENCIES)
