"""Cues of segmentation against loops over pixels, on motion and colours whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from support import texture

from nvd_core.image.colour import lab8
from nvd_core.roto.camera import Camera
from nvd_core.roto.cues import Colours, log_odds, motion_odds
from nvd_core.roto.outline import Motions, outline
from nvd_core.spec.conventions import Size

RNG = np.random.default_rng(19)
MASK = np.zeros((64, 80), bool)
MASK[20:50, 30:60] = True


def test_odds_of_motion_are_for_the_object_alone_and_bounded() -> None:
    flow = RNG.normal(0, 0.2, (64, 80, 2)).astype(np.float32)
    flow[MASK] += (5, -2)
    motions = {1: flow, 2: 2 * flow, -1: -flow, -2: -2 * flow}
    odds = motion_odds(motions, np.where(MASK, np.float32(0.9), np.float32(0.1)))
    assert odds[MASK].min() > 0.5
    assert odds[~MASK].max() < -1
    assert (odds.min(), odds.max()) == (-2, 1)


def test_a_pixel_that_is_occluded_on_one_side_of_time_is_not_the_objects() -> None:
    """There flow is wrong; the odds are the lower ones of the two sides."""
    flow = np.where(MASK[..., None], np.float32([5, -2]), np.float32(0))
    hidden = flow.copy()
    hidden[:10, :10] = (5, -2)
    likely = MASK.astype(np.float32)
    both, one = motion_odds({1: hidden, -1: -flow}, likely), motion_odds({1: hidden}, likely)
    assert one[:10, :10].min() > 0.5
    assert both[:10, :10].max() < -1


def test_what_barely_moves_says_nothing() -> None:
    flow = np.where(MASK[..., None], np.float32([0.1, 0]), np.float32(0))
    assert np.abs(motion_odds({1: flow}, MASK.astype(np.float32))).max() < 0.01
    unknown = np.full((64, 80, 2), np.nan, np.float32)
    assert not motion_odds({1: unknown}, MASK.astype(np.float32)).any()


def test_colours_are_told_apart_where_only_one_side_had_them() -> None:
    picture = np.empty((64, 80, 3), np.uint8)
    picture[MASK], picture[~MASK] = (200, 40, 30), (30, 60, 200)
    lab, shape = lab8(picture), MASK.astype(np.float32)
    colours = Colours()
    colours.add(lab, shape, lab, 1 - shape)
    odds = colours.odds(lab)
    assert odds[MASK].min() > 2
    assert odds[~MASK].max() < -2
    new = np.full_like(picture, 255)
    assert np.abs(colours.odds(lab8(new))).max() < 0.1


def test_log_odds_are_the_logarithm_within_bounds() -> None:
    probability = np.float32([0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_allclose(log_odds(probability), np.log([1 / 99, 1 / 3, 1, 3, 99]), rtol=1e-5)


def test_an_outline_is_that_of_what_moves() -> None:
    """Ground that stands, and a textured square that goes 3 px to the right a frame."""
    ground, square = texture(Size(160, 120), 1), texture(Size(48, 48), 2)
    frames, count = [], 9
    for t in range(count):
        frame = ground.copy()
        frame[40:88, 30 + 3 * t : 78 + 3 * t] = square
        frames.append(frame)
    camera = Camera(np.stack(frames), (np.eye(3),) * count)
    rough = np.zeros((120, 160), bool)
    rough[36:90, 38:94] = True
    drawn = outline(camera, 4, Motions.seen(camera, 4), rough) or pytest.fail("nothing is drawn")
    true = np.zeros((120, 160), bool)
    true[40:88, 42:90] = True
    assert np.count_nonzero(drawn.mask & true) / np.count_nonzero(drawn.mask | true) > 0.95
    assert drawn.area == pytest.approx(true.mean(), rel=0.05)
    assert drawn.clear > 0.5
    assert drawn.steady > 0.9
