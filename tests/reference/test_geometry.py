"""Boxes, grids and homographies against loops, and against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import regionprops
from skimage.transform import ProjectiveTransform

from nvd_core.image.geometry import (
    Box,
    bounding_box,
    is_inside,
    is_on,
    pixel_grid,
    size_of,
    transform,
    translation,
    zoomed,
)
from nvd_core.spec.conventions import Size

RNG = np.random.default_rng(5)


@given(arrays(bool, (5, 7)))
def test_the_bounding_box_is_scikit_images(mask: np.ndarray) -> None:
    found = bounding_box(mask)
    if not mask.any():
        assert found is None
        return
    top, left, bottom, right = regionprops(mask.astype(np.uint8))[0].bbox
    assert found == (left, top, right, bottom)
    assert np.count_nonzero(mask[found.slices]) == np.count_nonzero(mask)
    assert found.size == size_of(mask[found.slices])
    assert found.side == max(found.size)


SIDES = st.floats(-20, 40)


@given(SIDES, SIDES, SIDES, SIDES)
def test_rectangles_intersect_where_points_are_in_both(a: float, b: float, c: float, d: float) -> None:
    one, other = Box(min(a, b), -3, max(a, b), 3), Box(min(c, d), 0, max(c, d), 9)
    both = one.within(other)
    for x in np.linspace(-21, 41, 125):
        in_both = all(box.left <= x < box.right for box in (one, other))
        assert (both.left <= x < both.right) == in_both
    assert (both.top, both.bottom) == (0, 3)
    shifted = both.seen_from(one)
    assert (shifted.left + one.left, shifted.top - 3, shifted.right + one.left, shifted.bottom - 3) == pytest.approx(
        both
    )


@given(st.integers(-5, 30), st.integers(1, 30), st.floats(0, 9), st.integers(1, 24))
def test_pixels_of_a_grown_box_stay_in_the_picture(left: int, width: int, margin: float, least: int) -> None:
    size = Size(24, 24)
    found = Box(left, 3, left + width, 5).pixels_within(size, margin, least)
    assert 0 <= found.left < found.right <= 24
    assert min(found.size) >= least
    for x in range(max(0, left), min(24, left + width)):
        assert found.left <= x < found.right
    if left - margin >= 0 and left + width + margin <= 24 and width + 2 * margin >= least:
        assert found.left == np.floor(left - margin)
        assert found.right == np.ceil(left + width + margin)


def test_a_box_with_fractions_has_every_pixel_that_it_touches() -> None:
    assert Box(1.5, 0, 3.1, 2).slices == (slice(0, 2), slice(1, 4))
    assert Box(1, 2, 3, 4).grown(0.5) == (0.5, 1.5, 3.5, 4.5)
    assert {tuple(corner) for corner in Box(1, 2, 3, 4).corners.tolist()} == {(1, 2), (1, 4), (3, 2), (3, 4)}
    assert str(Box(1, 2, 3, 4)) == "from x 1 to 3, y 2 to 4"


def test_the_grid_says_where_every_pixel_is() -> None:
    grid = pixel_grid(Size(5, 3))
    assert size_of(grid) == (5, 3)
    for row, column in np.ndindex(3, 5):
        assert grid[row, column].tolist() == [column, row]


def test_points_are_inside_between_the_outermost_centres() -> None:
    points = np.array([[0, 0], [4, 2], [4.01, 1], [1, 2.01], [-0.01, 1], [1, -0.01], [np.nan, 1]], np.float32)
    assert is_inside(points, Size(5, 3)).tolist() == [True, True, *[False] * 5]


@pytest.mark.parametrize("beyond", [np.nan, np.inf, -np.inf, 1e30])
def test_a_point_is_on_a_mask_where_its_nearest_pixel_is(beyond: float) -> None:
    mask = RNG.random((4, 6)) > 0.5
    points = RNG.uniform(-2, 7, (200, 2))
    points[0] = beyond
    found = is_on(mask, points)
    for (x, y), one in zip(points, found, strict=True):
        pixel = [(row, column) for row, column in np.ndindex(4, 6) if max(abs(x - column), abs(y - row)) <= 0.5]
        assert one == any(mask[place] for place in pixel)


def test_homographies_act_as_scikit_images_do() -> None:
    points = RNG.uniform(0, 100, (3, 8, 2))
    for _ in range(20):
        matrix = np.eye(3) + RNG.normal(size=(3, 3)) * [[0.1, 0.1, 9], [0.1, 0.1, 9], [1e-3, 1e-3, 0]]
        expected = ProjectiveTransform(matrix)(points.reshape(-1, 2)).reshape(points.shape)
        np.testing.assert_allclose(transform(matrix, points), expected, rtol=1e-9)
        single = transform(matrix, points.astype(np.float32))
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, expected, rtol=1e-4)
        np.testing.assert_allclose(transform(zoomed(matrix, 2.5), 2.5 * points), 2.5 * expected, rtol=1e-9)
    np.testing.assert_allclose(transform(translation(np.array([3, -2])), points), points + np.array([3, -2]))


def test_the_horizon_is_nowhere() -> None:
    tilted = np.array([[1, 0, 0], [0, 1, 0], [-0.1, 0, 1.0]])
    assert not np.isfinite(transform(tilted, np.array([[10.0, 5.0], [10, 0]]))).all(axis=-1).any()
