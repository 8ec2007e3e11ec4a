"""How a customer's features travel from the database: categories as bits of whole numbers, numbers as they are.

The history keeps the categories of each customer packed by the column contract in one whole number, so that reading
them costs the server next to nothing. What a model makes of them follows from the model's own encoder; categories
that the contract has forgotten since, and the model still knows, are packed by the statement that reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from churn.columns import FEATURES
from churn.core.features import EncodedColumn, FeatureEncoder, Matrix

if TYPE_CHECKING:  # numba takes a second to import
    from churn.core.packing_kernels import Sources

WORD_BITS = 62  # of a signed 64-bit integer, its sign left alone


@dataclass(frozen=True)
class Place:
    """Where a category sits in a word: its code in bits `shift` to `shift + bits`.

    A code is an index in `categories`; the code after the last one is a value that is none of them.
    """

    name: str
    categories: tuple[str, ...]
    word: int
    shift: int

    @property
    def bits(self) -> int:
        """As many as the largest code needs."""
        return len(self.categories).bit_length()

    @property
    def unknown_code(self) -> int:
        """The code of a value that is not one of the categories."""
        return len(self.categories)

    def values(self, known: tuple[str, ...]) -> Matrix:
        """What an encoder with the categories `known` makes of each code: an index of its own, or NaN."""
        values = np.full(1 << self.bits, np.nan)
        for code, category in enumerate(self.categories):
            if category in known:
                values[code] = known.index(category)
        return values


def lay_out(columns: Sequence[tuple[str, tuple[str, ...]]], first_word: int = 0) -> tuple[Place, ...]:
    """Give each (name, categories) its place, one after the other, in as many words as it takes."""
    places, word, shift = [], first_word, 0
    for name, categories in columns:
        place = Place(name, categories, word, shift)
        if shift + place.bits > WORD_BITS:
            word, shift = word + 1, 0
            place = Place(name, categories, word, shift)
        places.append(place)
        shift += place.bits
    return tuple(places)


STORED = lay_out([(column.name, column.categories) for column in FEATURES if column.categories])


@dataclass(frozen=True)
class FeaturePacking:
    """What to read for one encoder, and how to unpack it.

    Word 0 is the stored one; `computed` places are in the words after it. Features that the contract no longer has
    are not read and stay unknown.
    """

    encoder: FeatureEncoder
    computed: tuple[Place, ...]

    @classmethod
    def of(cls, encoder: FeatureEncoder) -> "FeaturePacking":
        """Take what is stored wherever that says all that the encoder wants to know."""
        stored = {place.name: set(place.categories) for place in STORED}
        forgotten = [
            (column.name, column.categories)
            for column in encoder.columns
            if column.categories and column.name in stored and not set(column.categories) <= stored[column.name]
        ]
        return cls(encoder, lay_out(forgotten, first_word=1))

    @property
    def numbers(self) -> tuple[EncodedColumn, ...]:
        """The columns that are read as numbers."""
        available = {column.name for column in FEATURES}
        return tuple(c for c in self.encoder.columns if c.categories is None and c.name in available)

    @property
    def computed_word_count(self) -> int:
        """How many words the statement has to compute."""
        return self.computed[-1].word if self.computed else 0

    @property
    def word_count(self) -> int:
        """How many words are read of a customer."""
        return 1 + self.computed_word_count

    def unpack(self, words: NDArray[np.int64], numbers: Matrix) -> Matrix:
        """Turn what was read of n customers into the (n, features) matrix that the encoder would give.

        `words` (n, word_count) are the stored word and the computed ones, `numbers` the columns of that name.
        """
        from churn.core.packing_kernels import unpack

        return unpack(words, numbers, self._sources)

    @cached_property
    def _sources(self) -> "Sources":
        from churn.core.packing_kernels import Sources

        places = {place.name: place for place in (*STORED, *self.computed)}
        numbers = [column.name for column in self.numbers]
        columns = self.encoder.columns
        packed = [places.get(column.name) if column.categories is not None else None for column in columns]
        values = [
            place.values(column.categories or ()) if place else np.empty(0)
            for place, column in zip(packed, columns, strict=True)
        ]
        return Sources(
            word=np.array([place.word if place else -1 for place in packed]),
            shift=np.array([place.shift if place else 0 for place in packed]),
            mask=np.array([(1 << place.bits) - 1 if place else 0 for place in packed]),
            first=np.cumsum([0, *map(len, values)])[:-1],
            values=np.concatenate(values),
            number=np.array([numbers.index(column.name) if column.name in numbers else -1 for column in columns]),
        )
