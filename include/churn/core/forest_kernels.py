"""Trees asked and explained by numba: bitwise the answers of the library that trained them, and exact contributions.

A block of rows at a time, features first become codes (see coded_forest); after that the inner loops run over the
rows of the block with small integers, which LLVM turns into vector instructions. A small tree is a truth table of
its splits' answers (the predicate enumeration of Asadi, Lin and de Vries, TKDE 2014), a middling one a bit vector of
its leaves (QuickScorer), and down a large one the rows of a block walk together.

Contributions: a leaf that a row would reach with probability z_j if feature j were unknown (the share of training
rows that pass all splits on j above the leaf) and whose splits on j the row passes (o_j = 1) or not (o_j = 0)
gives feature j of its m features

    value * (o_j - z_j) * integral over t in 0..1 of the product over k != j of (z_k * (1 - t) + o_k * t).

That is the Shapley value of TreeSHAP (Lundberg et al., 2020): the integral of t^k * (1 - t)^(m - 1 - k) is the
weight k! * (m - 1 - k)! / m! of a subset. Gauss-Legendre quadrature with m / 2 points is exact for it, and stable.
Many rows are explained leaf by leaf, a vector of rows at a time. One row alone goes down each tree once and up again,
for the leaves below a node share its product (Linear TreeSHAP, Yu et al., NeurIPS 2022).

Dangers. Never `fastmath`, and no sum in another order: either would be other last bits. All kernels stay in this
one file: numba's cache sees a change only in the file of the kernel that is called.
"""

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from churn.core.coded_forest import BitVectors, Edges, Grid, Paths, Splits
from churn.core.features import Matrix

BLOCK = 512  # rows: their codes and sums stay in the first-level cache
LARGEST_EXPONENT = 88.7  # XGBoost's own guard against an infinite expf


@njit(cache=True, nogil=True)
def code_block(matrix: Matrix, first: int, grid: Grid, codes: NDArray[Any]) -> int:
    """Code up to BLOCK rows of a C-ordered matrix from row `first` on into codes (features, BLOCK).

    Returns how many rows there were. A feature without thresholds gets no codes.
    """
    rows = min(BLOCK, matrix.shape[0] - first)
    numbers = np.empty(BLOCK)
    ranks = np.empty(BLOCK, np.int64)
    for feature in range(grid.steps.shape[0]):
        step = grid.steps[feature]
        if step == 0:
            continue
        for row in range(rows):
            number = matrix[first + row, feature]
            if grid.is_single:
                number = np.float64(np.float32(number))
            numbers[row] = 0.0 if abs(number) <= grid.zero_bound else number
        ranks[:] = 0
        thresholds = grid.thresholds[grid.starts[feature] :]
        while step > 0:  # a binary search, one step for all rows: LLVM gathers
            for row in range(rows):
                ranks[row] += step if numbers[row] > thresholds[np.uint64(ranks[row] + step - 1)] else 0
            step >>= 1
        column = codes[feature]
        for row in range(rows):
            column[row] = 0 if numbers[row] != numbers[row] else ranks[row] + 1
    return rows


@njit(cache=True, nogil=True)
def find_patterns(codes: NDArray[Any], rows: int, splits: Splits, tree: int, patterns: NDArray[Any]) -> None:
    """Write for each row of a block the answers of one tree's splits, a bit each, to patterns (BLOCK,)."""
    patterns[:] = 0
    for bit, split in enumerate(range(splits.starts[tree], splits.starts[tree + 1])):
        column, bound, shift = codes[splits.feature[split]], splits.bound[split], splits.shift[split]
        right, left = patterns.dtype.type(1 << bit), patterns.dtype.type(0)
        for row in range(rows):
            patterns[row] |= right if patterns.dtype.type(column[row] - shift) > bound else left


@njit(cache=True, nogil=True)
def sum_by_tables(matrix: Matrix, grid: Grid, splits: Splits, tables: NDArray[Any], base: float) -> NDArray[Any]:
    """Leaf sums (n,) of trees as truth tables (trees, patterns), in the tables' own precision."""
    sums = np.full(matrix.shape[0], base, tables.dtype)
    codes = np.empty((grid.steps.shape[0], BLOCK), splits.bound.dtype)
    patterns = np.empty(BLOCK, splits.bound.dtype)
    for first in range(0, matrix.shape[0], BLOCK):
        rows = code_block(matrix, first, grid, codes)
        block = sums[first : first + rows]
        for tree in range(tables.shape[0]):
            find_patterns(codes, rows, splits, tree, patterns)
            table = tables[tree]
            for row in range(rows):
                block[row] += table[patterns[row]]
    return sums


