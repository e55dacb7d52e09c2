"""Parts of found objects that their masks miss, and what is none of theirs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import stop, texture

from nvd_core.quality.metrics import mask_iou
from nvd_core.roto.complete import regain
from nvd_core.roto.window import Cutout
from nvd_core.runtime.picture_store import Pictures
from nvd_core.runtime.progress import Progress
from nvd_core.spec.conventions import Size

FRAMES = 16
SIZE = Size(240, 144)
GROUND, THING = texture(Size(400, 200)), texture(Size(80, 80), 1)
WORST = range(4, 12)
"""Frames in which the masks miss its legs."""


def box(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    return cv2.rectangle(np.zeros(SIZE[::-1], np.uint8), (left, top), (right - 1, bottom - 1), 1, -1) > 0


def body(t: int) -> np.ndarray:
    return box(30 + 8 * t, 30, 70 + 8 * t, 80)


def legs(t: int) -> np.ndarray:
    return box(32 + 8 * t, 80, 40 + 8 * t, 104) | box(48 + 8 * t, 80, 56 + 8 * t, 104)


def shadow(t: int) -> np.ndarray:
    return box(56 + 8 * t, 90, 72 + 8 * t, 104)


def plate(t: int) -> np.ndarray:
    """A thing before a ground that the camera pans over, with the shadow that it casts on it."""
    frame = GROUND[20 : 20 + SIZE.height, 2 * t : 2 * t + SIZE.width].copy()
    frame[shadow(t)] = (frame[shadow(t)] * 0.65).astype(np.uint8)
    thing = np.zeros_like(frame)
    thing[30:104, 30 + 8 * t : 70 + 8 * t] = 255 - THING[:74, :40] // 2
    return np.where((body(t) | legs(t))[..., None], thing, frame)


def lame(t: int) -> np.ndarray:
    return body(t) if t in WORST else body(t) | legs(t)


@pytest.fixture
def frames(tmp_path: Path) -> Pictures:
    pictures = Pictures.on_disk(tmp_path, (SIZE.height, SIZE.width, 3))
    for t in range(FRAMES):
        pictures.append(plate(t))
    return pictures


def regained(
    frames: Pictures, folder: Path, maps: str = "maps", settled: tuple[int, ...] = (), **masks: list[np.ndarray]
) -> dict:
    cutouts = {name: [Cutout.of(mask.astype(np.float32)) for mask in some] for name, some in masks.items()}
    made = regain(frames, cutouts, {"thing": settled}, 96, folder, folder / maps)
    return {name: [whole(one) for one in some] for name, some in made.items()}


def whole(cutout: Cutout) -> np.ndarray:
    across, down = np.meshgrid(np.arange(SIZE.width, dtype=np.float32), np.arange(SIZE.height, dtype=np.float32))
    return cutout.at(np.stack([across, down], axis=-1)) > 0.5


def test_what_the_background_cannot_explain_is_the_object(frames: Pictures, tmp_path: Path) -> None:
    made = regained(frames, tmp_path, settled=(6,), thing=[lame(t) for t in range(FRAMES)])["thing"]
    assert mask_iou(made[6].astype(np.float32), lame(6).astype(np.float32)) == 1, "an artist's mask stays"
    for t in set(range(FRAMES)) - {6}:
        assert mask_iou(made[t].astype(np.float32), (body(t) | legs(t)).astype(np.float32)) > 0.93, t
        assert np.mean(made[t][shadow(t)]) < 0.1, "its shadow lies on the ground"
        assert np.mean(made[t][box(40 + 8 * t, 84, 48 + 8 * t, 104)]) < 0.2, "between its legs is the ground"


def test_right_masks_stay_and_another_objects_are_not_taken(frames: Pictures, tmp_path: Path) -> None:
    bodies, limbs = ([part(t) for t in range(FRAMES)] for part in (body, legs))
    made = regained(frames, tmp_path, thing=bodies, limbs=limbs)
    for name, masks in (("thing", bodies), ("limbs", limbs)):
        for one, mask in zip(made[name], masks, strict=True):
            assert mask_iou(one.astype(np.float32), mask.astype(np.float32)) > 0.95


def test_a_killed_job_finds_its_maps_again(frames: Pictures, tmp_path: Path) -> None:
    masks = [lame(t) for t in range(FRAMES)]
    made = regained(frames, tmp_path, thing=masks)["thing"]
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "maps").rglob("*.safetensors")}
    assert len(kept) == 4, "two layers in two rounds"
    again = regained(frames, tmp_path, thing=masks)["thing"]
    assert all(np.array_equal(one, other) for one, other in zip(made, again, strict=True))
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "maps").rglob("*.safetensors")}


def test_nothing_that_is_seen(frames: Pictures, tmp_path: Path) -> None:
    nothing = [np.zeros(SIZE[::-1], bool)] * FRAMES
    everything = [np.ones(SIZE[::-1], bool)] * FRAMES
    for mask in (nothing, everything):
        made = regained(frames, tmp_path, f"maps-{mask[0].any()}", thing=mask)["thing"]
        assert all(np.array_equal(one, mask[0]) for one in made)


@pytest.mark.parametrize("window", [96, 8])
def test_after_an_interruption_the_masks_are_the_same(frames: Pictures, tmp_path: Path, window: int) -> None:
    masks = {"thing": [Cutout.of(lame(t).astype(np.float32)) for t in range(FRAMES)]}
    whole_run = regain(frames, masks, {}, window, tmp_path, tmp_path / "maps")
    for end in (0.2, 0.4, 0.7, 1.0):
        work = partial(regain, frames, masks, {}, window, tmp_path, tmp_path / "interrupted")
        stop(lambda tell, work=work: work(Progress(tell)), lambda event, end=end: event.done >= end)
        other = regain(frames, masks, {}, 5, tmp_path, tmp_path / "interrupted")
        assert len(other["thing"]) == FRAMES, "parts of windows of another length are not taken for its own"
    again = regain(frames, masks, {}, window, tmp_path, tmp_path / "interrupted")
    for one, mask in zip(again["thing"], whole_run["thing"], strict=True):
        assert one.window == mask.window
        assert np.array_equal(one.mask, mask.mask)
