"""The lattice's spline against SciPy's natural cubic spline, which solves for each curve anew."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline

from nvd_core.lattice.register.spline import Lattice, spline_basis
from nvd_core.spec.conventions import Size


@pytest.mark.parametrize("cells", [1, 2, 7, 192])
def test_the_field_of_a_lattice_is_the_natural_cubic_spline_through_its_nodes(cells: int) -> None:
    lattice = Lattice(Size(160, 90), 159 / cells)
    nodes = np.random.default_rng(1).normal(size=(lattice.rows, lattice.columns, 2)).astype(np.float32)
    halfway = _natural(nodes, np.arange(90) / lattice.cell_px, axis=0)
    expected = _natural(halfway, np.arange(160) / lattice.cell_px, axis=1)
    np.testing.assert_allclose(lattice.dense(nodes, lattice.size), expected, atol=1e-5)


def test_places_beyond_the_last_node_follow_its_outermost_cell() -> None:
    at = np.array([-0.5, 4.5])
    basis, eye = spline_basis(at, 5), np.eye(5)
    np.testing.assert_allclose(basis, CubicSpline(np.arange(5), eye, bc_type="natural")(at), atol=1e-6)


def _natural(values: np.ndarray, at: np.ndarray, axis: int) -> np.ndarray:
    nodes = np.arange(values.shape[axis])
    return CubicSpline(nodes, values.astype(np.float64), axis=axis, bc_type="natural")(at)
