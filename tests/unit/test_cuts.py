"""Where one shot ends and another begins, and what only looks like it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import diagnosis_clips as clips
import numpy as np
import pytest
from diagnosis_clips import SIZE, WALL, job_of, pan, window
from support import stop, texture

from nvd_core.pipeline import decompose
from nvd_core.quality.diagnosis.finding import spoken
from nvd_core.quality.diagnosis.shot_cuts import find_cuts, scene_cut
from nvd_core.spec.conventions import Size
from nvd_core.spec.protocol import Caution, Stage


def cuts_in(frames: list[np.ndarray]) -> list[int]:
    return find_cuts(np.stack(frames))


def shot(start: int, count: int, pan_px: float = 1.5, seed: int = 1) -> list[np.ndarray]:
    return [shown.picture for shown in pan(start, count, pan_px, seed)]


def dimmed(frames: list[np.ndarray], gain: float) -> list[np.ndarray]:
    return [np.clip(frame * gain, 0, 255).astype(np.uint8) for frame in frames]


def barred(frames: list[np.ndarray]) -> list[np.ndarray]:
    """In a wide-screen frame."""
    frames = [frame.copy() for frame in frames]
    for frame in frames:
        frame[:14], frame[-14:] = 0, 0
    return frames


def smeared(x: float, by: int) -> np.ndarray:
    """As a camera sees the wall that turns by so many pixels while its shutter is open."""
    wide = window(WALL, x, 40, Size(SIZE.width + by, SIZE.height)).astype(np.float32)
    return np.rint(cv2.blur(wide, (by, 1))[:, by // 2 : by // 2 + SIZE.width]).astype(np.uint8)


def whip(steps: tuple[int, ...]) -> list[np.ndarray]:
    """A camera that stands, is torn around, and stands again."""
    return [smeared(10.0 + place, max(1, step)) for place, step in zip(np.cumsum(steps), steps, strict=True)]


def logo(frames: list[np.ndarray]) -> list[np.ndarray]:
    """With the same sign in a corner of every frame."""
    frames = [frame.copy() for frame in frames]
    for frame in frames:
        frame[6:30, 150:186] = texture(Size(36, 24), 12)
    return frames


BLACK = [np.zeros((SIZE.height, SIZE.width, 3), np.uint8)] * 4
WHITE = [np.full((SIZE.height, SIZE.width, 3), 255, np.uint8)]


@pytest.mark.parametrize(
    ("frames", "cuts"),
    [
        pytest.param(shot(0, 6) + shot(6, 5, seed=9), [6], id="to a wall of the same kind"),
        pytest.param(shot(0, 3) + shot(3, 4, seed=9) + shot(7, 4, seed=5), [3, 7], id="twice"),
        pytest.param(shot(0, 1, seed=9) + shot(1, 6), [1], id="a frame left over before"),
        pytest.param(shot(0, 6) + shot(6, 1, seed=9), [6], id="a frame too many behind"),
        pytest.param(shot(0, 6) + dimmed(shot(6, 5, seed=9), 0.3), [6], id="to a dark shot"),
        pytest.param(shot(0, 5, 14) + shot(5, 5, 14, seed=9), [5], id="while the camera pans fast"),
        pytest.param(barred(shot(0, 5) + shot(5, 5, seed=9)), [5], id="with black bars"),
        pytest.param(logo(shot(0, 5) + shot(5, 5, seed=9)), [5], id="with a logo over both"),
        pytest.param(shot(0, 6) + BLACK, [6], id="to black"),
        pytest.param(shot(0, 5) + WHITE + shot(6, 5, seed=9), [6], id="through a white frame"),
    ],
)
def test_a_cut_is_found_at_its_frame(frames: list[np.ndarray], cuts: list[int]) -> None:
    assert cuts_in(frames) == cuts


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(shot(0, 8), id="a pan"),
        pytest.param(shot(0, 8, 40), id="a pan by a fifth of the frame"),
        pytest.param(whip((0, 0, 0, 20, 90, 150, 150, 90, 20, 0, 0, 0)), id="a whip pan"),
        pytest.param(shot(0, 4) + WHITE + shot(5, 4), id="a white frame"),
        pytest.param(shot(0, 4) + dimmed(shot(4, 2), 2.8) + shot(6, 4), id="a flash"),
        pytest.param(shot(0, 4) + dimmed(shot(4, 4), 0.25), id="the light goes off"),
        pytest.param(BLACK + [dimmed(shot(t, 1), t / 8)[0] for t in range(1, 9)], id="a fade from black"),
        pytest.param([shown.picture for shown in clips.noise()], id="noise"),
        pytest.param(BLACK, id="nothing"),
        pytest.param(shot(0, 1), id="one frame"),
        pytest.param([clips.carried(t, 24).picture for t in range(6)], id="a fast object"),
    ],
)
def test_what_belongs_to_one_shot_is_not_cut(frames: list[np.ndarray]) -> None:
    assert cuts_in(frames) == []


def test_the_ranges_of_the_shots_are_named_with_the_plates_numbers() -> None:
    (found,) = scene_cut([10, 30], range(1001, 1041))
    assert found.frames == (1011, 1031)
    for part in ("--frames 1001-1010", "--frames 1011-1030", "--frames 1031-1040"):
        assert part in found.hint
    assert "frames 1011 and 1031" in found.message


def test_a_cut_is_told_before_anything_is_solved(tmp_path: Path) -> None:
    job = job_of(clips.two_shots, tmp_path)
    told = stop(partial(decompose, job, tmp_path / "out"), lambda event: event == Stage(name="map", layer="background"))
    (caution,) = (event for event in told if isinstance(event, Caution) and "cut" in event.message)
    assert "frame 8" in caution.message
    assert "--frames 1-7 and --frames 8-12" in caution.hint


def test_frames_are_named_as_people_write_them() -> None:
    assert spoken([7]) == "frame 7"
    assert spoken([9, 7, 8]) == "frames 7-9"
    assert spoken([7, 8, 9, 12]) == "frames 7-9 and 12"
    assert spoken([1, 3, 5, 7, 9, 11]) == "frames 1, 3, 5 and 3 more places"


@pytest.mark.parametrize("shape", [(3, 3), (12, 40), (480, 6), (6, 270)])
def test_a_small_bright_thing_on_black_is_no_picture_between_bars(shape: tuple[int, int]):
    width, height = shape
    frames = np.zeros((6, 270, 480, 3), np.uint8)
    for t, frame in enumerate(frames):
        left = min(100 + 3 * t, 480 - width)
        frame[min(120, 270 - height) :, left:][:height, :width] = 230
    assert cuts_in(list(frames)) == []
