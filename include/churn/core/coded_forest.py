"""A forest's splits as comparisons of small integers: what the compiled kernels work on.

A tree asks of a number only on which side of its thresholds it lies. So each feature is coded by its place among
all thresholds that the forest has for it: 0 where it is unknown, else 1 + how many thresholds are below it. After
that a split is one comparison of small integers, whatever the library (the pre-binned features of QuickScorer,
Lucchese et al., SIGIR 2015).
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from churn.core.forest import Forest

ZERO_BOUND = float(np.float32(1e-35))  # LightGBM's kZeroThreshold
# Times a power of two, the highest bits of such a number are another index for each power: the position of a bit
# without counting zeros (Leiserson, Prokop and Randall, 1998).
DE_BRUIJN = {32: 0x077CB531, 64: 0x03F79D71B4CB0A89}


class Grid(NamedTuple):
    """All thresholds of a forest: those of feature f start at starts[f], ascending and distinct.

    They are padded with infinities to 2 * steps[f] - 1 of them, so that a search halves exactly. `is_single`:
    numbers are cast to float32 first. `zero_bound`: numbers up to it count as 0.0 (negative: none does).
    """

    thresholds: NDArray[np.float64]
    starts: NDArray[np.int64]
    steps: NDArray[np.int64]
    is_single: bool
    zero_bound: float


class Splits(NamedTuple):
    """Nodes against codes: a row goes right where `code - shift > bound`, in unsigned arithmetic.

    `shift` is 1 where an unknown goes right: its code 0 wraps round to the largest integer. `starts` (trees + 1)
    are positions of the trees in the other arrays.
    """

    starts: NDArray[np.int64]
    feature: NDArray[np.int64]
    bound: NDArray[Any]
    shift: NDArray[Any]


class BitVectors(NamedTuple):
    """Trees of up to 64 leaves, each leaf a bit, from left to right (QuickScorer).

    Where a row goes right at a split, `keep` (splits,) strikes out the leaves to the left of it; the lowest bit
    that is left is the row's leaf. `nodes` (trees, 32 or 64) are the leaves' node positions in the order of
    bit * multiplier >> shift.
    """

    keep: NDArray[Any]
    nodes: NDArray[np.int64]
    multiplier: np.unsignedinteger
    shift: np.unsignedinteger


class Paths(NamedTuple):
    """The ways to the leaves of a forest: those features of leaf i are at starts[i] to starts[i + 1].

    A row passes the splits on a feature where low < code <= high, or where its code is 0 (unknown) and
    `unknown` is 1. `share` is z, `value` (leaves,) the leaf's value. `points` and `weights` (m + 1, points) are the
    quadrature for m features; unused places have weight 0.
    """

    starts: NDArray[np.int64]
    feature: NDArray[np.int64]
    low: NDArray[np.uint32]
    high: NDArray[np.uint32]
    unknown: NDArray[np.uint8]
    share: NDArray[np.float64]
    value: NDArray[np.float64]
    points: NDArray[np.float64]
    weights: NDArray[np.float64]


class Edges(NamedTuple):
    """The ways down a forest's trees, node by node (m,): how each node is come to.

    `share` is the share of training rows that pass all splits on the parent's feature down to the node, `before` the
    node at which the split before on that feature ended (-1: there is none), `is_right` whether the node is the right
    child. `points` and `weights` are the quadrature, exact for the features of every leaf. Roots have no meaning here.
    """

    parent: NDArray[np.int64]
    before: NDArray[np.int64]
    is_right: NDArray[np.bool_]
    is_leaf: NDArray[np.bool_]
    share: NDArray[np.float64]
    points: NDArray[np.float64]
    weights: NDArray[np.float64]


def grid_of(forest: Forest) -> tuple[Grid, NDArray[np.int64]]:
    """The thresholds of a forest, and for each node (m,) the place of its own among those of its feature."""
    places = np.zeros(len(forest.left), np.int64)
    padded, steps = [], []
    for feature in range(forest.feature_count):
        nodes = np.flatnonzero((forest.left >= 0) & (forest.feature == feature))
        distinct, places[nodes] = np.unique(forest.threshold[nodes], return_inverse=True)
        step = 1 << len(distinct).bit_length() >> 1
        padded.append(np.append(distinct, np.full(max(2 * step - 1, 0) - len(distinct), np.inf)))
        steps.append(step)
    starts = np.cumsum([0, *(len(column) for column in padded)])[:-1]
    zero_bound = ZERO_BOUND if forest.snaps_zero else -1.0
    return Grid(np.concatenate(padded), starts, np.array(steps), forest.is_single, zero_bound), places


def small_splits_of(forest: Forest, places: NDArray[np.int64]) -> Splits:
    """The splits alone, tree by tree, in the narrowest unsigned integers that hold every code."""
    nodes = forest.left >= 0
    narrowest = np.min_scalar_type(int(places.max(initial=0)) + 2)
    shift = np.where(forest.unknown_left, 0, 1)[nodes]
    bound = (places[nodes] + 1 - shift).astype(narrowest)
    return Splits(forest.split_starts, forest.feature[nodes].astype(np.int64), bound, shift.astype(narrowest))


def truth_tables(forest: Forest) -> NDArray[np.int64]:
    """The leaf that each pattern of answers leads to, (trees, 2 ** largest_split_count), as node positions.

    Bit s of a pattern says that the s-th split of the tree sends the row to the right.
    """
    patterns = np.arange(1 << forest.largest_split_count)
    bits = forest.bit_of_node
    nodes = np.repeat(forest.starts[:-1, None], len(patterns), axis=1)
    for _ in range(forest.largest_split_count):
        is_split = forest.left[nodes] >= 0
        nodes = np.where(is_split, forest.left[nodes] + (patterns >> bits[nodes] & 1), nodes)
    return nodes


def bit_vectors_of(forest: Forest) -> BitVectors:
    """Number the leaves of each tree as bits. The forest has at most 63 splits in a tree."""
    width = 32 if forest.largest_split_count < 32 else 64
    multiplier, shift, everything = DE_BRUIJN[width], width - width.bit_length() + 1, (1 << width) - 1
    keep = [everything] * len(forest.left)
    nodes = np.zeros((forest.tree_count, width), np.int64)

    def number(tree: int, node: int, first: int) -> int:
        """Number the leaves under a node from `first` on; returns the number after the last one."""
        left = int(forest.left[node])
        if left < 0:
            nodes[tree, ((1 << first) * multiplier & everything) >> shift] = node
            return first + 1
        middle = number(tree, left, first)
        keep[node] = everything & ~((1 << middle) - (1 << first))
        return number(tree, left + 1, middle)

    for tree, root in enumerate(forest.starts[:-1].tolist()):
        number(tree, root, 0)
    integer = np.uint32 if width == 32 else np.uint64
    return BitVectors(np.array(keep, integer)[forest.left >= 0], nodes, integer(multiplier), integer(shift))


def walk_splits_of(forest: Forest, places: NDArray[np.int64]) -> tuple[Splits, NDArray[np.uint32]]:
    """Every node as a split, and its left child: a leaf is a split that keeps every row where it is."""
    nodes = forest.left >= 0
    shift = np.where(nodes & ~forest.unknown_left, 1, 0)
    bound = np.where(nodes, places + 1 - shift, np.iinfo(np.uint32).max)
    left = np.where(nodes, forest.left, np.arange(len(nodes))).astype(np.uint32)
    return Splits(
        forest.starts, forest.feature.astype(np.int64), bound.astype(np.uint32), shift.astype(np.uint32)
    ), left
