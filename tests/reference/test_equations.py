"""Least squares on a lattice against loops over single rows, and against SciPy's solvers."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import cg, spsolve

from nvd_core.lattice.register.equations import conjugate_gradients, difference_rows, squared, thin_plate
from nvd_core.lattice.register.spline import Lattice
from nvd_core.spec.conventions import Size

RNG = np.random.default_rng(11)
LATTICE = Lattice(Size(41, 31), 10)


def test_a_row_is_the_difference_of_two_bilinear_values() -> None:
    fields = RNG.normal(size=(3, LATTICE.rows, LATTICE.columns))
    first, second = RNG.uniform(-5, 45, (2, 50, 2)).astype(np.float32)
    of_first, of_second = RNG.integers(0, 3, (2, 50))
    size = fields[0].size
    found = difference_rows(LATTICE, fields.size, (first, of_first * size), (second, of_second * size)) @ fields.ravel()
    expected = [
        _bilinear(fields[a], p / 10) - _bilinear(fields[b], q / 10)
        for a, p, b, q in zip(of_first, first, of_second, second, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-3)  # positions stop just short of the last node


def test_a_normal_matrix_is_the_sum_of_squares() -> None:
    a, b, values = np.array([0, 1, 2]), np.array([2, 3, 3]), RNG.normal(size=4)
    energy = sum((2 * values[i] - 3 * values[j]) ** 2 for i, j in zip(a, b, strict=True))
    assert values @ (squared(4, (a, 2), (b, -3)) @ values) == pytest.approx(energy)


def test_the_thin_plate_energy_is_the_sum_of_second_differences() -> None:
    field = RNG.normal(size=(2, 5, 6))
    energy = 0.0
    for one in field:
        energy += (np.diff(one, 2, axis=0) ** 2).sum() + (np.diff(one, 2, axis=1) ** 2).sum()
        energy += 2 * (np.diff(np.diff(one, axis=0), axis=1) ** 2).sum()
    matrix = thin_plate(np.arange(field.size).reshape(field.shape))
    assert field.ravel() @ (matrix @ field.ravel()) == pytest.approx(energy)
    y, x = np.mgrid[:5, :6]
    plane = np.stack([2 * x - y + 3, y]).ravel()
    np.testing.assert_allclose(matrix @ plane, 0, atol=1e-12)


def test_conjugate_gradients_solve_what_a_direct_solver_solves() -> None:
    matrix, target = _system(40)
    found = _solved(matrix, target, np.zeros_like(target))
    exact = np.stack([spsolve(matrix.tocsc(), target[:, axis]) for axis in (0, 1)], axis=-1)
    assert np.linalg.norm(matrix @ found - target) <= 1e-4 * np.linalg.norm(target)
    assert np.linalg.norm(found - exact) < 1e-3 * np.linalg.norm(exact)


def test_they_go_the_way_of_scipys_with_the_same_preconditioner() -> None:
    matrix, target = _system(400, worst=1e9)  # too hard to be solved in all steps, so both stop after the same number
    found = _solved(matrix, target, np.zeros_like(target))
    jacobi = sp.diags_array(1 / matrix.diagonal())
    for axis in (0, 1):
        expected, rest = cg(matrix, target[:, axis], rtol=0, maxiter=150, M=jacobi)
        assert rest == 150
        assert np.linalg.norm(found[:, axis] - expected) < 1e-3 * np.linalg.norm(expected)


def test_a_solution_is_left_as_it_is() -> None:
    matrix, target = _system(40)
    exact = np.stack([spsolve(matrix.tocsc(), target[:, axis]) for axis in (0, 1)], axis=-1)
    np.testing.assert_allclose(_solved(matrix, target, exact), exact, rtol=1e-9)


def _system(size: int, worst: float = 1e2) -> tuple[sp.csr_array, np.ndarray]:
    """A symmetric positive matrix with eigenvalues from 1 to ``worst``, and targets."""
    basis = np.linalg.qr(RNG.normal(size=(size, size)))[0]
    matrix = basis @ np.diag(np.geomspace(1, worst, size)) @ basis.T
    return sp.csr_array((matrix + matrix.T) / 2), RNG.normal(size=(size, 2))


def _solved(matrix: sp.csr_array, target: np.ndarray, guess: np.ndarray) -> np.ndarray:
    return conjugate_gradients(matrix, target, guess)


def _bilinear(field: np.ndarray, at: np.ndarray) -> float:
    x, y = np.clip(at, 0, (field.shape[1] - 1, field.shape[0] - 1))
    total = 0.0
    for row, column in np.ndindex(field.shape):
        total += field[row, column] * max(0, 1 - abs(x - column)) * max(0, 1 - abs(y - row))
    return total
