"""Binary rows of COPY come back as they were sent, whole rows only; other bytes are refused."""

import struct

import numpy as np
import pytest

from churn.core.packing_kernels import split_rows

WORD, NULL = 1 << 61 | 5, struct.pack(">i", -1)


def row(key: bytes, word: int, number: float | None) -> bytes:
    """A row of a key, a whole number and a float, as PostgreSQL writes it."""
    last = NULL if number is None else struct.pack(">id", 8, number)
    return struct.pack(">hi", 3, len(key)) + key + struct.pack(">iq", 8, word) + last


def split(data: bytes) -> tuple[list[bytes], np.ndarray, np.ndarray, int]:
    """Keys, words, numbers, and where the last whole row ends."""
    keys, ends = np.empty(len(data), np.uint8), np.zeros(len(data), np.int32)
    cells = np.empty((len(data), 2), np.int64)
    count, end = split_rows(np.frombuffer(data, np.uint8), 2, keys, ends, cells)
    texts = [keys[ends[place] : ends[place + 1]].tobytes() for place in range(count)]
    return texts, cells[:count, 0], cells[:count, 1].view(np.float64), end


def test_keys_words_and_numbers_come_back_bit_for_bit() -> None:
    data = row(b"0002-ORFBO", WORD, 70.35) + row(b"", 0, -0.0) + row("Zoë".encode(), 7, 1e-300)
    keys, words, numbers, end = split(data)
    assert keys == [b"0002-ORFBO", b"", "Zoë".encode()]
    assert words.tolist() == [WORD, 0, 7]
    assert numbers.tobytes() == np.array([70.35, -0.0, 1e-300]).tobytes()
    assert end == len(data)


def test_a_number_that_is_null_is_unknown() -> None:
    _, words, numbers, end = split(row(b"a", 1, None) + row(b"b", 2, 0.5))
    assert words.tolist() == [1, 2]
    assert np.isnan(numbers[0])
    assert numbers[1] == 0.5
    assert end == len(row(b"a", 1, None) + row(b"b", 2, 0.5))


def test_a_row_that_is_cut_anywhere_waits_for_the_rest() -> None:
    first, second = row(b"first", 1, 0.5), row(b"second", 2, 1.5)
    for length in range(len(second)):
        keys, _, _, end = split(first + second[:length])
        assert (keys, end) == ([b"first"], len(first))


def test_the_end_of_a_copy_is_no_row() -> None:
    data = row(b"last", 1, 0.5)
    assert split(data + b"\xff\xff")[3] == len(data)


@pytest.mark.parametrize(
    "wrong", [struct.pack(">hi", 2, 1) + b"a" * 30, struct.pack(">hi1siiid", 3, 1, b"a", 4, 5, 8, 1.0)]
)
def test_rows_of_another_layout_are_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError, match="not"):
        split(wrong)
