"""Picture sequences of every kind that artists have."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support import SIZE, number_of, numbered

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import write_png
from nvd_core.clip.types import frames_used
from nvd_core.image.colour import linear_from_display, to_display, to_uint8
from nvd_core.image.exr import write_exr
from nvd_core.spec.choices.amounts import FrameRange
from nvd_core.spec.errors import InputError

PICTURE = numbered(0b10110)


def coded(path: Path, picture: np.ndarray) -> Path:
    """Write a picture as OpenCV does, channels as given (R first)."""
    order = [2, 1, 0, 3][: picture.shape[2]] if picture.ndim == 3 else None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture if order is None else picture[..., order])[1].tobytes())
    return path


def exr(path: Path, kind: type) -> Path:
    linear = linear_from_display(PICTURE.astype(np.float32) / 255).astype(kind)
    write_exr(path, {name: linear[..., index] for index, name in enumerate("RGB")})
    return path


KINDS = {
    "png 8": lambda at: coded(at / "a.0001.png", PICTURE),
    "png 16": lambda at: coded(at / "a.0001.png", PICTURE.astype(np.uint16) * 257),
    "png with alpha": lambda at: coded(at / "a.0001.png", np.dstack([PICTURE, np.full(PICTURE.shape[:2], 128, "u1")])),
    "tiff 8": lambda at: coded(at / "a.0001.tif", PICTURE),
    "tiff 16": lambda at: coded(at / "a.0001.tiff", PICTURE.astype(np.uint16) * 257),
    "exr half": lambda at: exr(at / "a.0001.exr", np.float16),
    "exr float": lambda at: exr(at / "a.0001.exr", np.float32),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_shows_the_same_picture(kind: str, tmp_path: Path) -> None:
    KINDS[kind](tmp_path / "clip")
    clip = open_clip(tmp_path / "clip")
    (plate,) = clip.frames([1])
    assert clip.info.size == SIZE
    assert np.array_equal(to_uint8(to_display(plate)), PICTURE)
    assert plate.dtype == {"8": np.uint8, "a": np.uint8, "16": np.uint16}.get(
        kind.rsplit(maxsplit=1)[-1][:2].rstrip("l"), plate.dtype
    )


def test_jpeg_shows_nearly_the_same_picture(tmp_path: Path) -> None:
    path = coded(tmp_path / "a.0001.jpg", PICTURE)
    (plate,) = open_clip(path).frames([1])
    assert np.abs(plate.astype(int) - PICTURE).mean() < 4
    assert number_of(plate) == 0b10110


def test_exr_is_linear_and_keeps_what_is_brighter_than_white(tmp_path: Path) -> None:
    write_exr(tmp_path / "a.exr", dict.fromkeys("RGB", np.full((64, 64), 7.5, np.float16)))
    (plate,) = open_clip(tmp_path / "a.exr").frames([1])
    assert plate.dtype == np.float32
    assert (plate == 7.5).all()


def test_grey_pictures_are_repeated_to_rgb(tmp_path: Path) -> None:
    coded(tmp_path / "a.1.png", PICTURE[..., 0])
    write_exr(tmp_path / "y.exr", {"Y": np.full((64, 64), 0.5, np.float32)})
    (plate,) = open_clip(tmp_path / "a.1.png").frames([1])
    assert np.array_equal(plate, np.dstack([PICTURE[..., 0]] * 3))
    (plate,) = open_clip(tmp_path / "y.exr").frames([1])
    assert plate.shape == (64, 64, 3)


@pytest.mark.parametrize("first", [0, 1, 7, 998, 1001, 123456])
@pytest.mark.parametrize("named_as", ["folder", "####", "%04d"])
def test_frame_numbers_are_those_of_the_files(first: int, named_as: str, tmp_path: Path) -> None:
    numbers = range(first, first + 4)
    for number in numbers:
        write_png(tmp_path / f"sh_010.{number:04d}.png", numbered(number % 251))
    clip = open_clip(tmp_path if named_as == "folder" else tmp_path / f"sh_010.{named_as}.png")
    assert clip.info.numbers == numbers
    assert clip.info.name == "sh_010"
    assert [number_of(plate) for plate in clip.frames(numbers)] == [number % 251 for number in numbers]
    assert [number_of(plate) for plate in clip.frames([numbers[3], numbers[1]])] == [
        numbers[3] % 251, numbers[1] % 251
    ]  # fmt: skip
    assert clip.info.file(numbers[2]) == clip.info.files[2]


def test_numbers_count_as_numbers_not_as_text(tmp_path: Path) -> None:
    for number in (8, 9, 10, 11):
        write_png(tmp_path / f"a{number}.png", numbered(number))
    assert [number_of(plate) for plate in open_clip(tmp_path).frames(range(8, 12))] == [8, 9, 10, 11]


@pytest.mark.parametrize("missing", [2, 3])
def test_a_gap_is_named(missing: int, tmp_path: Path) -> None:
    for number in {1, 2, 3, 4} - {missing}:
        write_png(tmp_path / f"a.{number:04d}.png", PICTURE)
    with pytest.raises(InputError, match=f"lacks frames {missing}"):
        open_clip(tmp_path)


def test_gaps_far_apart_are_named_by_their_ends(tmp_path: Path) -> None:
    for number in (1, 3, 7, 20240101123456):
        write_png(tmp_path / f"a.{number}.png", PICTURE)
    with pytest.raises(InputError, match=r"lacks frames 2, 4-6, 8-20240101123455 "):
        open_clip(tmp_path)


@pytest.mark.parametrize("names", [["a.-2.png", "a.-1.png"], ["-0001.png", "0000.png"], ["a_-01.png"]])
def test_numbers_below_zero_are_refused(names: list[str], tmp_path: Path) -> None:
    for name in names:
        write_png(tmp_path / name, PICTURE)
    with pytest.raises(InputError, match="below zero"):
        open_clip(tmp_path)


def test_a_hyphen_is_no_minus(tmp_path: Path) -> None:
    for number in (1, 2):
        write_png(tmp_path / f"shot-{number:04d}.png", numbered(number))
    assert [number_of(plate) for plate in open_clip(tmp_path).frames([1, 2])] == [1, 2]


def test_two_pictures_of_one_frame_are_refused(tmp_path: Path) -> None:
    for name in ("a.1.png", "a.0001.png", "a.2.png"):
        write_png(tmp_path / name, PICTURE)
    with pytest.raises(InputError, match=r"two pictures of frame 1, a.0001.png and a.1.png|a.1.png and a.0001.png"):
        open_clip(tmp_path)


def test_other_files_in_the_folder_do_not_matter(tmp_path: Path) -> None:
    for number in (1, 2):
        write_png(tmp_path / f"a.{number}.png", PICTURE)
    (tmp_path / "notes.txt").write_text("1")
    (tmp_path / "Thumbs.db").write_bytes(b"")
    write_png(tmp_path / "thumbnail.png", PICTURE)
    assert open_clip(tmp_path).info.count == 2


@pytest.mark.parametrize("name", ["käfer und blüte", "撮影", "shot#7", "100%d", "it's [2]*?", "a" * 100])
def test_paths_may_hold_any_letters(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    for number in (1, 2):
        write_png(folder / f"{name}.{number:04d}.png", numbered(number))
    for path in (folder, folder / f"{name}.0002.png"):
        clip = open_clip(path)
        assert [number_of(plate) for plate in clip.frames([2])] == [2]
        assert clip.info.name
        assert not set(clip.info.name) & set('/\\:*?"<>| #%[]')


def test_a_single_picture_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    write_png(tmp_path / "still.png", PICTURE)
    write_png(tmp_path / "frame.0042.png", PICTURE)
    assert (open_clip(tmp_path / "still.png").info.numbers) == range(1, 2)
    assert (open_clip(tmp_path / "frame.0042.png").info.numbers) == range(42, 43)


def test_the_rate_is_24_or_what_is_said(tmp_path: Path) -> None:
    write_png(tmp_path / "a.1.png", PICTURE)
    assert open_clip(tmp_path).info.fps == 24
    assert open_clip(tmp_path, 59.94).info.fps == 59.94


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", range(11, 15)), ("12", range(12, 13)), ("12-13", range(12, 14)), ("11-14", range(11, 15))],
)
def test_ranges_are_plate_numbers_with_both_ends(text: str, numbers: range, tmp_path: Path) -> None:
    for number in range(11, 15):
        write_png(tmp_path / f"a.{number}.png", PICTURE)
    assert frames_used(FrameRange.parse(text), open_clip(tmp_path).info) == numbers


@pytest.mark.parametrize("text", ["10-12", "13-15", "13-12", "x", "1-2-3", "-", "-12", "11.5"])
def test_other_ranges_are_refused(text: str, tmp_path: Path) -> None:
    for number in range(11, 15):
        write_png(tmp_path / f"a.{number}.png", PICTURE)
    with pytest.raises(InputError):
        frames_used(FrameRange.parse(text), open_clip(tmp_path).info)
