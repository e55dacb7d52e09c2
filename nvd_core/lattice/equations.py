"""Linear equations in the nodes of a lattice, shared by the steps that solve for a map."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Int

from nvd_core.lattice.spline import Lattice

Unknowns = Float[np.ndarray, "unknown 2"]
"""Node values, x and y side by side: both obey the same equations."""

_CG_STEPS: Final = 150
_CG_TOLERANCE: Final = 1e-4
_TOLD_EVERY: Final = 8


def difference_rows(
    lattice: Lattice,
    unknowns: int,
    first: tuple[Float32[np.ndarray, "row 2"], Int[np.ndarray, " row"]],
    second: tuple[Float32[np.ndarray, "row 2"], Int[np.ndarray, " row"]],
) -> sp.csr_array:
    """One row a pair of points: the field at the first minus the field at the second.

    Args:
        lattice: that both points lie on, px.
        unknowns: number of node values in all.
        first: points, and the index of the first node of the field that each lies in.
        second: likewise.
    """
    (here, here_weights), (there, there_weights) = (_bilinear(lattice, *one) for one in (first, second))
    columns = np.hstack([here, there])
    values = np.hstack([here_weights, -there_weights])
    starts = np.arange(0, columns.size + 1, 8)
    return sp.csr_array((values.ravel(), columns.ravel(), starts), shape=(len(columns), unknowns))


def _bilinear(
    lattice: Lattice, points: Float32[np.ndarray, "row 2"], offset: Int[np.ndarray, " row"]
) -> tuple[Int[np.ndarray, "row 4"], Float[np.ndarray, "row 4"]]:
    """The four nodes around each point, and their weights."""
    last = (lattice.columns - 1 - 1e-4, lattice.rows - 1 - 1e-4)
    at = np.clip(points.astype(np.float64) / lattice.cell_px, 0, last)
    column, row = at.astype(int).T
    across, down = (at - np.floor(at)).T
    corner = offset + row * lattice.columns + column
    nodes = np.stack([corner, corner + 1, corner + lattice.columns, corner + lattice.columns + 1], axis=1)
    weights = [(1 - across) * (1 - down), across * (1 - down), (1 - across) * down, across * down]
    return nodes, np.stack(weights, axis=1)


def squared(size: int, *terms: tuple[Int[np.ndarray, "..."], float]) -> sp.csc_array:
    """Normal matrix of a sum of node values, one for each place in the index arrays of the terms."""
    count = terms[0][0].size
    rows = np.tile(np.arange(count), len(terms))
    columns = np.concatenate([nodes.ravel() for nodes, _ in terms])
    values = np.concatenate([np.full(nodes.size, factor) for nodes, factor in terms])
    matrix = sp.csr_array((values, (rows, columns)), shape=(count, size))
    return matrix.T @ matrix


def thin_plate(index: Int[np.ndarray, "*field row column"]) -> sp.csc_array:
    """Normal matrix of the bending of one or many fields, given the index of each node."""
    i, cross = index, 2**0.5
    return (
        squared(i.size, (i[..., :, :-2], 1), (i[..., :, 1:-1], -2), (i[..., :, 2:], 1))
        + squared(i.size, (i[..., :-2, :], 1), (i[..., 1:-1, :], -2), (i[..., 2:, :], 1))
        + squared(i.size, (i[..., 1:, 1:], cross), (i[..., :-1, 1:], -cross),
                  (i[..., 1:, :-1], -cross), (i[..., :-1, :-1], cross))
    )  # fmt: skip


def conjugate_gradients(matrix: sp.csr_array, target: Unknowns, guess: Unknowns) -> Generator[float, None, Unknowns]:
    """Solve for x and y side by side, Jacobi-preconditioned; SciPy's takes one right-hand side at a time.

    Yields:
        The part of the steps that are made, 0 to 1.
    """
    solution = guess.copy()
    scale = 1 / matrix.diagonal()[:, None]
    rest = target - matrix @ solution
    direction = scale * rest
    energy = (rest * direction).sum(axis=0)
    enough = _CG_TOLERANCE * np.linalg.norm(target)
    for step in range(_CG_STEPS):
        if step % _TOLD_EVERY == 0:
            yield step / _CG_STEPS
        moved = matrix @ direction
        length = energy / ((direction * moved).sum(axis=0) + 1e-30)
        solution += length * direction
        rest -= length * moved
        if np.linalg.norm(rest) < enough:
            break
        conditioned = scale * rest
        gained = (rest * conditioned).sum(axis=0)
        direction = conditioned + (gained / (energy + 1e-30)) * direction
        energy = gained
    return solution