@njit(cache=True, nogil=True)
def sum_by_bit_vectors(
    matrix: Matrix, grid: Grid, splits: Splits, vectors: BitVectors, leaves: NDArray[Any], base: float
) -> NDArray[Any]:
    """Leaf sums (n,) of trees of up to 64 leaves (trees, 32 or 64), in the precision of `leaves`."""
    sums = np.full(matrix.shape[0], base, leaves.dtype)
    codes = np.empty((grid.steps.shape[0], BLOCK), splits.bound.dtype)
    masks = np.empty(BLOCK, vectors.keep.dtype)
    one = masks.dtype.type(1)
    everything = ~masks.dtype.type(0)
    for first in range(0, matrix.shape[0], BLOCK):
        rows = code_block(matrix, first, grid, codes)
        block = sums[first : first + rows]
        for tree in range(leaves.shape[0]):
            masks[:] = everything
            for split in range(splits.starts[tree], splits.starts[tree + 1]):
                column, bound, shift = codes[splits.feature[split]], splits.bound[split], splits.shift[split]
                keep = vectors.keep[split]
                for row in range(rows):
                    masks[row] &= keep if codes.dtype.type(column[row] - shift) > bound else everything
            table = leaves[tree]
            for row in range(rows):
                lowest = masks.dtype.type(masks[row] & (~masks[row] + one))
                block[row] += table[masks.dtype.type(lowest * vectors.multiplier) >> vectors.shift]
    return sums


@njit(cache=True, nogil=True)
def sum_by_walking(
    matrix: Matrix, grid: Grid, splits: Splits, left: NDArray[Any], values: NDArray[Any], base: float
) -> NDArray[Any]:
    """Leaf sums (n,) of trees of any size, in the precision of `values`: all rows go down a level together."""
    sums = np.full(matrix.shape[0], base, values.dtype)
    codes = np.empty((grid.steps.shape[0], BLOCK), np.uint32)
    flat = codes.reshape(-1)
    nodes = np.empty(BLOCK, np.uint32)
    feature, block_length = splits.feature.astype(np.uint32), np.uint32(BLOCK)
    for first in range(0, matrix.shape[0], BLOCK):
        rows = code_block(matrix, first, grid, codes)
        block = sums[first : first + rows]
        for tree in range(splits.starts.shape[0] - 1):
            nodes[:] = splits.starts[tree]
            moved = np.uint32(1)
            while moved != 0:
                moved = np.uint32(0)
                for row in range(rows):
                    node = nodes[row]
                    code = np.uint32(flat[np.uint32(feature[node] * block_length + row)] - splits.shift[node])
                    child = np.uint32(left[node] + np.uint32(code > splits.bound[node]))
                    moved |= node ^ child
                    nodes[row] = child
            for row in range(rows):
                block[row] += values[nodes[row]]
    return sums


