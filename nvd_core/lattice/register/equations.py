"""Sparse linear least squares in the nodes of a lattice: rows, normal matrices, and conjugate gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Float32, Int

from nvd_core.lattice.register.spline import Lattice
from nvd_core.runtime.progress import SILENT, Progress

Unknowns = Float[np.ndarray, "unknown 2"]
"""Node values, x and y side by side: both obey the same equations."""

_Vector = Float[np.ndarray, " unknown"]

_INDEX: Final = np.int32
"""Type of column and row indices: products are bound by memory, and SciPy keeps the type of its input."""

_CG_STEPS: Final = 150
_CG_TOLERANCE: Final = 1e-4
_TELL_EVERY: Final = 8


def difference_rows(
    lattice: Lattice,
    unknowns: int,
    first: tuple[Float32[np.ndarray, "row 2"], Int[np.ndarray, " row"]],
    second: tuple[Float32[np.ndarray, "row 2"], Int[np.ndarray, " row"]],
) -> sp.csr_array:
    """Build one row for each pair of points: bilinear field value at the first minus that at the second.

    Args:
        lattice: of every field.
        unknowns: number of nodes of all fields.
        first: points, px, and for each the index of the first node of its field.
        second: likewise.
    """
    (here, here_weights), (there, there_weights) = (_bilinear(lattice, *one) for one in (first, second))
    columns = np.hstack([here, there]).astype(_INDEX)
    values = np.hstack([here_weights, -there_weights])
    starts = np.arange(0, columns.size + 1, 8, dtype=_INDEX)
    return sp.csr_array((values.ravel(), columns.ravel(), starts), shape=(len(columns), unknowns))


def _bilinear(
    lattice: Lattice, points: Float32[np.ndarray, "row 2"], offset: Int[np.ndarray, " row"]
) -> tuple[Int[np.ndarray, "row 4"], Float[np.ndarray, "row 4"]]:
    """Indices of the four nodes around each point, and their bilinear weights."""
    last = (lattice.columns - 1 - 1e-4, lattice.rows - 1 - 1e-4)
    at = np.clip(points.astype(np.float64) / lattice.cell_px, 0, last)
    column, row = at.astype(int).T
    across, down = (at - np.floor(at)).T
    corner = offset + row * lattice.columns + column
    nodes = np.stack([corner, corner + 1, corner + lattice.columns, corner + lattice.columns + 1], axis=1)
    weights = [(1 - across) * (1 - down), across * (1 - down), (1 - across) * down, across * down]
    return nodes, np.stack(weights, axis=1)


def squared(size: int, *terms: tuple[Int[np.ndarray, "..."], float]) -> sp.csc_array:
    """Normal matrix ``A.T @ A``; row i of ``A`` sums the terms' i-th nodes, times their factors."""
    count = terms[0][0].size
    rows = np.tile(np.arange(count, dtype=_INDEX), len(terms))
    columns = np.concatenate([nodes.ravel() for nodes, _ in terms]).astype(_INDEX)
    values = np.concatenate([np.full(nodes.size, factor) for nodes, factor in terms])
    matrix = sp.csr_array((values, (rows, columns)), shape=(count, size))
    return matrix.T @ matrix


def thin_plate(index: Int[np.ndarray, "*field row column"]) -> sp.csc_array:
    """Normal matrix of the thin-plate energy of one or many fields.

    Args:
        index: of each node among the unknowns.
    """
    i, cross = index, 2**0.5
    return (
        squared(i.size, (i[..., :, :-2], 1), (i[..., :, 1:-1], -2), (i[..., :, 2:], 1))
        + squared(i.size, (i[..., :-2, :], 1), (i[..., 1:-1, :], -2), (i[..., 2:, :], 1))
        + squared(i.size, (i[..., 1:, 1:], cross), (i[..., :-1, 1:], -cross),
                  (i[..., 1:, :-1], -cross), (i[..., :-1, :-1], cross))
    )  # fmt: skip


def conjugate_gradients(
    matrix: sp.csr_array, target: Unknowns, guess: Unknowns, progress: Progress = SILENT
) -> Unknowns:
    """Solve ``matrix @ unknowns = target`` by conjugate gradients, Jacobi-preconditioned, for x and y side by side.

    Each axis is a vector of its own, which memory passes faster than pairs. Stops when the residual of both
    together falls below 1e-4 of the target's norm, or after 150 steps.
    """
    scale, enough = 1 / matrix.diagonal(), _CG_TOLERANCE * np.linalg.norm(target)
    axes = [_Descent.of(matrix, scale, target[:, axis], guess[:, axis]) for axis in (0, 1)]
    for step in range(_CG_STEPS):
        if step % _TELL_EVERY == 0:
            progress(step / _CG_STEPS)
        for axis in axes:
            axis.step(matrix)
        if sum(float(axis.rest @ axis.rest) for axis in axes) < enough**2:
            break
        for axis in axes:
            axis.turn(scale)
    return np.stack([axis.solution for axis in axes], axis=-1)


@final
@dataclass
class _Descent:
    """Conjugate gradients for one right-hand side."""

    solution: _Vector
    rest: _Vector
    direction: _Vector
    energy: float

    @classmethod
    def of(cls, matrix: sp.csr_array, scale: _Vector, target: _Vector, guess: _Vector) -> _Descent:
        solution = np.array(guess)
        rest = target - matrix @ solution
        direction = scale * rest
        return cls(solution, rest, direction, float(rest @ direction))

    def step(self, matrix: sp.csr_array) -> None:
        """Minimise the energy along the direction."""
        moved = matrix @ self.direction
        length = self.energy / (float(self.direction @ moved) + 1e-30)
        self.solution += length * self.direction
        self.rest -= length * moved

    def turn(self, scale: _Vector) -> None:
        """Turn to the next conjugate direction."""
        conditioned = scale * self.rest
        gained = float(self.rest @ conditioned)
        self.direction *= gained / (self.energy + 1e-30)
        self.direction += conditioned
        self.energy = gained
