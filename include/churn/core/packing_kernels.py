"""Binary rows of PostgreSQL's COPY taken apart by numba, and the matrix of a model put together from them.

A row is a count of columns (16 bits), then for each column its length (32 bits, -1 for NULL) and its bytes, all with
the highest byte first. The first column is a key of any length; the others are whole numbers or floats of 64 bits.
All kernels stay in this one file: numba's cache sees a change only in the file of the kernel that is called.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

UNKNOWN = int(np.array(np.nan).view(np.int64))  # the bits of a number that is NULL


class Sources(NamedTuple):
    """Where each feature (features,) of a matrix comes from.

    `word` >= 0: `values[first + code]` for the code in bits `shift` and following, as many as `mask` has. Otherwise
    `number` >= 0: that number. Otherwise it stays unknown.
    """

    word: NDArray[np.int64]
    shift: NDArray[np.int64]
    mask: NDArray[np.int64]
    first: NDArray[np.int64]
    values: NDArray[np.float64]
    number: NDArray[np.int64]


@njit(cache=True, nogil=True)
def _big_endian(data: NDArray[np.uint8], place: int, size: int) -> Any:
    number = np.int64(0)
    for at in range(place, place + size):  # a slice would count its references
        number = (number << 8) | np.int64(data[at])
    return number


@njit(cache=True, nogil=True)
def split_rows(
    data: NDArray[np.uint8], cell_count: int, keys: NDArray[np.uint8], ends: NDArray[np.int32], cells: NDArray[np.int64]
) -> tuple[int, int]:
    """Take whole rows of a key and `cell_count` cells apart; return how many there were, and where the last one ends.

    Writes the bytes of the keys one after the other, `ends` (rows + 1,) and the bits of the cells (rows, cell_count).
    Stops before a row that is not whole. Raises ValueError where the bytes are no such rows.
    """
    place, row = 0, 0
    while place + 6 <= len(data):
        if _big_endian(data, place, 2) != cell_count + 1:
            raise ValueError("not the rows that were asked for")
        length = _big_endian(data, place + 2, 4)
        at = place + 6 + length
        if at + 4 * cell_count > len(data):
            break
        is_whole = True
        for cell in range(cell_count):
            is_null = at + 4 <= len(data) and data[at] == 255
            if at + (4 if is_null else 12) > len(data):
                is_whole = False
                break
            if not is_null and _big_endian(data, at, 4) != 8:
                raise ValueError("a column that is not 64 bits wide")
            cells[row, cell] = UNKNOWN if is_null else _big_endian(data, at + 4, 8)
            at += 4 if is_null else 12
        if not is_whole:
            break
        for byte in range(length):
            keys[ends[row] + byte] = data[place + 6 + byte]
        ends[row + 1] = ends[row] + length
        place, row = at, row + 1
    return row, place


@njit(cache=True, nogil=True)
def unpack(words: NDArray[np.int64], numbers: NDArray[np.float64], sources: Sources) -> NDArray[Any]:
    """The matrix (n, features) of n customers from their words (n, words) and numbers (n, numbers)."""
    matrix = np.full((words.shape[0], sources.word.shape[0]), np.nan)
    for row in range(matrix.shape[0]):
        for feature in range(matrix.shape[1]):
            if sources.word[feature] >= 0:
                code = (words[row, sources.word[feature]] >> sources.shift[feature]) & sources.mask[feature]
                matrix[row, feature] = sources.values[sources.first[feature] + code]
            elif sources.number[feature] >= 0 and np.isfinite(numbers[row, sources.number[feature]]):
                matrix[row, feature] = numbers[row, sources.number[feature]] + 0.0  # -0.0 and 0.0 are one number
    return matrix
