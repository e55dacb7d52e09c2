"""A layer's mean picture, its canvas and its light, against loops over frames and pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from support import texture

from nvd_core.image.colour import linear_from_display, to_linear
from nvd_core.image.geometry import Box, pixel_grid
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.average import lay_out
from nvd_core.lattice.picture.canvas import Average, Canvas, View, trust
from nvd_core.lattice.picture.inverse import invert
from nvd_core.lattice.picture.photometry import Picture, light_ratio, photo_error, render
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.spec.conventions import Size

RNG = np.random.default_rng(17)
SIZE = Size(80, 56)
WHOLE = Box(0, 0, *SIZE)


def test_texels_of_a_canvas_are_where_it_says() -> None:
    canvas = Canvas((-4.0, 7.0), 2.5, Size(50, 30))
    points = np.stack(np.meshgrid(canvas.x_px(range(50)), canvas.y_px(range(30))), axis=-1).astype(np.float32)
    np.testing.assert_allclose(canvas.texels(points), pixel_grid(Size(50, 30)), atol=1e-4)
    assert Canvas((3.0, 4.0), 1.0, SIZE).texels(np.float32([[3, 4]])).tolist() == [[0, 0]]


def test_the_weight_of_a_pixel_falls_from_the_core_to_the_rim() -> None:
    alpha = np.full((9, 9), 255, np.uint8)
    alpha[:, 6], alpha[:, 7], alpha[:, 8] = 240, 100, 20
    expected = [1, 1, 1, 1, 1, 1, 1e-2, 1e-4, 0]
    found = trust(alpha)
    assert found[4, :6].tolist() == expected[:6]
    np.testing.assert_allclose(found[4, 7:], expected[7:])
    assert found[4, 6] == pytest.approx(1e-2)  # beside the rim


def test_the_mean_of_frames_is_the_mean_of_what_each_shows_of_a_texel() -> None:
    """The slow twin sums the frames, shifted by whole pixels, texel by texel."""
    shifts, canvas = ((0, 0), (5, -3), (-6, 4)), Canvas((-10.0, -10.0), 1.0, Size(100, 76))
    average, total, count = Average(canvas), np.zeros((76, 100, 3)), np.zeros((76, 100))
    for dx, dy in shifts:
        frame = RNG.random((SIZE.height, SIZE.width, 3), np.float32)
        weight = np.ones((SIZE.height, SIZE.width), np.float32)
        mapping = pixel_grid(SIZE) + np.float32([dx, dy])
        average.add(View(frame, weight, invert(mapping, WHOLE, 1e4), (1.0, 1.0)))
        total[10 + dy : 10 + dy + SIZE.height, 10 + dx : 10 + dx + SIZE.width] += frame
        count[10 + dy : 10 + dy + SIZE.height, 10 + dx : 10 + dx + SIZE.width] += 1
    deep = cv2.erode((count > 0).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0  # samples are 4 px apart
    inner = deep & (cv2.erode(count, np.ones((9, 9))) == cv2.dilate(count, np.ones((9, 9))))
    assert np.count_nonzero(inner) > 1000
    assert (average.covered()[deep] == 1).all()
    assert (average.covered()[cv2.dilate(count, np.ones((5, 5))) == 0] == 0).all()
    np.testing.assert_allclose(average.mean()[inner], total[inner] / count[inner][:, None], atol=0.02)


def test_outliers_count_less_in_a_robust_mean() -> None:
    canvas, inverse = Canvas((0.0, 0.0), 1.0, SIZE), invert(pixel_grid(SIZE), WHOLE, 1e4)
    grey, weight = np.full((56, 80, 3), 0.5, np.float32), np.ones((56, 80), np.float32)
    values, average = (0.5, 0.52, 0.9), Average(canvas, grey.copy())
    for value in values:
        average.add(View(np.full_like(grey, value), weight, inverse, (1.0, 1.0)))
    shares = [1 / (1 + ((value - 0.5) / 0.1) ** 2) for value in values]
    assert average.mean()[28, 40, 0] == pytest.approx(np.average(values, weights=shares), abs=1e-4)


def test_a_canvas_holds_the_layer_in_all_frames_and_no_more_texels_than_allowed() -> None:
    lattice = Lattice.over(SIZE, 8)
    nodes = np.zeros((2, lattice.rows, lattice.columns, 2), np.float32)
    nodes[1] = (30, -20)
    layer = LayerView(np.zeros((2, 56, 80, 3), np.uint8), np.full((2, 56, 80), 255, np.uint8))
    canvas = lay_out(layer, LayerMap(0, lattice, nodes), 1.0, 1e9)
    left, top = canvas.origin_px
    assert -5 < left < 1
    assert -25 < top < -19
    assert 108 < left + canvas.size.width < 116
    assert 54 < top + canvas.size.height < 62
    small = lay_out(layer, LayerMap(0, lattice, nodes), 1.0, 2000)
    assert 1800 < small.size.width * small.size.height < 2200


def test_the_ratio_of_light_is_that_of_the_local_means() -> None:
    surface = RNG.uniform(0.2, 1, (40, 50, 3)).astype(np.float32)
    slow = (1 + np.mgrid[:40, :50][1][..., None] / 50).astype(np.float32)
    valid = RNG.random((40, 50)) > 0.2
    found = light_ratio(surface * slow, surface, valid, 3)
    means = [
        gaussian_filter(one.astype(np.float64) * valid[..., None], (3, 3, 0), mode="mirror") + 1e-4
        for one in (surface * slow, surface)
    ]
    np.testing.assert_allclose(found, means[0] / means[1], rtol=2e-3)
    assert light_ratio(surface * 100, surface, valid, 3).max() == 20
    assert light_ratio(surface / 100, surface, valid, 3).min() == np.float32(0.05)


def test_a_rendering_is_the_picture_where_the_map_leads_in_the_frames_light() -> None:
    frame = texture(SIZE)
    linear = to_linear(frame)
    picture = Picture(linear, np.ones((56, 80), np.float32), Canvas((0.0, 0.0), 1.0, SIZE))
    inside = np.ones((56, 80), bool)
    seen = render(picture, pixel_grid(SIZE) + np.float32([3, 0]), np.float32(0.5) * np.roll(linear, -3, axis=1), inside)
    assert not seen.valid[:, -3:].any()
    assert seen.valid[:, :-3].all()
    expected = 0.5 * linear[:, 3:]
    assert np.abs(seen.linear[:, :-3] - expected).mean() < 0.01 * expected.mean()


def test_the_photometric_error_is_none_for_the_picture_itself_and_grows_with_the_shift() -> None:
    frame = texture(SIZE)
    layer = LayerView(frame[None], np.full((1, 56, 80), 255, np.uint8))
    picture = Picture(to_linear(frame), np.ones((56, 80), np.float32), Canvas((0.0, 0.0), 1.0, SIZE))
    errors = [
        photo_error(layer, 0, WHOLE.slices, pixel_grid(SIZE) + np.float32([shift, 0]), picture) for shift in (0, 1, 3)
    ]
    assert errors[0] < 0.5 < errors[1] < errors[2] <= 40
    away = photo_error(layer, 0, WHOLE.slices, pixel_grid(SIZE) + np.float32([70, 0]), picture)
    assert math.isnan(away)
    black = Picture(linear_from_display(np.zeros_like(picture.linear)), picture.covered, picture.canvas)
    assert photo_error(layer, 0, WHOLE.slices, pixel_grid(SIZE), black) == pytest.approx(40, abs=1)
