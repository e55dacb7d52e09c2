"""Masks: what marks an object, and how masks find their frames."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support import SIZE, differing, disc, nvd, results, sliding, texture, tree, write_masks, write_video

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import write_png
from nvd_core.errors import InputError
from nvd_core.exr import write_exr
from nvd_core.masks import open_mattes
from nvd_core.masks.files import coverage
from nvd_core.settings import ALPHA, MaskSource

DISCS = [disc((40 + 10 * index, 40)) for index in range(3)]


def mattes_of(path: Path | str, clip: Path, first: int | None = None, used: range | None = None) -> list[np.ndarray]:
    info = open_clip(clip).info
    mattes = open_mattes([MaskSource(name="disc", path=str(path), first=first)], info, used)
    return [front for front, _ in mattes.frames(used or info.numbers)]


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


@pytest.mark.parametrize("kind", ["folder", "video"])
def test_masks_that_begin_at_a_number_of_their_own(kind: str, clip: Path, tmp_path: Path) -> None:
    many = [DISCS[2], DISCS[2], *DISCS]  # by number, frames 1 to 3 would be the first three
    path = write_masks(tmp_path / "masks", many)
    if kind == "video":
        path = write_video(tmp_path / "masks.mp4", (np.dstack([mask] * 3) for mask in many))
    for matte, mask in zip(mattes_of(path, clip, first=4, used=range(2, 4)), DISCS[1:], strict=True):
        assert np.mean((matte > 0.5) != (mask > 127)) < 0.005
    with pytest.raises(InputError, match="has no frame 6"):
        mattes_of(path, clip, first=4)


def cutout(mask: np.ndarray) -> np.ndarray:
    """A picture with that alpha: R, G, B, A."""
    return np.dstack([texture(SIZE), mask])


def with_alpha(kind: str, folder: Path, masks: list[np.ndarray]) -> Path:
    """The same cutouts as pictures, or as a video of that codec and those pixels."""
    folder.mkdir(exist_ok=True)
    if kind in {"png", "tif"}:
        for index, mask in enumerate(masks):
            data = cv2.imencode(f".{kind}", cutout(mask)[..., [2, 1, 0, 3]])[1]
            (folder / f"cut.{index + 1:04d}.{kind}").write_bytes(data.tobytes())
        return folder
    if kind == "exr":
        for index, mask in enumerate(masks):
            planes = dict(zip("RGBA", np.moveaxis(cutout(mask).astype(np.float32) / 255, -1, 0), strict=True))
            write_exr(folder / f"cut.{index + 1:04d}.exr", planes)
        return folder
    codec, pixels, suffix = kind.split()
    with av.open(str(folder / f"cut.{suffix}"), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.pix_fmt, stream.width, stream.height = pixels, *SIZE
        for mask in masks:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(cutout(mask), format="rgba")))
        container.mux(stream.encode())
    return folder / f"cut.{suffix}"


VIDEOS = ["prores_ks yuva444p10le mov", "qtrle argb mov", "png rgba mov", "libvpx-vp9 yuva420p webm"]


@pytest.mark.parametrize("kind", ["png", "tif", "exr", *VIDEOS])
def test_the_plates_own_alpha(kind: str, tmp_path: Path) -> None:
    clip = with_alpha(kind, tmp_path / "clip", DISCS)
    found = mattes_of(ALPHA, clip)
    worst = 0.03 if "vp9" in kind else 0.002
    assert max(np.abs(matte - mask / 255).max() for matte, mask in zip(found, DISCS, strict=True)) < worst
    assert np.array_equal(mattes_of(ALPHA, clip, used=range(2, 4)), found[1:])


def test_a_folder_that_is_called_alpha(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_masks(tmp_path / "alpha", DISCS)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(mattes_of("./alpha", clip)[0] * 255, DISCS[0])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("png", "The clip's alpha is 1 everywhere"),
        ("libvpx-vp9 yuva420p webm", "The clip's alpha is 1 everywhere"),
        ("libx264 yuv420p mp4", "The video has no alpha"),
        ("pan", "The picture has no alpha"),
    ],
)
def test_a_plate_without_alpha_is_refused(kind: str, words: str, clip: Path, tmp_path: Path) -> None:
    full = np.full_like(DISCS[0], 255)
    plate = clip if kind == "pan" else with_alpha(kind, tmp_path / "plate", [full] * 3)
    before = tree(tmp_path)
    done = nvd("decompose", plate, "--mask=disc=alpha", "-o", tmp_path / "out")
    assert (done.returncode, done.stdout) == (3, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert differing(before, tree(tmp_path)) == []


def test_a_job_may_ask_for_the_alpha(tmp_path: Path) -> None:
    with_alpha("png", tmp_path / "clip", DISCS)
    job = 'clip = "clip"\nmasks = [{name = "disc", path = "alpha"}]\nsettings = {preset = "preview"}\n'
    (tmp_path / "job.toml").write_text(job)
    done = nvd("decompose", "--job", tmp_path / "job.toml", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert b'"path": "alpha"' in results(tmp_path / "out")["manifest.json"]
