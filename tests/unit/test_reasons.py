"""Reasons are reviewed phrases of the features that push a score up, the strongest first."""

import numpy as np
import pytest

from churn.columns import FEATURES
from churn.core.features import EncodedColumn, FeatureEncoder, Matrix
from churn.core.reasons import CATEGORY_PHRASES, NUMBER_PHRASES, UNKNOWN_PHRASES, Reasons, reasons_of_one, top_reasons

ENCODER = FeatureEncoder.from_contract()
CUSTOMER = {
    "Contract": "Month-to-month",
    "OnlineSecurity": "No",
    "PaymentMethod": "Electronic check",
    "InternetService": "Fiber optic",
    "SeniorCitizen": 1,
    "tenure": 2,
    "MonthlyCharges": 95.1,
    "TotalCharges": 1190.25,
}


def explain(weights: dict[str, float], record: dict[str, object] | None = None, count: int = 3) -> list[str]:
    contributions = np.array([[weights.get(name, -1.0) for name in ENCODER.names]])
    row = ENCODER.encode_record(record or CUSTOMER)
    found = top_reasons(ENCODER, row, contributions, count).of(0)
    assert reasons_of_one(ENCODER, row[0], contributions[0], count) == found
    return found


def test_the_strongest_reasons_come_first() -> None:
    weights = {"Contract": 0.2, "MonthlyCharges": 0.9, "OnlineSecurity": 0.1, "tenure": 0.5}

    assert explain(weights) == ["Monthly charges of 95.10", "Customer for 2 months", "Month-to-month contract"]


def test_only_what_pushes_a_score_up_is_a_reason() -> None:
    assert explain({"PaymentMethod": 0.3, "Contract": 0.0, "tenure": -0.5}) == ["Pays by electronic check"]
    assert explain({}) == []
    assert explain({"tenure": float("nan"), "Contract": 0.1}) == ["Month-to-month contract"]


def test_of_equal_reasons_the_first_feature_leads() -> None:
    weights = {"TotalCharges": 0.4, "InternetService": 0.4, "SeniorCitizen": 0.4, "Contract": 0.4}

    assert explain(weights) == ["Senior citizen", "Fiber optic internet", "Month-to-month contract"]


def test_as_many_reasons_as_asked_for() -> None:
    weights = dict.fromkeys(ENCODER.names, 1.0)

    assert len(explain(weights, count=1)) == 1
    assert len(explain(weights, count=30)) == 19


@pytest.mark.parametrize(
    ("field", "cell", "phrase"),
    [
        ("tenure", 0, "New customer, in the first month"),
        ("tenure", 1, "Customer for 1 month"),
        ("tenure", 24, "Customer for 24 months"),
        ("SeniorCitizen", 0, "Not a senior citizen"),
        ("MonthlyCharges", 0.05, "Monthly charges of 0.05"),
        ("TotalCharges", 1190.25, "Total charges of 1,190.25"),
        ("OnlineSecurity", "No", "No online security"),
        ("StreamingTV", "No internet service", "No streaming TV (no internet)"),
        ("Contract", None, "Unknown contract"),
        ("Contract", "Decade", "Unknown contract"),
        ("TotalCharges", " ", "Unknown total charges"),
    ],
)
def test_a_field_in_words(field: str, cell: object, phrase: str) -> None:
    assert explain({field: 1.0}, {field: cell}) == [phrase]


def test_every_field_of_the_contract_has_reviewed_words() -> None:
    assert {name: tuple(phrases) for name, phrases in CATEGORY_PHRASES.items()} == {
        column.name: column.categories for column in FEATURES if column.kind == "category"
    }
    assert set(NUMBER_PHRASES) == {column.name for column in FEATURES if column.is_number}
    assert set(UNKNOWN_PHRASES) == set(ENCODER.names)


def test_no_two_reasons_say_the_same() -> None:
    phrases = [phrase for of_column in CATEGORY_PHRASES.values() for phrase in of_column.values()]
    phrases += UNKNOWN_PHRASES.values()

    assert len(set(phrases)) == len(phrases)
    assert all(phrase[0].isupper() and phrase == phrase.strip() and len(phrase) < 50 for phrase in phrases)


def test_what_only_an_older_model_knows_is_named_plainly() -> None:
    encoder = FeatureEncoder(
        (
            EncodedColumn("PaymentMethod", ("Cash", "Mailed check")),
            EncodedColumn("Region", ("North",)),
            EncodedColumn("Calls"),
        )
    )
    matrix = np.array([[0.0, 0.0, 2.5], [1.0, np.nan, np.nan]])
    reasons = top_reasons(encoder, matrix, np.array([[3.0, 2.0, 1.0]] * 2))

    assert reasons.of(0) == ["PaymentMethod: Cash", "Region: North", "Calls: 2.5"]
    assert reasons.of(1) == ["Pays by mailed check", "Region: unknown", "Calls: unknown"]


def test_many_rows_are_explained_as_each_alone() -> None:
    random = np.random.default_rng(0)
    matrix = random_customers(400, random)
    contributions = random.normal(size=matrix.shape).round(1)  # with ties
    together = top_reasons(ENCODER, matrix, contributions)

    assert together.codes.dtype == np.int32
    assert together.codes.shape == (400, 3)
    for row in range(len(matrix)):
        order = sorted(range(19), key=lambda feature, row=row: (-contributions[row, feature], feature))
        positive = [feature for feature in order if contributions[row, feature] > 0][:3]
        alone = [one_reason(matrix[row : row + 1], feature) for feature in positive]
        assert together.of(row) == alone
        assert reasons_of_one(ENCODER, matrix[row], contributions[row]) == alone


def one_reason(matrix: Matrix, feature: int) -> str:
    return top_reasons(ENCODER, matrix, np.eye(19)[feature : feature + 1]).of(0)[0]


def random_customers(count: int, random: np.random.Generator) -> Matrix:
    columns = [
        random.integers(0, len(column.categories), count) if column.categories else random.random(count) * 90
        for column in ENCODER.columns
    ]
    return np.where(random.random((count, 19)) < 0.1, np.nan, np.column_stack(columns))


def test_a_number_is_put_in_words_once() -> None:
    matrix = np.tile(ENCODER.encode_record(CUSTOMER), (1_000, 1))
    matrix[::2, ENCODER.names.index("MonthlyCharges")] = 20.0
    reasons = top_reasons(ENCODER, matrix, np.tile(np.arange(19.0), (1_000, 1)))

    assert len(set(reasons.phrases)) == len(reasons.phrases)
    assert sum(phrase.startswith("Monthly charges") for phrase in reasons.phrases) == 2


def test_no_customers_have_no_reasons() -> None:
    reasons = top_reasons(ENCODER, np.empty((0, 19)), np.empty((0, 19)))

    assert reasons.phrases == ()
    assert reasons.codes.shape == (0, 3)


@pytest.mark.parametrize(("rows", "weights"), [((2, 19), (1, 19)), ((2, 18), (2, 18)), ((19,), (19,))])
def test_shapes_that_do_not_fit_are_refused(rows: tuple[int, ...], weights: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="encoder"):
        top_reasons(ENCODER, np.zeros(rows), np.zeros(weights))


def test_reasons_skip_the_empty_places() -> None:
    assert Reasons(("a", "b"), np.array([[1, 0, -1]], np.int32)).of(0) == ["b", "a"]
