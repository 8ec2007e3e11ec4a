"""Packed features are what the encoder gives, whatever the encoder's own categories are."""

import numpy as np
import pytest

from churn.columns import BY_NAME, FEATURES
from churn.core.feature_packing import STORED, WORD_BITS, FeaturePacking, Place, lay_out
from churn.core.features import EncodedColumn, FeatureEncoder

Row = dict[str, object]


def packed(places: tuple[Place, ...], rows: list[Row]) -> np.ndarray:
    """Do what the database does, in Python: each category's code shifted to its place."""
    word = np.zeros(len(rows), dtype=np.int64)
    for place in places:
        for number, row in enumerate(rows):
            cell = row[place.name]
            code = place.categories.index(str(cell)) if cell in place.categories else place.unknown_code
            word[number] |= code << place.shift
    return word


def read(encoder: FeatureEncoder, rows: list[Row]) -> np.ndarray:
    """Pack rows as the server would and unpack them as the scorer does."""
    packing = FeaturePacking.of(encoder)
    computed = [
        packed(tuple(place for place in packing.computed if place.word == word), rows)
        for word in range(1, packing.computed_word_count + 1)
    ]
    numbers = np.array([[row[column.name] for column in packing.numbers] for row in rows], dtype=np.float64)
    return packing.unpack(np.column_stack([packed(STORED, rows), *computed]), numbers)


def random_rows(count: int, *more: str) -> list[Row]:
    random = np.random.default_rng(5)
    return [
        {
            column.name: str(random.choice([*column.categories, "never seen", *more]))
            if column.categories
            else float(random.integers(0, 9_000)) / 20
            for column in FEATURES
        }
        for _ in range(count)
    ]


def expected(encoder: FeatureEncoder, rows: list[Row]) -> np.ndarray:
    return np.vstack([encoder.encode_record(row) for row in rows])


def with_contract(*categories: str) -> FeatureEncoder:
    """Today's encoder, but for what it knows of contracts."""
    columns = FeatureEncoder.from_contract().columns
    return FeatureEncoder(tuple(EncodedColumn(c.name, categories) if c.name == "Contract" else c for c in columns))


def test_the_contract_comes_back_as_the_encoder_gives_it_and_nothing_is_computed() -> None:
    encoder, rows = FeatureEncoder.from_contract(), random_rows(500)
    matrix = read(encoder, rows)
    np.testing.assert_array_equal(matrix, expected(encoder, rows))
    assert np.isnan(matrix).any()
    assert FeaturePacking.of(encoder).computed == ()


def test_a_model_that_knows_fewer_categories_or_another_order_reads_them_its_own_way() -> None:
    encoder, rows = with_contract("Two year", "Month-to-month"), random_rows(300)
    np.testing.assert_array_equal(read(encoder, rows), expected(encoder, rows))
    assert FeaturePacking.of(encoder).computed == ()


def test_a_category_that_only_the_model_knows_is_packed_by_the_statement() -> None:
    encoder, rows = with_contract("Weekly", "Month-to-month"), random_rows(300, "Weekly")
    np.testing.assert_array_equal(read(encoder, rows), expected(encoder, rows))
    assert [place.name for place in FeaturePacking.of(encoder).computed] == ["Contract"]


def test_a_feature_that_the_contract_no_longer_has_stays_unknown() -> None:
    more = (EncodedColumn("ShoeSize"), EncodedColumn("Colour", ("red", "blue")))
    encoder, rows = FeatureEncoder((*more, *FeatureEncoder.from_contract().columns)), random_rows(3)
    assert np.isnan(read(encoder, rows)[:, :2]).all()


def test_numbers_lose_their_negative_zero_and_infinity_is_unknown() -> None:
    packing = FeaturePacking.of(FeatureEncoder((EncodedColumn("tenure"),)))
    matrix = packing.unpack(np.zeros((3, 1), dtype=np.int64), np.array([[-0.0], [np.inf], [3.5]]))
    assert str(matrix[0, 0]) == "0.0"
    assert np.isnan(matrix[1, 0])
    assert matrix[2, 0] == 3.5


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8])
def test_the_code_after_the_last_category_is_the_unknown_one(count: int) -> None:
    categories = tuple(f"value {i}" for i in range(count))
    (place,) = lay_out([("Contract", categories)])
    assert place.unknown_code == count < 1 << place.bits
    assert np.isnan(place.values(categories)[count])


def test_more_categories_than_a_word_holds_go_to_the_next_and_none_reaches_the_sign() -> None:
    places = lay_out([(f"column {i}", tuple(f"value {j}" for j in range(1_000))) for i in range(15)])
    assert [place.word for place in places] == [0] * 6 + [1] * 6 + [2] * 3
    assert all(place.shift + place.bits <= WORD_BITS for place in places)


def test_every_category_of_the_contract_is_stored_in_one_word() -> None:
    assert {place.name for place in STORED} == {name for name, column in BY_NAME.items() if column.kind == "category"}
    assert {place.word for place in STORED} == {0}
