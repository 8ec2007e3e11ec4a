"""One encoder for frames and for single records: the same bits, and unknown means unknown."""

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.columns import FEATURE_NAMES, FEATURES
from churn.core.features import FeatureEncoder
from churn.simulator import simulate

ENCODER = FeatureEncoder.from_contract()
CUSTOMERS = next(simulate(400, seed=5))

cells = st.one_of(
    st.none(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.booleans(),
    st.text(max_size=8),
    st.sampled_from(["Yes", "No", " No ", "", " ", "29.85", "1e3", "1_000", "nan", "inf", "Two year", "Male"]),
)
records = st.dictionaries(st.sampled_from(FEATURE_NAMES), cells)


def test_the_matrix_has_the_contract_order_whatever_the_order_of_the_frame() -> None:
    shuffled = CUSTOMERS[list(reversed(CUSTOMERS.columns))]

    assert ENCODER.names == FEATURE_NAMES
    assert ENCODER.encode(CUSTOMERS).shape == (400, 19)
    np.testing.assert_array_equal(ENCODER.encode(shuffled), ENCODER.encode(CUSTOMERS))


def test_a_category_becomes_its_index_and_a_number_stays_itself() -> None:
    matrix = ENCODER.encode(pd.DataFrame({"Contract": ["One year"], "tenure": [12], "MonthlyCharges": ["29.85"]}))

    assert matrix[0, FEATURE_NAMES.index("Contract")] == 1.0
    assert matrix[0, FEATURE_NAMES.index("tenure")] == 12.0
    assert matrix[0, FEATURE_NAMES.index("MonthlyCharges")] == 29.85


@pytest.mark.parametrize("cell", [None, "", " ", "Three year", math.nan, 7])
def test_what_is_no_known_category_is_unknown(cell: object) -> None:
    assert math.isnan(ENCODER.encode_record({"Contract": cell})[0, FEATURE_NAMES.index("Contract")])


@pytest.mark.parametrize("cell", [None, "", " ", "many", math.nan, math.inf, "inf", "1_000", 10**400])
def test_what_is_no_finite_number_is_unknown(cell: object) -> None:
    assert math.isnan(ENCODER.encode_record({"tenure": cell})[0, FEATURE_NAMES.index("tenure")])


def test_missing_columns_are_unknown_and_strange_ones_are_ignored() -> None:
    matrix = ENCODER.encode(pd.DataFrame({"tenure": [1.0, 2.0], "shoe_size": [42, 43]}))

    assert np.isnan(matrix).sum() == 2 * 18


def test_text_and_numbers_are_encoded_to_the_same_bits() -> None:
    np.testing.assert_array_equal(ENCODER.encode(CUSTOMERS.astype(str)), ENCODER.encode(CUSTOMERS))


def test_any_column_type_of_pandas_is_encoded_to_the_same_bits() -> None:
    expected = ENCODER.encode(CUSTOMERS)

    for other in (CUSTOMERS.astype(object), CUSTOMERS.astype("category"), CUSTOMERS.convert_dtypes()):
        np.testing.assert_array_equal(ENCODER.encode(other), expected)


def test_every_record_is_encoded_to_the_bits_of_its_row() -> None:
    matrix = ENCODER.encode(CUSTOMERS)

    for row, record in enumerate(CUSTOMERS.to_dict("records")):
        np.testing.assert_array_equal(ENCODER.encode_record(record), matrix[row : row + 1])


@given(records)
def test_any_record_at_all_is_encoded_to_the_bits_of_its_row(record: dict[str, object]) -> None:
    frame = pd.DataFrame({name: pd.Series([cell], dtype=object) for name, cell in record.items()}, index=[0])

    one, many = ENCODER.encode_record(record), ENCODER.encode(frame)

    assert one.tobytes() == many.tobytes() or np.array_equal(one, many, equal_nan=True)


def test_unknown_fields_are_named_and_counted() -> None:
    record = {**CUSTOMERS.iloc[0].to_dict(), "Contract": "", "tenure": None}
    frame = CUSTOMERS.assign(Contract=["Forever", *CUSTOMERS["Contract"][1:]])

    assert ENCODER.unknown_fields(record) == ["tenure", "Contract"]
    assert len(ENCODER.unknown_fields({})) == 19
    assert ENCODER.count_unknown(frame)["Contract"] == 1
    assert ENCODER.count_unknown(frame)["gender"] == 0


def test_the_encoder_survives_json_and_keeps_its_own_categories() -> None:
    state = json.loads(ENCODER.to_json())
    state[0]["categories"] = ["Male", "Female"]
    older = FeatureEncoder.from_json(json.dumps(state))

    assert FeatureEncoder.from_json(ENCODER.to_json()) == ENCODER
    assert older.encode_record({"gender": "Male"})[0, 0] == 0.0


@pytest.mark.parametrize("text", ["", "3", "[1]", '[{"name": "gender"}]', '[{"name": 1, "categories": null}]'])
def test_a_state_that_is_not_one_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        FeatureEncoder.from_json(text)


def test_an_empty_frame_is_an_empty_matrix() -> None:
    assert ENCODER.encode(CUSTOMERS.head(0)).shape == (0, len(FEATURES))
