"""Maps of a layer: inverted, unfolded, laid out evenly, and their matches, on maps whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from support import texture

from nvd_core.image.geometry import Box, pixel_grid, transform, translation
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.average import layer_picture
from nvd_core.lattice.picture.inverse import invert
from nvd_core.lattice.refine.folds import unfold
from nvd_core.lattice.refine.layout import lay_evenly
from nvd_core.lattice.refine.registration import register_again
from nvd_core.lattice.register.matches import Registrar
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.spec.conventions import Size

RNG = np.random.default_rng(13)
SIZE = Size(96, 64)
WHOLE = Box(0, 0, *SIZE)


def _view(frames: np.ndarray, alpha: np.ndarray | None = None) -> LayerView:
    return LayerView(frames, np.full(frames.shape[:3], 255, np.uint8) if alpha is None else alpha)


def _bent(by_px: float) -> np.ndarray:
    """A smooth map: turned, enlarged and bent by some px."""
    grid = pixel_grid(SIZE)
    wave = np.stack([np.sin(grid[..., 1] / 9), np.cos(grid[..., 0] / 11)], axis=-1) * by_px
    return (grid @ np.float32([[1.2, 0.3], [-0.3, 1.1]]) + wave + np.float32([-7, 4])).astype(np.float32)


@pytest.mark.parametrize("by_px", [0, 2, 5])
def test_an_inverse_leads_back_to_the_pixel_that_a_point_came_from(by_px: float) -> None:
    mapping = _bent(by_px)
    inverse = invert(mapping, WHOLE, 1e4)
    for row, column in RNG.integers((6, 6), (58, 90), (60, 2)):
        x, y = mapping[row, column].astype(np.float64)
        (back,), known = inverse.at(np.array([x]), np.array([y]))
        assert known.all()
        np.testing.assert_allclose(back[0], (column, row), atol=0.08)


def test_an_inverse_knows_nothing_of_places_that_no_frame_shows() -> None:
    inverse = invert(pixel_grid(SIZE), Box(20, 20, 40, 40), 1e4)
    _, known = inverse.at(np.arange(96.0), np.arange(64.0))
    assert known[22:38, 22:38].all()
    assert not known[:, :14].any() and not known[48:].any()  # noqa: PT018


def test_folds_are_smoothed_away_and_all_else_stays() -> None:
    lattice = Lattice.over(SIZE, 24)
    nodes = np.zeros((2, lattice.rows, lattice.columns, 2), np.float32)
    nodes[:] = lattice.positions() * np.float32([0.1, -0.05])
    nodes[1, 8, 7] += (9, -3)
    layer = _view(np.zeros((2, 64, 96, 3), np.uint8))
    before, after = (LayerMap(0, lattice, nodes), unfold(layer, LayerMap(0, lattice, nodes)))
    assert _areas(before.positions(1)).min() < 0
    assert _areas(after.positions(1)).min() > 0
    assert np.array_equal(after.nodes[0], nodes[0])
    assert np.array_equal(after.nodes[1][:, 20:], nodes[1][:, 20:])


def test_a_fold_that_the_layer_does_not_show_stays() -> None:
    lattice = Lattice.over(SIZE, 24)
    nodes = np.zeros((1, lattice.rows, lattice.columns, 2), np.float32)
    nodes[0, 8, 7] += (14, -3)
    alpha = np.zeros((1, 64, 96), np.uint8)
    alpha[:, :, 60:] = 255
    folded = LayerMap(0, lattice, nodes)
    assert np.array_equal(unfold(_view(np.zeros((1, 64, 96, 3), np.uint8), alpha), folded).nodes, nodes)


def test_an_uneven_plane_is_laid_out_evenly_and_an_even_one_stays() -> None:
    lattice = Lattice.over(SIZE, 24)
    places = lattice.positions()
    layer = _view(np.zeros((1, 64, 96, 3), np.uint8))
    uneven = LayerMap(0, lattice, (places * (1 + places[..., :1] / 96) - places)[None])
    laid = lay_evenly(layer, uneven)
    before, after = (_areas(one.positions(0))[8:-8, 8:-8] for one in (uneven, laid))
    assert before.max() / before.min() > 3
    assert after.max() / after.min() < 1.5
    np.testing.assert_allclose(np.median(after), 1, atol=0.1)
    even = LayerMap(0, lattice, (places * np.float32(0.1))[None])
    assert lay_evenly(layer, even) is even


@pytest.mark.parametrize("guess", [(0, 0), (6, -3)])
def test_matches_are_where_the_picture_went(guess: tuple[int, int]) -> None:
    wide, homography = texture(Size(140, 100)), translation(np.array([5.5, -3.25]))
    moved = [warp(wide, transform(matrix, pixel_grid(SIZE) + 20)) for matrix in (np.eye(3), np.linalg.inv(homography))]
    registrar = Registrar(_view(np.stack(moved)), (1,))
    found = registrar.between(0, 1, [translation(np.array(guess))], 4.0)
    off = np.linalg.norm(found.points_b - transform(homography, found.points_a), axis=1)
    assert len(off) > 200
    assert np.median(off) < 0.1
    assert np.percentile(off, 95) < 0.5


def test_a_layer_that_only_odd_frames_show_is_matched_far_apart() -> None:
    alpha = np.zeros((12, 64, 96), np.uint8)
    alpha[1::2] = 255
    pairs = Registrar(_view(np.zeros((12, 64, 96, 3), np.uint8), alpha), (1, 2, 4)).pairs
    assert pairs == [(1, 3), (5, 7), (9, 11), (1, 5), (5, 9)]


def test_matches_lie_on_the_layer_in_both_frames() -> None:
    frames = np.stack([texture(SIZE)] * 2)
    alpha = np.zeros((2, 64, 96), np.uint8)
    alpha[0, 10:50, 10:60], alpha[1, 20:60, 30:90] = 255, 255
    found = Registrar(_view(frames, alpha), (1,)).between(0, 1, [np.eye(3)], 2.0)
    assert len(found.points_a) > 40
    for points, (top, bottom, left, right) in ((found.points_a, (10, 50, 10, 60)), (found.points_b, (20, 60, 30, 90))):
        column, row = np.rint(points).T
        assert ((column > left) & (column < right - 1) & (row > top) & (row < bottom - 1)).all()


@pytest.mark.parametrize("size", [Size(96, 64), Size(97, 63)])
def test_a_frame_is_registered_to_the_picture_at_half_its_size_as_at_its_own(size: Size) -> None:
    wide = texture(Size(140, 100))
    still, shifted = (warp(wide, pixel_grid(size) + np.float32([20 + x, 20])) for x in (0, 2.5))
    layer, lattice = _view(np.stack([still] * 5 + [shifted])), Lattice.over(size, 24)
    begin = LayerMap(0, lattice, np.zeros((6, lattice.rows, lattice.columns, 2), np.float32))

    def moved(view: LayerView) -> np.ndarray:
        nodes = register_again(view, begin, layer_picture(view, begin), 6.0 * view.scale).nodes
        return np.median(nodes[:, 5:-5, 5:-5], axis=(1, 2))

    whole, half = moved(layer), moved(layer.halved)
    np.testing.assert_allclose(half[:5], whole[:5], atol=0.1)  # a shift by half a pixel would show
    np.testing.assert_allclose(half[5], whole[5], atol=0.3)
    np.testing.assert_allclose(half[5] - half[0], (2.5, 0), atol=0.5)


def _areas(positions: np.ndarray) -> np.ndarray:
    """Signed area of the square between four neighbouring pixels."""
    along_x, along_y = np.diff(positions, axis=1)[:-1], np.diff(positions, axis=0)[:, :-1]
    return along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0]