@njit(cache=True, nogil=True)
def sigmoid(sums: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """LightGBM's probability of its raw score: 1 / (1 + exp(-scale * sum)) by glibc's exp."""
    probabilities = np.empty(sums.shape[0])
    for row in range(sums.shape[0]):
        probabilities[row] = 1.0 / (1.0 + math.exp(-scale * sums[row]))
    return probabilities


@njit(cache=True, nogil=True)
def sigmoid_single(sums: NDArray[np.float32]) -> NDArray[np.float64]:
    """XGBoost's probability of its margin, in float32 by glibc's expf (its own 1e-16 is below float32's reach)."""
    probabilities = np.empty(sums.shape[0])
    one, largest = np.float32(1.0), np.float32(LARGEST_EXPONENT)
    for row in range(sums.shape[0]):
        probabilities[row] = one / (math.exp(min(-sums[row], largest)) + one)
    return probabilities


@njit(cache=True, nogil=True)
def explain_by_tables(
    matrix: Matrix, grid: Grid, splits: Splits, features: NDArray[np.int64], tables: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Contributions (n, features) by lookups: tables (trees, places, patterns), features (trees, places; -1: none)."""
    feature_count = grid.steps.shape[0]
    contributions = np.empty((matrix.shape[0], feature_count))
    codes = np.empty((feature_count, BLOCK), splits.bound.dtype)
    patterns = np.empty(BLOCK, splits.bound.dtype)
    totals = np.empty((feature_count, BLOCK))
    for first in range(0, matrix.shape[0], BLOCK):
        rows = code_block(matrix, first, grid, codes)
        totals[:] = 0.0
        for tree in range(tables.shape[0]):
            find_patterns(codes, rows, splits, tree, patterns)
            for place in range(tables.shape[1]):
                if features[tree, place] < 0:
                    break
                total, table = totals[features[tree, place]], tables[tree, place]
                for row in range(rows):
                    total[row] += table[patterns[row]]
        contributions[first : first + rows] = totals[:, :rows].T
    return contributions


@njit(cache=True, nogil=True)
def explain_by_paths(matrix: Matrix, grid: Grid, paths: Paths, longest: int) -> NDArray[np.float64]:
    """Contributions (n, features) leaf by leaf; `longest` is the largest number of features of a leaf."""
    feature_count = grid.steps.shape[0]
    contributions = np.empty((matrix.shape[0], feature_count))
    codes = np.empty((feature_count, BLOCK), np.uint32)
    passes = np.empty((longest, BLOCK), np.bool_)
    products = np.empty(BLOCK)
    totals = np.empty((feature_count, BLOCK))
    for first in range(0, matrix.shape[0], BLOCK):
        rows = code_block(matrix, first, grid, codes)
        totals[:] = 0.0
        for leaf in range(paths.value.shape[0]):
            start, count = paths.starts[leaf], paths.starts[leaf + 1] - paths.starts[leaf]
            for place in range(count):
                _find_passes(codes, rows, paths, start + place, passes[place])
            for point in range((count + 1) // 2):
                t = paths.points[count, point]
                products[:rows] = paths.value[leaf] * paths.weights[count, point]
                for place in range(count):
                    _multiply(products, rows, passes[place], paths.share[start + place], t)
                for place in range(count):
                    total = totals[paths.feature[start + place]]
                    _add(total, products, rows, passes[place], paths.share[start + place], t)
        contributions[first : first + rows] = totals[:, :rows].T
    return contributions


@njit(cache=True, nogil=True)
def _find_passes(codes: NDArray[Any], rows: int, paths: Paths, step: int, passes: NDArray[np.bool_]) -> None:
    column, low, high = codes[paths.feature[step]], paths.low[step], paths.high[step]
    unknown = paths.unknown[step] == 1
    for row in range(rows):
        code = column[row]
        passes[row] = ((code > low) & (code <= high)) | (unknown & (code == 0))


@njit(cache=True, nogil=True)
def _multiply(products: NDArray[np.float64], rows: int, passes: NDArray[np.bool_], share: float, t: float) -> None:
    outside = share * (1.0 - t)
    inside = outside + t
    for row in range(rows):
        products[row] *= inside if passes[row] else outside


@njit(cache=True, nogil=True)
def _add(
    total: NDArray[np.float64],
    products: NDArray[np.float64],
    rows: int,
    passes: NDArray[np.bool_],
    share: float,
    t: float,
) -> None:
    inside = (1.0 - share) / (share * (1.0 - t) + t)
    outside = -1.0 / (1.0 - t)
    for row in range(rows):
        total[row] += products[row] * (inside if passes[row] else outside)


@njit(cache=True, nogil=True, error_model="numpy")
def explain_by_walking(
    matrix: Matrix, grid: Grid, splits: Splits, edges: Edges, values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The same as explain_by_paths but for last bits, one row at a time: faster for one, slower for many."""
    contributions = np.zeros((matrix.shape[0], grid.steps.shape[0]))
    codes = np.empty((grid.steps.shape[0], BLOCK), np.uint32)
    goes = np.empty(values.shape[0], np.float64)
    for first in range(0, matrix.shape[0], BLOCK):
        rows = code_block(matrix, first, grid, codes)
        for row in range(rows):
            for node in range(values.shape[0]):  # 1.0 where the row passes all splits on a feature down to a node
                parent, before = edges.parent[node], edges.before[node]
                if parent >= 0:
                    code = np.uint32(codes[splits.feature[parent], row] - splits.shift[parent])
                    passes = (code > splits.bound[parent]) == edges.is_right[node]
                    goes[node] = (1.0 if passes else 0.0) * (goes[before] if before >= 0 else 1.0)
            _explain_trees(splits.starts, splits.feature, edges, values, goes, contributions[first + row])
    return contributions


@njit(cache=True, nogil=True, error_model="numpy")
def _explain_trees(
    starts: NDArray[np.int64],
    feature: NDArray[np.int64],
    edges: Edges,
    values: NDArray[np.float64],
    goes: NDArray[np.float64],
    moved: NDArray[np.float64],
) -> None:
    """Add one row's contributions to `moved` (features,): down each tree for the products, up for the sums.

    Going up, a node gives its feature what its leaves weigh; what they gave to an earlier split on the same feature
    is taken back, for the later one has the last word on it.
    """
    parents, befores, shares, is_leaf = edges.parent, edges.before, edges.share, edges.is_leaf
    points, count = edges.points, edges.points.shape[0]
    largest = np.max(starts[1:] - starts[:-1])
    products, inverses, sums = np.empty((largest, count)), np.empty((largest, count)), np.empty((largest, count))
    for tree in range(starts.shape[0] - 1):
        root, end = starts[tree], starts[tree + 1]
        products[0] = edges.weights
        sums[0] = 0.0
        for node in range(root + 1, end):
            place, above, share, passed = node - root, parents[node] - root, shares[node], goes[node]
            for point in range(count):
                factor = share + (passed - share) * points[point]
                inverses[place, point] = 1.0 / factor
                products[place, point] = products[above, point] * factor
            if befores[node] >= 0:
                earlier = befores[node] - root
                for point in range(count):
                    products[place, point] *= inverses[earlier, point]
            value = values[node] if is_leaf[node] else 0.0
            for point in range(count):
                sums[place, point] = value * products[place, point]
        for node in range(end - 1, root, -1):
            place, above = node - root, parents[node] - root
            given = 0.0
            for point in range(count):
                sums[above, point] += sums[place, point]
                given += sums[place, point] * inverses[place, point]
            change = (goes[node] - shares[node]) * given
            if befores[node] >= 0:
                before, earlier, taken = befores[node], befores[node] - root, 0.0
                for point in range(count):
                    taken += sums[place, point] * inverses[earlier, point]
                change -= (goes[before] - shares[before]) * taken
            moved[feature[parents[node]]] += change
