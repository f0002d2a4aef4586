"""Disjoint sets of rows that grow together (union-find with path halving), in 8 bytes a row."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


class Groups:
    """Sets of the rows 0 to n - 1."""

    def __init__(self, first: Rows) -> None:
        """Start from sets of which every row names the smallest: int64 (n,)."""
        self._parent = first.astype(np.int64)

    def root(self, row: int) -> int:
        """The row that stands for the set of `row`, the smallest of it."""
        parent = self._parent
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = int(parent[row])
        return row

    def join(self, first: int, second: int) -> None:
        """Make two sets one."""
        low, high = sorted((self.root(first), self.root(second)))
        self._parent[high] = low

    def apart(self, first: Rows, second: Rows) -> NDArray[np.bool_]:
        """Which pairs of rows lie in different sets: bool (p,)."""
        apart: NDArray[np.bool_] = self._roots(first) != self._roots(second)
        return apart

    def larger_than_one(self) -> list[list[int]]:
        """Sets of at least two rows, ascending."""
        roots = self._roots(np.arange(len(self._parent)))
        members = np.flatnonzero(np.bincount(roots, minlength=1)[roots] > 1)
        members = members[np.argsort(roots[members], kind="stable")]
        starts = np.flatnonzero(np.diff(roots[members])) + 1
        return [rows.tolist() for rows in np.split(members, starts) if len(rows)]

    def _roots(self, rows: Rows) -> Rows:
        roots = self._parent[rows]
        while not np.array_equal(above := self._parent[roots], roots):
            roots = above
        self._parent[rows] = roots
        return roots
