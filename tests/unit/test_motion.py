"""Objects that are found because they move: which, where, and what is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import stop, texture, tree

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import write_png
from nvd_core.roto.camera import follow_camera
from nvd_core.roto.discover import Found, find_objects
from nvd_core.roto.rotoscope import Wanted, rotoscope
from nvd_core.runtime.progress import Progress
from nvd_core.spec import protocol
from nvd_core.spec.conventions import Size
from nvd_core.spec.protocol import Caution, Event, Stage
from nvd_core.spec.settings import Settings

FRAMES = 13
SHAPE = Size(208, 128)

GROUND, SPRITES = texture(Size(400, 300)), [texture(Size(80, 80), seed) for seed in (1, 2)]


def found_in(frames: list[np.ndarray]) -> tuple[Found, ...]:
    return find_objects(follow_camera(frames))


def ground(t: int, pan_px: float = 3.0) -> np.ndarray:
    """What a camera sees that pans over a ground."""
    view = np.float32([[1, 0, 60 + pan_px * t], [0, 1, 50 + 0.4 * pan_px * t]])
    return cv2.warpAffine(GROUND, view, SHAPE, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def with_sprites(frame: np.ndarray, *centres: tuple[float, float]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Objects on it, each an ellipse of its own texture, and their masks."""
    frame, masks = frame.copy(), []
    for (x, y), sprite in zip(centres, SPRITES, strict=False):
        mask = cv2.ellipse(np.zeros(SHAPE[::-1], np.uint8), (round(x), round(y)), (24, 16), 20, 0, 360, 1, -1) > 0
        paint = cv2.warpAffine(sprite, np.float32([[1, 0, round(x) - 40], [0, 1, round(y) - 40]]), SHAPE)
        frame[mask] = (255 - paint)[mask] // 2
        masks.append(mask)
    return frame, masks


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


@pytest.mark.parametrize("pan_px", [0, 3])
def test_what_moves_against_the_camera_is_found(pan_px: float) -> None:
    scene = [with_sprites(ground(t, pan_px), (50 + 7 * t, 60 + t)) for t in range(FRAMES)]
    found = found_in([frame for frame, _ in scene])
    assert len(found) == 1
    assert overlap(found[0].mask, scene[found[0].t][1][0]) > 0.85
    assert found[0].confidence > 0.5
    assert found[0].others, "it is as plain to see in another part of the clip"
    for t, mask in found[0].others.items():
        assert abs(t - found[0].t) >= FRAMES / 4
        assert overlap(mask, scene[t][1][0]) > 0.8


def test_each_of_two_is_found() -> None:
    scene = [with_sprites(ground(t), (50 + 6 * t, 30), (165 - 5 * t, 95)) for t in range(FRAMES)]
    found = found_in([frame for frame, _ in scene])
    assert len(found) == 2
    best = [max(range(2), key=lambda k: overlap(one.mask, scene[one.t][1][k])) for one in found]
    assert sorted(best) == [0, 1]
    assert all(overlap(one.mask, scene[one.t][1][k]) > 0.8 for one, k in zip(found, best, strict=True))


def bent(t: int) -> np.ndarray:
    """A ground that is nearer below, so that it passes faster."""
    down, across = np.mgrid[: SHAPE.height, : SHAPE.width].astype(np.float32)
    return cv2.remap(GROUND, across + 40 + t * (2 + 2 * (down / SHAPE.height) ** 2), down + 60, cv2.INTER_LINEAR)


def with_logo(t: int) -> np.ndarray:
    """A station's sign, which stays where it is on the screen."""
    frame = ground(t)
    frame[14:44, 140:190] = 255 - SPRITES[0][:30, :50]
    return frame


def behind_post(t: int) -> np.ndarray:
    """Something nearer that stands there too, and is passed."""
    frame, left = ground(t), 160 - 9 * t
    frame[:, max(0, left) : left + 14] = 255 - cv2.resize(SPRITES[1], (14, 128))[:, max(0, -left) :]
    return frame


def boiling(t: int) -> np.ndarray:
    """Water: it changes everywhere, and goes nowhere."""
    frame = ground(t)
    frame[80:] = texture(Size(208, 48), 10 + t)
    return frame


def noisy(t: int) -> np.ndarray:
    return np.clip(ground(0) + np.random.default_rng(t).normal(0, 6, (*SHAPE[::-1], 3)), 0, 255).astype(np.uint8)


def flickering(t: int) -> np.ndarray:
    """A light that comes and goes on a still wall."""
    light = 1 + 0.4 * np.sin(t) * cv2.GaussianBlur(np.float32(with_sprites(ground(0), (90, 60))[1][0]), (0, 0), 6)
    return np.clip(ground(0) * light[..., None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    "scene", [ground, bent, with_logo, noisy, flickering, lambda _: np.full((128, 208, 3), 90, np.uint8)]
)
def test_no_object_is_made_up(scene: Callable[[int], np.ndarray]) -> None:
    assert found_in([scene(t) for t in range(FRAMES)]) == ()


@pytest.mark.parametrize("count", [1, 2])
def test_a_clip_of_hardly_a_frame(count: int) -> None:
    assert found_in([ground(t) for t in range(count)]) == ()


def passing(t: int) -> np.ndarray:
    return with_sprites(ground(t), (60 + 6 * t, 60))[0]


@pytest.mark.parametrize(
    ("scene", "words", "objects"),
    [(ground, "nothing was found that moves by itself", []), (passing, "object (outlined in frame 10", ["object"])],
)
def test_what_was_found_is_said(
    scene: Callable[[int], np.ndarray], words: str, objects: list[str], tmp_path: Path
) -> None:
    for t in range(8):
        write_png(tmp_path / "plates" / f"plate.{101 + t:04d}.png", scene(t))
    clip = open_clip(tmp_path / "plates")
    said: list[object] = []
    wanted = Wanted(clip, clip.info.numbers, (), tmp_path / "masks", tmp_path, 2)
    found = rotoscope(wanted, Progress(said.append))
    assert [one.name for one in found] == objects
    assert [words in one.message for one in said if isinstance(one, Caution)] == [True]


def test_what_is_regained_after_an_end_is_the_same(tmp_path: Path) -> None:
    for t in range(8):
        write_png(tmp_path / "plates" / f"plate.{101 + t:04d}.png", passing(t))
    clip = open_clip(tmp_path / "plates")
    for name in ("ended", "whole"):
        (tmp_path / name).mkdir()
    ended, whole = (
        Wanted(clip, clip.info.numbers, (), tmp_path / name / "masks", tmp_path / name, 2)
        for name in ("ended", "whole")
    )
    stages = []

    def is_regained(event: Event) -> bool:
        stages.extend([event.name] if isinstance(event, Stage) else [])
        return stages[-1:] == ["regain"] and isinstance(event, protocol.Progress) and event.done > 0.8

    stop(lambda tell: rotoscope(ended, Progress(tell)), is_regained)
    assert list((tmp_path / "ended").rglob("maps/*/*.safetensors")), "it was ended while it looked for what is missed"
    for wanted in (ended, whole):
        rotoscope(wanted)
    assert tree(ended.folder) == tree(whole.folder)
    asked_again, other_windows = [], []
    for window, events in ((200, asked_again), (48, other_windows)):
        rotoscope(replace(whole, settings=Settings(window=window)), Progress(events.append))
    assert not any(isinstance(event, protocol.Progress) for event in asked_again)
    assert any(isinstance(event, protocol.Progress) for event in other_windows)
