"""Masks: what marks an object, and how masks find their frames."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support import SIZE, disc, sliding, write_masks, write_video

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import write_png
from nvd_core.exr import write_exr
from nvd_core.masks import open_mattes
from nvd_core.masks.files import coverage
from nvd_core.settings import MaskSource

DISCS = [disc((40 + 10 * index, 40)) for index in range(3)]


def mattes_of(path: Path, clip: Path) -> list[np.ndarray]:
    info = open_clip(clip).info
    return [front for front, _ in open_mattes([MaskSource(name="disc", path=str(path))], info).frames(info.numbers)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return sliding(tmp_path / "clip", 3)


@pytest.mark.parametrize("first", [0, 1, 900])
def test_a_folder_of_masks_fits_by_number_or_by_order(first: int, clip: Path, tmp_path: Path) -> None:
    found = mattes_of(write_masks(tmp_path / "masks", DISCS, first), clip)
    assert [np.array_equal(matte * 255, mask) for matte, mask in zip(found, DISCS, strict=True)] == [True] * 3


def test_masks_of_a_longer_range_fit_by_number(clip: Path, tmp_path: Path) -> None:
    found = mattes_of(write_masks(tmp_path / "masks", [DISCS[2], *DISCS, DISCS[0]], first=0), clip)
    assert np.array_equal(found[0] * 255, DISCS[0])


def test_one_picture_is_the_mask_of_every_frame(clip: Path, tmp_path: Path) -> None:
    write_png(tmp_path / "mask.png", np.dstack([DISCS[0]] * 3))
    assert [np.array_equal(matte * 255, DISCS[0]) for matte in mattes_of(tmp_path / "mask.png", clip)] == [True] * 3


def test_a_video_of_masks(clip: Path, tmp_path: Path) -> None:
    film = write_video(tmp_path / "masks.mp4", (np.dstack([mask] * 3) for mask in DISCS))
    for matte, mask in zip(mattes_of(film, clip), DISCS, strict=True):
        assert np.array_equal(matte > 0.5, mask > 127) or np.mean((matte > 0.5) != (mask > 127)) < 0.005


def test_exr_masks_are_coverage_as_it_stands(clip: Path, tmp_path: Path) -> None:
    write_exr(tmp_path / "mask.exr", {"Y": np.full((SIZE.height, SIZE.width), 0.25, np.float32)})
    assert (mattes_of(tmp_path / "mask.exr", clip)[0] == 0.25).all()


def test_alpha_counts_where_it_says_anything_else_the_brightest_channel() -> None:
    white, half = np.full((2, 2), 255, np.uint8), np.full((2, 2), 51, np.uint8)
    black = np.zeros((2, 2), np.uint8)
    assert (coverage(np.dstack([black, black, black, half])) == 0.2).all()
    assert (coverage(np.dstack([black, half, black, white])) == 0.2).all()
    assert (coverage(half[..., None]) == 0.2).all()
    assert (coverage(np.full((2, 2, 1), 13107, np.uint16)) == 0.2).all()


def test_coverage_stays_between_0_and_1() -> None:
    wild = np.float32([[np.nan, -2, 0.5, 9, np.inf]])[..., None]
    assert coverage(wild).tolist() == [[0, 0, 0.5, 1, 1]]


def test_a_transparent_png_marks_by_its_alpha(clip: Path, tmp_path: Path) -> None:
    picture = np.dstack([np.full_like(DISCS[0], 200)] * 3 + [DISCS[0]])
    (tmp_path / "cutout.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    assert np.array_equal(mattes_of(tmp_path / "cutout.png", clip)[0] * 255, DISCS[0])


@pytest.mark.parametrize("first", [1, 50])
def test_masks_for_the_frames_that_are_used_are_enough(first: int, tmp_path: Path) -> None:
    info = open_clip(sliding(tmp_path / "clip", 6)).info
    masks = MaskSource(name="disc", path=str(write_masks(tmp_path / "masks", DISCS, first)))
    used = range(info.first + 2, info.first + 5)
    found = [front for front, _ in open_mattes([masks], info, used).frames(used)]
    assert [np.array_equal(matte * 255, mask) for matte, mask in zip(found, DISCS, strict=True)] == [True] * 3
