"""How a customer's features travel from the database: categories as bits of whole numbers, numbers as they are.

Built from the model's own encoder, so what is read is what the model was trained to see.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from churn.core.features import EncodedColumn, FeatureEncoder, Matrix

WORD_BITS = 62  # of a signed 64-bit integer, its sign left alone


@dataclass(frozen=True)
class PackedCategory:
    """Where a category sits: in bits `shift` to `shift + bits` of word number `word`.

    Its code is its index in the encoder's categories; the code after the last one is an unknown value.
    """

    position: int
    column: EncodedColumn
    word: int
    shift: int
    bits: int

    @property
    def unknown_code(self) -> int:
        """The code of a value that the encoder does not know."""
        return len(self.column.categories or ())

    @property
    def values(self) -> Matrix:
        """The encoded value of every code that the bits can hold."""
        codes = np.arange(1 << self.bits, dtype=np.float64)
        return np.where(codes < self.unknown_code, codes, np.nan)


@dataclass(frozen=True)
class FeaturePacking:
    """The layout for one encoder: its categories in words, its numbers by their positions in the matrix.

    Only features named in `available` are read; the others stay unknown.
    """

    width: int
    categories: tuple[PackedCategory, ...]
    numbers: tuple[tuple[int, EncodedColumn], ...]

    @classmethod
    def of(cls, encoder: FeatureEncoder, available: frozenset[str]) -> "FeaturePacking":
        """Lay out the features of an encoder that the source has."""
        categories, numbers = [], []
        word = shift = 0
        for position, column in enumerate(encoder.columns):
            if column.name not in available:
                continue
            if column.categories is None:
                numbers.append((position, column))
                continue
            bits = len(column.categories).bit_length()
            if shift + bits > WORD_BITS:
                word, shift = word + 1, 0
            categories.append(PackedCategory(position, column, word, shift, bits))
            shift += bits
        return cls(len(encoder.columns), tuple(categories), tuple(numbers))

    @property
    def word_count(self) -> int:
        """How many whole numbers hold the categories."""
        return self.categories[-1].word + 1 if self.categories else 0

    def unpack(self, words: Sequence[NDArray[np.int64]], numbers: Sequence[Matrix], count: int) -> Matrix:
        """Turn what was read of `count` customers into the (count, features) matrix that the encoder would give.

        `words` and `numbers` are arrays (count,) in the order of the layout.
        """
        matrix = np.full((count, self.width), np.nan)
        for packed in self.categories:
            codes = (words[packed.word] >> packed.shift) & ((1 << packed.bits) - 1)
            matrix[:, packed.position] = packed.values[codes]
        for (position, _), cells in zip(self.numbers, numbers, strict=True):
            matrix[:, position] = np.where(np.isfinite(cells), cells + 0.0, np.nan)  # -0.0 and 0.0 are one number
        return matrix
