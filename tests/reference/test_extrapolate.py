"""Maps beyond a layer's outline: exact for flat layers, and by moving least squares as written out, place by place."""

from __future__ import annotations

import numpy as np
import pytest

from nvd_core.image.geometry import transform
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.refine import extrapolate as module
from nvd_core.lattice.refine.extrapolate import extrapolate
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.spec.conventions import Size

SIZE = Size(120, 80)


def layer_at(box: tuple[slice, slice]) -> LayerView:
    alpha = np.zeros((2, SIZE.height, SIZE.width), np.uint8)
    alpha[(slice(None), *box)] = 255
    return LayerView(np.zeros((2, SIZE.height, SIZE.width, 3), np.uint8), alpha)


@pytest.mark.parametrize("perspective", [0.0, 1e-3])
def test_the_motion_of_a_flat_layer_goes_on(perspective: float) -> None:
    lattice = Lattice.over(SIZE, 60)
    places = lattice.positions()
    motion = np.array([[1.1, 0.1, 5], [-0.05, 0.9, -3], [perspective, perspective / 2, 1]])
    true = (transform(motion, places.astype(np.float64)) - places).astype(np.float32)
    solved = true.copy()
    far = (places[..., 0] > 60) | (places[..., 1] > 60)
    solved[far] = 0  # as where no match lies
    mapping = LayerMap(0, lattice, np.stack([solved, solved]))
    found = extrapolate(layer_at(np.s_[20:50, 20:50]), mapping)
    np.testing.assert_allclose(found.nodes[1], true, atol=0.02)


def test_nodes_on_the_layer_keep_their_bits_and_a_layer_all_over_is_left() -> None:
    rng = np.random.default_rng(1)
    lattice = Lattice.over(SIZE, 60)
    mapping = LayerMap(0, lattice, rng.normal(size=(2, lattice.rows, lattice.columns, 2)).astype(np.float32))
    found = extrapolate(layer_at(np.s_[20:50, 20:50]), mapping)
    assert np.array_equal(found.nodes[:, 10:25, 10:25], mapping.nodes[:, 10:25, 10:25])
    assert not np.array_equal(found.nodes, mapping.nodes)
    assert extrapolate(layer_at(np.s_[:, :]), mapping) is mapping


def test_deviations_are_continued_as_the_slow_twin_does() -> None:
    rng = np.random.default_rng(2)
    at = rng.uniform(0, 50, (40, 2)).astype(np.float32)
    values = rng.normal(size=(40, 2)).astype(np.float32)
    places = rng.uniform(-40, 100, (3, 4, 2)).astype(np.float32)
    found = module._continued(at, values, places, 5.0)
    for place, got in zip(places.reshape(-1, 2), found.reshape(-1, 2), strict=True):
        weight = 1 / (((place - at) ** 2).sum(axis=1).astype(np.float64) + 25) ** 2
        weight /= weight.sum()
        centre, mean = weight @ at, weight @ values
        spread = (at - centre).astype(np.float64)
        covariance = spread.T @ (weight[:, None] * spread)
        covariance += (module._STEADY * np.trace(covariance) + 1e-6) * np.eye(2)
        slope = np.linalg.solve(covariance, spread.T @ (weight[:, None] * (values - mean)))
        np.testing.assert_allclose(got, mean + (place - centre) @ slope, rtol=1e-4, atol=1e-5)
