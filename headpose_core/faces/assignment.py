# SPDX-License-Identifier: Apache-2.0
"""Who belongs to whom when all are asked at once: the assignment of least total cost.

SciPy has the same, at the price of a quarter of a second at every start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from headpose_core.types import FloatArray


def assign(costs: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of rows and columns, each used once at most, whose costs have the least sum.

    costs: (N, M), finite. Returns the rows, rising, and their columns, both (min(N, M),).
    """
    matrix = np.asarray(costs, np.float64)
    if matrix.shape[0] > matrix.shape[1]:
        columns, rows = assign(matrix.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    rows = np.arange(matrix.shape[0])
    if not matrix.size:
        return rows[:0], rows[:0]
    wanted = np.argmin(matrix, axis=1)
    if len(np.unique(wanted)) < len(wanted):
        wanted = _hungarian(matrix)
    return rows, wanted


def _hungarian(costs: FloatArray) -> NDArray[np.intp]:
    """Columns (N,) of the rows of (N, M), N <= M, by shortest augmenting paths.

    Kuhn and Munkres as Jonker and Volgenant have it: rows join one after another; each looks for
    the cheapest chain of changes that frees a column. The last row and column are the root.
    """
    n, m = costs.shape
    row_price, column_price = np.zeros(n + 1), np.zeros(m + 1)
    owner = np.full(m + 1, n)  # row of each column; n is nobody
    for row in range(n):
        owner[m] = row
        least, before = np.full(m, np.inf), np.full(m, m)
        visited = np.zeros(m + 1, np.bool_)
        column = m
        while True:
            visited[column] = True
            i = owner[column]
            reduced = costs[i] - row_price[i] - column_price[:m]
            better = ~visited[:m] & (reduced < least)
            least[better], before[better] = reduced[better], column
            free = np.where(visited[:m], np.inf, least)
            column = int(np.argmin(free))
            step = free[column]
            row_price[owner[visited]] += step
            column_price[visited] -= step
            least[~visited[:m]] -= step
            if owner[column] == n:
                break
        while column != m:
            owner[column] = owner[before[column]]
            column = before[column]
    wanted = np.empty(n + 1, np.intp)
    wanted[owner[:m]] = np.arange(m)
    return wanted[:n]
