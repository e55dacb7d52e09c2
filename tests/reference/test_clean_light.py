"""Light under an object: as without it, and not the shadow beside it; where the layer is seen, the same as ever."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from nvd_core.image.colour import display_from_linear, to_linear, to_uint8
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.atlas import build_atlas
from nvd_core.lattice.picture.average import Frame
from nvd_core.lattice.picture.canvas import Canvas, trust, trust_core
from nvd_core.lattice.picture.clean_light import CleanLight, estimate_clean_light, grid_of
from nvd_core.lattice.picture.light import estimate_residual
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.lattice.solution import CELLS, LatticeSolution, SolvedLayer
from nvd_core.runtime.progress import SILENT
from nvd_core.spec.conventions import HIDDEN_BELOW, Size

SIZE, COUNT, RADIUS = Size(320, 180), 16, 24
CANVAS = Canvas((0.0, 0.0), 1.0, SIZE)
MAPPING = LayerMap(0, (lattice := Lattice.over(SIZE, CELLS)), np.zeros((COUNT, lattice.rows, lattice.columns, 2), "f4"))
Y, X = np.mgrid[: SIZE.height, : SIZE.width].astype(np.float32)


def wall() -> np.ndarray:
    grain = np.random.default_rng(0).standard_normal((SIZE.height, SIZE.width, 3)).astype(np.float32)
    return np.clip(0.25 + 0.6 * cv2.GaussianBlur(grain, (0, 0), 2), 0.08, 0.6)


WALL = wall()


def lamp(t: int) -> np.ndarray:
    """Light without the object: a lamp that passes, and flickers."""
    passing = np.exp(-(((X / SIZE.width - 0.1 - 0.8 * t / COUNT) / 0.4) ** 2))
    return ((0.9 + 0.1 * (-1) ** t) * (0.7 + 0.5 * passing))[..., None]


def disc(t: int) -> np.ndarray:
    """Where the object is: it crosses the frame."""
    return (X - 40 - 15 * t) ** 2 + (Y - 90) ** 2 <= RADIUS**2


def shadow(t: int, reach_px: float = 30) -> np.ndarray:
    """Share of light that the object's shadow leaves, as far as its foot."""
    blob = np.exp(-((((X - 46 - 15 * t) / reach_px) ** 2 + ((Y - 118) / 16) ** 2) ** 2))
    return (1 - 0.75 * blob)[..., None]


def glow(t: int) -> np.ndarray:
    """Light of a small lamp beside the object's way, which fades and returns."""
    spot = np.exp(-(((X - 160) / 45) ** 2) - ((Y - 80) / 45) ** 2)
    return (1 + 0.08 * math.cos(2 * math.pi * t / COUNT) * spot)[..., None]


def filmed(reach_px: float = 30, glows: Callable[[int], np.ndarray | float] = lambda _: 1.0) -> np.ndarray:
    lit = [WALL * lamp(t) * shadow(t, reach_px) * glows(t) for t in range(COUNT)]
    return np.stack([to_uint8(display_from_linear(np.where(disc(t)[..., None], 0.01, lit[t]))) for t in range(COUNT)])


FRAMES = filmed()
ALPHA = np.stack([np.where(disc(t), 0, 255).astype(np.uint8) for t in range(COUNT)])
ATLAS = np.dstack([WALL * (1 - 0.2 * np.exp(-(((Y - 118) / 20) ** 2)))[..., None], np.ones_like(X)]).astype(np.float16)
"""The wall, with a trace of the shadows, as their mean has it."""


def estimated(alpha: np.ndarray = ALPHA, frames: np.ndarray = FRAMES) -> CleanLight:
    return estimate_clean_light(LayerView(frames, alpha), MAPPING, CANVAS, ATLAS, SILENT)


def error(light: np.ndarray, t: int, where: np.ndarray) -> float:
    """RMS error of the log colour that the atlas has in this light."""
    apart = np.log(ATLAS[..., :3].astype(np.float32) * light) - np.log(WALL * lamp(t))
    return float(np.square(apart[where]).mean() ** 0.5)


def at(light: CleanLight, t: int) -> np.ndarray:
    return light.at(t, CANVAS.texels(MAPPING.positions(t)), SIZE)


