"""Sampling against loops over single pixels, and against SciPy's splines."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from nvd_core.image.sample import at_points, bands, resample, resized, warp, warp_by_flow
from nvd_core.spec.conventions import Size

RNG = np.random.default_rng(3)
SHAPE = (7, 9)


@pytest.mark.parametrize("channels", [(), (1,), (2,), (3,)], ids=str)
@pytest.mark.parametrize("outside", [None, -2.0])
def test_warping_is_bilinear_between_pixels_whatever_the_channels(
    channels: tuple[int, ...], outside: float | None
) -> None:
    picture = RNG.random((*SHAPE, *channels), np.float32)
    positions = RNG.uniform(-3, 12, (5, 6, 2)).astype(np.float32)
    found = warp(picture, positions, outside=outside).reshape(5, 6, -1)
    expected = [[_bilinear(picture, x, y, outside) for x, y in row] for row in positions]
    np.testing.assert_allclose(found, np.reshape(expected, found.shape), atol=2e-6)


def test_coordinates_are_not_rounded_to_a_32nd_of_a_pixel() -> None:
    """OpenCV does so in pictures of two channels."""
    flow = np.repeat(np.arange(64, dtype=np.float32)[None, :, None], 8, axis=0) * np.float32([1, -1])
    x = np.linspace(1, 60, 77, dtype=np.float32)[None]
    found = resample(flow, x, np.ones_like(x))
    np.testing.assert_allclose(found[..., 0], x, atol=1e-5)
    np.testing.assert_allclose(found[..., 1], -x, atol=1e-5)


def test_cubic_sampling_keeps_pixels_and_nearly_keeps_straight_lines() -> None:
    ramp = np.broadcast_to(np.arange(20, dtype=np.float32), (6, 20)).copy()
    x, y = np.linspace(3, 15, 50, dtype=np.float32)[None], np.full((1, 50), 2, np.float32)
    assert np.abs(resample(ramp, x, y, cubic=True) - x).max() < 1 / 16
    noise = RNG.random((6, 20), np.float32)
    whole = np.arange(2, 17, dtype=np.float32)[None]
    np.testing.assert_allclose(resample(noise, whole, np.full_like(whole, 3), cubic=True)[0], noise[3, 2:17], atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 40_000])
def test_points_are_sampled_as_scipy_samples_them_however_many_there_are(count: int) -> None:
    picture = RNG.random((*SHAPE, 2), np.float32)
    points = RNG.uniform(-2, 11, (count, 2))
    rows, columns = np.clip(points[:, 1], 0, SHAPE[0] - 1), np.clip(points[:, 0], 0, SHAPE[1] - 1)
    expected = [map_coordinates(picture[..., axis], (rows, columns), order=1) for axis in (0, 1)]
    np.testing.assert_allclose(at_points(picture, points), np.transpose(expected).reshape(count, 2), atol=1e-5)
    assert at_points(picture[..., 0], points).shape == (count,)


def test_a_warp_by_flow_takes_each_pixel_from_where_flow_leads() -> None:
    picture = RNG.random((*SHAPE, 3), np.float32)
    flow = RNG.integers(-2, 3, (*SHAPE, 2)).astype(np.float32)
    found = warp_by_flow(picture, flow)
    for row, column in np.ndindex(*SHAPE):
        dx, dy = flow[row, column].astype(int)
        there = np.clip(row + dy, 0, SHAPE[0] - 1), np.clip(column + dx, 0, SHAPE[1] - 1)
        assert np.array_equal(found[row, column], picture[there])


@pytest.mark.parametrize("shape", [(1, 5), (3000, 1001), (2, 1 << 21)])
def test_bands_cover_every_row_once(shape: tuple[int, int]) -> None:
    parts = bands(np.broadcast_to(np.uint8(0), shape))
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(shape[0]))
    assert max(part.stop - part.start for part in parts) in (1, min(shape[0], (1 << 20) // shape[1]))


def test_resizing_averages_areas_and_grows_linearly() -> None:
    picture = RNG.random((6, 8, 3), np.float32)
    np.testing.assert_allclose(
        resized(picture, Size(4, 2)), picture.reshape(2, 3, 4, 2, 3).mean(axis=(1, 3)), rtol=1e-5
    )
    grown = resized(picture, Size(12, 12))
    for row, column in np.ndindex(12, 12):
        x, y = (column + 0.5) * 8 / 12 - 0.5, (row + 0.5) * 6 / 12 - 0.5
        np.testing.assert_allclose(grown[row, column], _bilinear(picture, x, y, None), atol=1e-6)
    assert resized(picture, Size(8, 6)) is picture


def _bilinear(picture: np.ndarray, x: float, y: float, outside: float | None) -> np.ndarray:
    """Weighted mean of the four pixels around a position."""
    left, top = math.floor(x), math.floor(y)
    total = np.zeros(picture.shape[2:])
    for row in (top, top + 1):
        for column in (left, left + 1):
            weight = (1 - abs(x - column)) * (1 - abs(y - row))
            is_inside = 0 <= row < picture.shape[0] and 0 <= column < picture.shape[1]
            nearest = picture[np.clip(row, 0, picture.shape[0] - 1), np.clip(column, 0, picture.shape[1] - 1)]
            total += weight * (nearest if is_inside or outside is None else outside)
    return total
