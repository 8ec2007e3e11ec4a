"""Packed features are what the encoder gives, whatever the encoder's own categories are."""

import numpy as np
import pytest

from churn.columns import FEATURE_NAMES, FEATURES
from churn.core.feature_packing import WORD_BITS, FeaturePacking
from churn.core.features import EncodedColumn, FeatureEncoder

AVAILABLE = frozenset(FEATURE_NAMES)


def packed(packing: FeaturePacking, rows: list[dict[str, object]]) -> np.ndarray:
    """Do what the database does, in Python: shift each category's code into its word."""
    words = [np.zeros(len(rows), dtype=np.int64) for _ in range(packing.word_count)]
    for place in packing.categories:
        known = place.column.categories or ()
        for number, row in enumerate(rows):
            cell = row[place.column.name]
            code = known.index(cell) if cell in known else place.unknown_code
            words[place.word][number] |= code << place.shift
    numbers = [np.array([row[column.name] for row in rows], dtype=np.float64) for _, column in packing.numbers]
    return packing.unpack(words, numbers, len(rows))


def random_rows(encoder: FeatureEncoder, count: int) -> list[dict[str, object]]:
    random = np.random.default_rng(5)
    return [
        {
            column.name: float(random.integers(0, 9_000)) / 20
            if column.categories is None
            else str(random.choice([*column.categories, "never seen"]))
            for column in encoder.columns
        }
        for _ in range(count)
    ]


def test_the_contract_fits_one_word_and_comes_back_as_the_encoder_gives_it() -> None:
    encoder = FeatureEncoder.from_contract()
    packing = FeaturePacking.of(encoder, AVAILABLE)
    rows = random_rows(encoder, 500)
    expected = np.vstack([encoder.encode_record(row) for row in rows])
    assert packing.word_count == 1
    np.testing.assert_array_equal(packed(packing, rows), expected)
    assert np.isnan(expected).any()


def test_many_categories_take_more_words_and_none_reaches_the_sign() -> None:
    encoder = FeatureEncoder(
        tuple(EncodedColumn(column.name, tuple(f"value {i}" for i in range(1_000))) for column in FEATURES)
    )
    packing = FeaturePacking.of(encoder, AVAILABLE)
    rows = random_rows(encoder, 50)
    assert packing.word_count == 4
    assert all(place.shift + place.bits <= WORD_BITS for place in packing.categories)
    np.testing.assert_array_equal(packed(packing, rows), np.vstack([encoder.encode_record(row) for row in rows]))


def test_a_feature_that_the_source_lacks_stays_unknown() -> None:
    encoder = FeatureEncoder((EncodedColumn("ShoeSize"), *FeatureEncoder.from_contract().columns))
    packing = FeaturePacking.of(encoder, AVAILABLE)
    rows = random_rows(encoder, 3)
    assert np.isnan(packed(packing, rows)[:, 0]).all()


def test_numbers_lose_their_negative_zero_and_infinity_is_unknown() -> None:
    packing = FeaturePacking.of(FeatureEncoder((EncodedColumn("tenure"),)), AVAILABLE)
    matrix = packing.unpack([], [np.array([-0.0, np.inf, 3.5])], 3)
    assert str(matrix[0, 0]) == "0.0"
    assert np.isnan(matrix[1, 0])
    assert matrix[2, 0] == 3.5


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8])
def test_the_code_after_the_last_category_is_the_unknown_one(count: int) -> None:
    column = EncodedColumn("Contract", tuple(f"value {i}" for i in range(count)))
    (place,) = FeaturePacking.of(FeatureEncoder((column,)), AVAILABLE).categories
    assert place.unknown_code == count < 1 << place.bits
    assert np.isnan(place.values[count])