@pytest.mark.parametrize("t", [3, 8, 12])
def test_under_the_object_there_is_no_shadow(t: int) -> None:
    under = estimate_residual(
        to_linear(FRAMES[t]), ATLAS[..., :3].astype(np.float32), ALPHA[t] / np.float32(255), "editing"
    )
    clean = error(at(estimated(), t), t, disc(t))
    assert clean < 0.06
    assert error(under, t, disc(t)) > 5 * clean, "the shadow beside the object, continued"


def test_a_place_that_lies_in_shadow_most_of_the_time_is_lit_as_in_the_rest() -> None:
    reach_px = 70
    dark = np.mean([shadow(t, reach_px)[118, 160, 0] < 0.7 for t in range(COUNT)])
    assert 0.5 < dark < 0.7
    assert error(at(estimated(frames=filmed(reach_px)), 8), 8, disc(8) & (np.abs(X - 160) < 20)) < 0.1


def test_light_of_a_small_lamp_goes_on_under_the_object() -> None:
    found = at(estimated(frames=filmed(glows=glow)), 8) * ATLAS[..., :3].astype(np.float32)
    assert np.square(np.log(found / (WALL * lamp(8) * glow(8)))[disc(8)]).mean() ** 0.5 < 0.046


def test_light_of_a_frame_that_shows_nothing_is_between_its_neighbours() -> None:
    alpha = ALPHA.copy()
    alpha[[0, 8, 9, 15]] = 0
    light = estimated(alpha)
    for t, expected in ((0, lamp(1)), (8, lamp(7) ** (2 / 3) * lamp(10) ** (1 / 3)), (15, lamp(14))):
        found = at(light, t) * ATLAS[..., :3].astype(np.float32)
        assert np.square(np.log(found / (WALL * expected))[disc(8)]).mean() ** 0.5 < 0.1


def test_a_layer_that_is_never_seen_is_lit_by_one() -> None:
    assert (at(estimated(np.zeros_like(ALPHA)), 0) == 1).all()


def test_light_beyond_white_is_not_taken_for_darkness() -> None:
    """Frames at working size end at white, and atlases do not."""
    white = np.full_like(FRAMES, 255)
    bright = np.dstack([np.full_like(WALL, 4), np.ones_like(X)]).astype(np.float16)
    light = estimate_clean_light(LayerView(white, ALPHA), MAPPING, CANVAS, bright, SILENT)
    np.testing.assert_allclose(at(light, 5), 1, rtol=1e-3)


def test_a_long_pan_gets_larger_cells() -> None:
    wide = Canvas((0.0, 0.0), 2.0, Size(16000, 800))
    assert grid_of(wide, SIZE).width * grid_of(wide, SIZE).height <= 4200
    assert grid_of(CANVAS, SIZE) == Size(64, 36)


def test_where_the_layer_is_seen_the_residual_stays_to_the_last_bit() -> None:
    solved = SolvedLayer("background", MAPPING, CANVAS, ATLAS, light=estimated())
    soft = cv2.GaussianBlur(ALPHA[6], (0, 0), 2).astype(np.float32) / 255
    with_it, without = (
        next(iter(LatticeSolution((one,), range(COUNT), "editing").frame(6, FRAMES[6], (soft,)))).residual
        for one in (solved, replace(solved, light=None))
    )
    hidden = soft < HIDDEN_BELOW
    assert np.array_equal(with_it[~hidden], without[~hidden])
    assert not np.allclose(with_it[hidden], without[hidden], rtol=0.2)


def test_what_is_seen_on_an_objects_rim_alone_is_not_of_the_background() -> None:
    """The mask is a pixel too small, so that the background shows the object's rim there."""
    thing = (X - 160) ** 2 + (Y - 90) ** 2 <= 30**2
    mask = (X - 160) ** 2 + (Y - 90) ** 2 <= 29**2
    plate = np.where(thing[..., None], (1, 0, 0), (0.3, 0.3, 0.3)).astype(np.float32)
    alpha = np.where(mask, 0, 255).astype(np.uint8)
    layer = LayerView(np.stack([to_uint8(plate)] * COUNT), np.stack([alpha] * COUNT))
    for trusted, is_clean in ((trust_core, True), (trust, False)):
        atlas = build_atlas(
            layer, MAPPING, CANVAS, lambda: (Frame(t, plate, alpha) for t in range(COUNT)), trusted,
            rounds=2, at_once=1, progress=SILENT,
        )  # fmt: skip
        red, green = atlas[90, 160, :2].astype(float)
        assert (red < 1.2 * green) == is_clean
        assert not atlas[90, 160, 3]
        assert atlas[20, 20, 3]
