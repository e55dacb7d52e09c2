"""Masks: what marks an object, and how masks find their frames."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
from support import SIZE, differing, disc, nvd, results, sliding, solve, texture, tree, write_masks, write_video

from nvd_core.clip import ClipInfo, open_clip
from nvd_core.clip.pictures import write_png
from nvd_core.image.exr import write_exr
from nvd_core.masks import open_mattes
from nvd_core.masks.files import coverage
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Caution
from nvd_core.spec.settings import Job, MaskSource, Settings

DISCS = [disc((40 + 10 * index, 40)) for index in range(3)]


def mattes_of(path: Path | str, clip: Path, first: int | None = None, used: range | None = None) -> list[np.ndarray]:
    info = open_clip(clip).info
    mattes = open_mattes([MaskSource.of(name="disc", path=str(path), first=first)], info, used)
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


def numbers(*values: float) -> np.ndarray:
    """An ID pass with so many stripes."""
    stripes = np.repeat(np.float32(values), SIZE.width // len(values) + 1)[: SIZE.width]
    return np.tile(stripes, (SIZE.height, 1))


def write_numbers(path: Path, picture: np.ndarray, kind: str) -> Path:
    if path.suffix == ".exr":
        OpenEXR.File({}, {"IndexOB.X": picture.astype(kind)}).write(str(path))
    else:
        tifffile.imwrite(path, picture.astype(kind))
    return path


@pytest.mark.parametrize(
    ("suffix", "kind"), [("exr", "f4"), ("exr", "f2"), ("exr", "u4"), ("tif", "f4"), ("tif", "f8")]
)
def test_an_id_pass_of_one_object_marks_it_and_one_of_several_is_refused(
    suffix: str, kind: str, clip: Path, tmp_path: Path
) -> None:
    one, several = (
        write_numbers(tmp_path / f"{len(values)}.{suffix}", numbers(*values), kind) for values in ((0, 3), (0, 1, 2, 3))
    )
    assert np.array_equal(mattes_of(one, clip)[0], numbers(0, 3) == 3)
    with pytest.raises(InputError, match="numbers of 3 objects"):
        mattes_of(several, clip)


def test_floats_that_are_no_whole_numbers_or_not_above_1_are_coverage(clip: Path, tmp_path: Path) -> None:
    for values in ((0, 1), (0, 0.5, 1), (0, 0.5, 2)):
        path = write_numbers(tmp_path / "mask.exr", numbers(*values), "f4")
        assert np.array_equal(mattes_of(path, clip)[0], numbers(*values).clip(0, 1))


def numbers_of_objects() -> np.ndarray:
    """Two objects in greys, as labels are stretched to be seen."""
    return np.where(DISCS[0] > 0, np.uint8(170), np.uint8(0)) + np.uint8(85) * (DISCS[2] > 0) * (DISCS[0] == 0)


FAINT = {
    "a grey number": (numbers_of_objects(), "67%"),
    "a dark colour": (np.dstack([DISCS[0] // 255 * 140, DISCS[0] * 0, DISCS[0] * 0]), "55%"),
    "16 bits, not to the top": (DISCS[0].astype(np.uint16) * 150, "58%"),
    "white": (DISCS[0], ""),
    "white but in one dark frame": (np.dstack([DISCS[0]] * 3), ""),
    "a wire": (np.where(np.eye(SIZE.height, SIZE.width) > 0, np.uint8(255), np.uint8(0)), ""),
}


@pytest.mark.parametrize("kind", FAINT)
def test_a_mask_that_is_nowhere_white_is_told_of(kind: str, tmp_path: Path) -> None:
    """Labels that were not written to be coverage would leave the object half transparent without a word."""
    mask, most = FAINT[kind]
    masks = tmp_path / "masks"
    masks.mkdir()
    for number in range(1, 4):
        dark = mask // 3 if kind == "white but in one dark frame" and number == 2 else mask
        (masks / f"m.{number:04d}.png").write_bytes(cv2.imencode(".png", dark)[1].tobytes())
    job = Job(
        clip=str(sliding(tmp_path / "clip", 3)),
        masks=(MaskSource.of(name="disc", path=str(masks)),),
        settings=Settings(preset="preview"),
    )
    told = [event.message for event in solve(job, tmp_path / "out") if isinstance(event, Caution)]
    said = f"The mask of disc covers no pixel by more than {most}: its paint shows no stronger"
    assert [one for one in told if "covers no pixel" in one] == ([said] if most else [])
    warnings = Decomposition.open(tmp_path / "out").manifest.warnings
    stored = [one for one in warnings if "covers no pixel" in one]
    assert [one.startswith(said) for one in stored] == [True] * bool(most)


def test_an_alpha_counts_before_numbers(clip: Path, tmp_path: Path) -> None:
    alpha = numbers(0.25, 1)
    OpenEXR.File({}, {"R": numbers(1, 2, 3), "G": numbers(0), "B": numbers(0), "A": alpha}).write(
        str(tmp_path / "a.exr")
    )
    assert np.array_equal(mattes_of(tmp_path / "a.exr", clip)[0], alpha)


def test_alpha_counts_where_it_says_anything_else_the_brightest_channel() -> None:
    white, half = np.full((2, 2), 255, np.uint8), np.full((2, 2), 51, np.uint8)
    black = np.zeros((2, 2), np.uint8)
    assert (coverage(np.dstack([black, black, black, half])) == 0.2).all()
    assert (coverage(np.dstack([black, half, black, white])) == 0.2).all()
    assert (coverage(half[..., None]) == 0.2).all()
    assert (coverage(np.full((2, 2, 1), 13107, np.uint16)) == 0.2).all()


def test_coverage_stays_between_0_and_1() -> None:
    """What is no number is refused where it is read."""
    wild = np.float32([[-2, 0.5, 9, np.inf]])[..., None]
    assert coverage(wild).tolist() == [[0, 0.5, 1, 1]]


def test_a_transparent_png_marks_by_its_alpha(clip: Path, tmp_path: Path) -> None:
    picture = np.dstack([np.full_like(DISCS[0], 200)] * 3 + [DISCS[0]])
    (tmp_path / "cutout.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    assert np.array_equal(mattes_of(tmp_path / "cutout.png", clip)[0] * 255, DISCS[0])


@pytest.mark.parametrize("first", [1, 50])
def test_masks_for_the_frames_that_are_used_are_enough(first: int, tmp_path: Path) -> None:
    info = open_clip(sliding(tmp_path / "clip", 6)).info
    masks = MaskSource.of(name="disc", path=str(write_masks(tmp_path / "masks", DISCS, first)))
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
    with pytest.raises(InputError, match="lack 6"):
        mattes_of(path, clip, first=4)


def grey(index: int) -> np.ndarray:
    """A mask that says its number by how much it covers."""
    return np.full((SIZE.height, SIZE.width), 4 * index, np.uint8)


def numbers_read(path: Path, clip: ClipInfo, used: range) -> list[int]:
    mattes = open_mattes([MaskSource.of(name="disc", path=str(path))], clip, used)
    return [round(float(front.mean()) * 255 / 4) for front, _ in mattes.frames(used)]


NUMBERED = {
    # clip's numbers, used, the masks' numbers: those that must be taken
    "whole clip, from 0 for 1": (range(1, 51), range(10, 21), range(50), range(9, 20)),
    "whole clip, from 1 for 0": (range(50), range(10, 21), range(1, 51), range(11, 22)),
    "whole clip, from 0 for 1001": (range(1001, 1051), range(1010, 1021), range(50), range(9, 20)),
    "whole clip, from 1 for 1001": (range(1001, 1051), range(1010, 1021), range(1, 51), range(10, 21)),
    "whole clip, under its numbers": (range(1001, 1051), range(1010, 1021), range(1001, 1051), range(1010, 1021)),
    "whole clip, elsewhere": (range(1001, 1051), range(1010, 1021), range(501, 551), range(510, 521)),
    "more, under its numbers": (range(11, 31), range(15, 18), range(5, 51), range(15, 18)),
    "range, under its numbers": (range(1001, 1051), range(1010, 1021), range(1010, 1021), range(1010, 1021)),
    "range, from 1": (range(1001, 1051), range(1010, 1021), range(1, 12), range(1, 12)),
    "range, from 0": (range(1, 51), range(10, 21), range(11), range(11)),
    "range, elsewhere": (range(1, 51), range(10, 21), range(900, 911), range(900, 911)),
    "part, under its numbers": (range(1, 51), range(10, 21), range(8, 31), range(10, 21)),
}
"""How masks may be numbered beside a clip."""


def clip_numbered(numbers: range, folder: Path) -> ClipInfo:
    for number in numbers:
        write_png(folder / f"f.{number:05d}.png", np.zeros((SIZE.height, SIZE.width, 3), np.uint8))
    return open_clip(folder).info


@pytest.mark.parametrize("case", NUMBERED)
def test_masks_find_their_frames_however_they_are_numbered(case: str, tmp_path: Path) -> None:
    clip, used, masks, wanted = NUMBERED[case]
    folder = write_masks(tmp_path / "masks", [grey(index) for index in range(len(masks))], masks[0])
    info = clip_numbered(clip, tmp_path / "clip")
    assert numbers_read(folder, info, used) == [number - masks[0] for number in wanted]
    cautions = open_mattes([MaskSource.of(name="disc", path=str(folder))], info, used).cautions
    if wanted == used and set(masks) <= set(clip):
        assert not cautions
    else:
        (caution,) = cautions
        said = f"There are {len(masks)} masks, numbered {masks[0]}-{masks[-1]}, and {len(clip)} frames, numbered "
        assert caution.message == f"{said}{clip[0]}-{clip[-1]}: mask {wanted[0]} is taken for frame {used[0]}"


REFUSED = {
    # clip's numbers, used, the masks' numbers, the words
    "of other frames of the clip": (range(1, 51), range(10, 21), range(30, 41), "The masks lack 10-20 "),
    "off by four": (range(1001, 1051), range(1001, 1051), range(1005, 1055), "The masks lack 1001-1004 "),
    "of some of the frames": (range(1, 51), range(10, 21), range(15, 26), "The masks lack 10-14 "),
    "with gaps": (range(1, 21), range(5, 11), [*range(1, 6), 7, 10, *range(11, 21)], "The masks lack 6, 8-9 "),
    "from 0, with a gap": (range(1, 21), range(5, 11), [*range(6), *range(7, 20)], "The masks lack 6 "),
    "too few": (
        range(1001, 1051), range(1010, 1021), range(30),
        "There are 30 masks, numbered 0-29, and 50 frames, numbered 1001-1050, of which 1010-1020 are used",
    ),
    "as many as frames, but with gaps": (range(1001, 1006), range(1001, 1006), [1, 3, 5, 7, 9], "The masks lack 2, 4 "),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_masks_that_are_numbered_for_other_frames_are_refused(case: str, tmp_path: Path) -> None:
    clip, used, masks, words = REFUSED[case]
    for number in masks:
        write_png(tmp_path / "masks" / f"m.{number:04d}.png", np.dstack([DISCS[0]] * 3))
    info = clip_numbered(clip, tmp_path / "clip")
    with pytest.raises(InputError) as refusal:
        numbers_read(tmp_path / "masks", info, used)
    assert str(refusal.value).startswith(words)


def test_a_gap_in_masks_that_are_not_used_is_none(tmp_path: Path) -> None:
    for number in {*range(1, 21)} - {3, 15}:
        write_png(tmp_path / "masks" / f"m.{number:04d}.png", np.dstack([grey(number)] * 3))
    assert numbers_read(tmp_path / "masks", clip_numbered(range(1, 21), tmp_path / "clip"), range(5, 9)) == [5, 6, 7, 8]


@pytest.mark.parametrize(("count", "used", "first"), [(20, range(1005, 1008), 4), (3, range(1005, 1008), 0)])
def test_a_video_of_masks_is_of_the_whole_clip_or_of_what_is_used(
    count: int, used: range, first: int, tmp_path: Path
) -> None:
    pictures = (np.dstack([grey(index)] * 3) for index in range(count))
    film = write_video(tmp_path / "masks.mkv", pictures, pixels="yuv444p")
    read = numbers_read(film, clip_numbered(range(1001, 1021), tmp_path / "clip"), used)
    assert read == pytest.approx([first, first + 1, first + 2], abs=1)


@pytest.mark.parametrize("kind", ["folder", "picture", "video"])
@pytest.mark.parametrize("size", [Size(80, 48), Size(320, 192), Size(54, 32), Size(53, 32)])
def test_masks_of_another_size_are_scaled(size: Size, kind: str, clip: Path, tmp_path: Path) -> None:
    """Within what scaling leaves: soft where it was soft, and where it was."""
    smalls = [cv2.resize(mask, size, interpolation=cv2.INTER_AREA) for mask in DISCS]
    path = write_masks(tmp_path / "masks", smalls)
    if kind == "picture":
        path = path / "mask.0001.png"
    if kind == "video":
        path = write_video(tmp_path / "m.mkv", (np.dstack([mask] * 3) for mask in smalls), size, pixels="yuv444p")
    for matte, mask in zip(mattes_of(path, clip), [DISCS[0]] * 3 if kind == "picture" else DISCS, strict=True):
        assert matte.shape == mask.shape
        assert np.abs(matte - mask / 255).mean() < 0.015
        assert size > SIZE or ((matte > 0.1) & (matte < 0.9)).any(), "kept soft"
    (caution,) = open_mattes([MaskSource.of(name="disc", path=str(path))], open_clip(clip).info).cautions
    assert f"is {size} and the clip is {SIZE}: the mask is scaled" in caution.message


@pytest.mark.parametrize("size", [Size(96, 160), Size(96, 96), Size(160, 90), Size(80, 45)])
def test_masks_of_another_shape_are_refused_with_both_sizes(size: Size, clip: Path, tmp_path: Path) -> None:
    folder = write_masks(tmp_path / "masks", [disc((20, 20), size=size)] * 3)
    with pytest.raises(InputError, match=f"The mask is {size}, the clip is {SIZE}"):
        mattes_of(folder, clip)


def test_a_mask_that_shrinks_on_the_way_is_scaled_too(clip: Path, tmp_path: Path) -> None:
    folder = write_masks(tmp_path / "masks", DISCS)
    write_png(folder / "mask.0003.png", np.dstack([cv2.resize(DISCS[2], (80, 48), interpolation=cv2.INTER_AREA)] * 3))
    assert np.abs(mattes_of(folder, clip)[2] - DISCS[2] / 255).mean() < 0.015


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
    found = mattes_of("alpha", clip)
    worst = 0.03 if "vp9" in kind else 0.002
    assert max(np.abs(matte - mask / 255).max() for matte, mask in zip(found, DISCS, strict=True)) < worst
    assert np.array_equal(mattes_of("alpha", clip, used=range(2, 4)), found[1:])


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


def test_what_was_made_to_fit_is_told_and_stays_in_the_result(tmp_path: Path) -> None:
    """Masks of half the size, numbered from 0, for a range of a clip that is numbered from 1; locked."""
    clip = sliding(tmp_path / "clip", 6)
    discs = [disc((20 + 5 * index, 20), 8, Size(80, 48)) for index in range(6)]
    masks = MaskSource.of(name="disc", path=str(write_masks(tmp_path / "masks", discs, 0)), locked=True)
    job = Job(clip=str(clip), masks=(masks,), settings=Settings.of(preset="preview", frames="3-4"))
    told = [event.message for event in solve(job, tmp_path / "out") if isinstance(event, Caution)]
    for words in ("mask 2 is taken for frame 3", "is 80x48 and the clip is 160x96: the mask is scaled"):
        assert sum(words in message for message in told) == 1
        assert sum(words in one for one in Decomposition.open(tmp_path / "out").manifest.warnings) == 1
    for frame, wanted in zip(Decomposition.open(tmp_path / "out").frames(), discs[2:4], strict=True):
        grown = cv2.resize(wanted, SIZE, interpolation=cv2.INTER_LINEAR) / np.float32(255)
        np.testing.assert_allclose(frame.layers["disc"].alpha, grown, atol=2e-3)
