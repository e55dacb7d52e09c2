"""Numbers: what goes in finite comes out finite; what is not is refused by name; plates stay what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
from support import disc, solve, texture, write_masks

from nvd_core.faces.cli import run
from nvd_core.image.colour import display_from_linear, linear_from_display, to_linear, to_uint8
from nvd_core.image.exr import HALF_MOST, read_exr, read_stored, to_half, write_exr
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError, NumericsError
from nvd_core.spec.settings import Job, MaskSource, Settings

SMALL = Size(96, 64)
FRAMES = 3
GREATEST = float(np.finfo(np.float32).max)
Plate = np.ndarray


def _spot(t: int) -> np.ndarray:
    """Where a spot is in a frame, which moves over two layers."""
    return disc((30 + 3 * t, 30), 9, SMALL) > 0


def float_of_1e5(plate: Plate, t: int) -> Plate:
    return np.where(_spot(t)[..., None], 1e5, plate)


def half_of_65504_that_moves(plate: Plate, t: int) -> Plate:
    return np.where(_spot(t)[..., None], HALF_MOST, plate).astype(np.float16)


def bright_everywhere(plate: Plate, t: int) -> Plate:
    return 5e4 * plate


def brighter_than_can_be_told(plate: Plate, t: int) -> Plate:
    return np.where(_spot(t)[..., None], GREATEST, plate)


def one_channel_alone(plate: Plate, t: int) -> Plate:
    return np.where(_spot(t)[..., None], np.array([1e6, 0, 1e-7]), plate)


def dark_beyond_zero(plate: Plate, t: int) -> Plate:
    return np.where(_spot(t)[..., None], -1e5, plate - 0.1)


def both_ends_side_by_side(plate: Plate, t: int) -> Plate:
    ends = np.where(np.indices(plate.shape).sum(axis=0) % 2 == 0, GREATEST, -GREATEST)
    return np.where(_spot(t)[..., None], ends, plate)


def nearly_nothing(plate: Plate, t: int) -> Plate:
    return 1e-40 * plate


def nothing_beside_much(plate: Plate, t: int) -> Plate:
    return np.where(_spot(t)[..., None], 1e5, 1e-30 * plate)


BRIGHT = [
    float_of_1e5, half_of_65504_that_moves, bright_everywhere, brighter_than_can_be_told, one_channel_alone,
    dark_beyond_zero, both_ends_side_by_side, nearly_nothing, nothing_beside_much,
]  # fmt: skip
REACH_THE_END = {float_of_1e5, half_of_65504_that_moves, brighter_than_can_be_told, dark_beyond_zero}


def bright_clip(at: Path, change: Callable[[Plate, int], Plate]) -> list[Plate]:
    """Write a panning clip; its plates are returned."""
    wide = linear_from_display(texture(Size(SMALL.width + 20, SMALL.height)).astype(np.float32) / 255)
    plates = []
    for t in range(FRAMES):
        plate = change(wide[:, 2 * t : 2 * t + SMALL.width].astype(np.float64), t)
        plates.append(plate if plate.dtype == np.float16 else plate.astype(np.float32))
        channels = {name: plates[-1][..., index] for index, name in enumerate("RGB")}
        write_exr(at / f"hdr.{t + 1}.exr", channels)
    return [plate.astype(np.float32) for plate in plates]


def decomposed(at: Path, change: Callable[[Plate, int], Plate]) -> tuple[Path, list[Plate]]:
    plates = bright_clip(at / "clip", change)
    mask = write_masks(at / "masks", [disc((40, 32), 20, SMALL)] * FRAMES)
    job = Job(
        clip=str(at / "clip"),
        masks=(MaskSource.of(name="box", path=str(mask)),),
        settings=Settings(preset="preview"),
    )
    solve(job, at / "out")
    return at / "out", plates


def ended(*arguments: object) -> int:
    """How a command ends, without a process of its own."""
    return run([str(argument) for argument in arguments])


def _no_constant(name: str) -> None:
    raise AssertionError(name)


def check_finite(folder: Path) -> None:
    """Every number in every file."""
    exrs = sorted(folder.rglob("*.exr"))
    assert exrs
    for path in exrs:
        for name, plane in read_exr(path)[1].items():
            assert np.isfinite(plane).all(), (path, name)
    for path in folder.rglob("*.json"):
        json.loads(path.read_text(), parse_constant=_no_constant)


@pytest.mark.parametrize("change", BRIGHT, ids=lambda one: one.__name__)
def test_whatever_light_a_plate_has_all_that_is_written_is_finite(
    change: Callable, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, plates = decomposed(tmp_path, change)
    assert ended("export", folder, "--stmap") == 0
    capsys.readouterr()
    assert ended("score", folder, "--json") == 0
    json.loads(capsys.readouterr().out, parse_constant=_no_constant)
    check_finite(folder)
    warnings = Decomposition.open(folder).manifest.warnings
    told = [one for one in warnings if "half floats" in one]
    assert change not in REACH_THE_END or any("box reaches 65504" in one and "frames 1-3" in one for one in told)
    assert all(warning in (folder / "report" / "report.md").read_text() for warning in told)
    for mode in ("keep-plate", "rebuild"):
        assert ended("render", folder, "-o", tmp_path / mode, "--format=exr", f"--mode={mode}") == 0
        check_finite(tmp_path / mode)
    for number, plate in enumerate(plates, 1):
        kept = read_exr(tmp_path / "keep-plate" / f"hdr.{number:04d}.exr")[1]
        for index, axis in enumerate("RGB"):
            assert np.allclose(kept[axis], plate[..., index], rtol=1e-3, atol=1e-7)
            shown, meant = (display_from_linear(one).clip(0, 1) * 255 for one in (kept[axis], plate[..., index]))
            assert np.abs(np.rint(shown) - np.rint(meant)).max() == 0


@pytest.mark.parametrize("kind", ["float.exr", "half.exr", "float.tif", "16.png", "8.png"])
def test_what_is_not_painted_on_is_the_plate_to_the_last_bit_in_exr(kind: str, tmp_path: Path) -> None:
    """In half floats only where these hold it."""
    mask = write_masks(tmp_path / "masks", [disc((40, 32), 20, SMALL)] * FRAMES)
    clip = clip_of(tmp_path / "clip", kind)
    job = Job(clip=str(clip), masks=(MaskSource.of(name="box", path=str(mask)),), settings=Settings(preset="preview"))
    solve(job, tmp_path / "out")
    decomposition = Decomposition.open(tmp_path / "out")
    atlas = read_exr(tmp_path / "out" / "atlas" / "box.exr")[1]
    write_exr(tmp_path / "out" / "atlas" / "box.exr", atlas | {"R": to_half(1 - atlas["R"])})
    assert ended("render", tmp_path / "out", "-o", tmp_path / "edit", "--format=exr") == 0
    for frame, path in zip(decomposition.frames(), sorted((tmp_path / "edit").iterdir()), strict=True):
        channels = read_stored(path)[1]
        is_fine = kind in {"float.exr", "float.tif", "16.png"}
        assert {plane.dtype for plane in channels.values()} == {np.dtype(np.float32 if is_fine else np.float16)}
        rendered, kept = np.dstack([channels[axis] for axis in "RGB"]), frame.layers["box"].alpha == 0
        plate = to_linear(frame.plate)
        assert np.array_equal(rendered[kept], (plate if is_fine else plate.astype(np.float16))[kept])
        assert kept.mean() > 0.5
        assert np.abs(rendered - plate)[~kept].max() > 0.1, "nothing was painted"
        if kind == "half.exr":
            assert np.array_equal(rendered[kept], plate[kept])
        if kind == "8.png":
            assert np.array_equal(to_uint8(display_from_linear(rendered.astype(np.float32)))[kept], frame.plate[kept])


def clip_of(folder: Path, kind: str) -> Path:
    """A panning clip, its pictures of a kind; of light that few half floats are."""
    folder.mkdir()
    wide = linear_from_display(texture(Size(SMALL.width + 20, SMALL.height)).astype(np.float32) / 255) / np.float32(1.1)
    for t in range(FRAMES):
        light, path = wide[:, 2 * t : 2 * t + SMALL.width], folder / f"shot.{t + 1}.{kind.partition('.')[2]}"
        if kind.endswith("exr"):
            stored = light.astype(np.float16 if kind == "half.exr" else np.float32)
            write_exr(path, {name: stored[..., index] for index, name in enumerate("RGB")})
        elif kind == "float.tif":
            tifffile.imwrite(path, light, photometric="rgb")
        else:
            most, integers = (65535, np.uint16) if kind == "16.png" else (255, np.uint8)
            cv2.imwrite(str(path), np.rint(display_from_linear(light)[..., ::-1] * most).astype(integers))
    return folder


def test_an_ordinary_clip_is_not_told_of_bright_light(solved: Decomposition) -> None:
    assert not [one for one in solved.manifest.warnings if "half floats" in one]


def test_half_floats_end_where_they_end() -> None:
    ends = np.array([1e5, -1e5, np.inf, -np.inf, 65519, 1e-9, 0.1, GREATEST], np.float32)
    assert to_half(ends).tolist() == [65504, -65504, 65504, -65504, 65504, 0, float(np.float16(0.1)), 65504]


def test_what_is_not_finite_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(NumericsError, match=r"box\.alpha\.V"):
        write_exr(tmp_path / "a.exr", {"box.alpha.V": np.full((4, 4), np.nan, np.float32)})
    assert not list(tmp_path.iterdir())


FRAME_CHANNELS = ["R", "sign.uv.X", "background.uv.Y", "sign.alpha.V", "background.residual.G"]
WRONG = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "beyond": 1e30}


def spoil(path: Path, channel: str, value: float) -> None:
    """Put a value into one pixel of an EXR."""
    channels = read_exr(path)[1]
    channels[channel][5, 7] = value
    OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(path))


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("channel", FRAME_CHANNELS)
def test_what_is_not_finite_in_a_frame_is_named(channel: str, wrong: str, own_folder: Path) -> None:
    spoil(own_folder / "frames" / "demo.0003.exr", channel, WRONG[wrong])
    with pytest.raises(InputError, match=rf"channel {channel} of frame 3 .*demo\.0003\.exr"):
        list(Decomposition.open(own_folder).frames([3]))


@pytest.mark.parametrize("command", [["score"], ["export", "--stmap"], ["render", "-o", "out"]], ids=lambda one: one[0])
def test_every_command_that_reads_frames_refuses_it(
    command: list[str],
    own_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    spoil(own_folder / "frames" / "demo.0003.exr", "sign.uv.X", np.nan)
    assert ended(command[0], own_folder, *command[1:]) == 3
    assert "channel sign.uv.X of frame 3" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", ["sign.orig.exr", "sign.exr"])
def test_what_is_not_finite_in_an_atlas_is_named(
    name: str, wrong: str, own_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(own_folder / "atlas" / name, "G", WRONG[wrong])
    code = ended("render", own_folder, "-o", tmp_path / "out", "--format=exr")
    told = capsys.readouterr().err
    if name == "sign.exr" and wrong == "beyond":  # somebody's paint, and brighter than half floats hold
        assert code == 0, told
        check_finite(tmp_path / "out")
        return
    assert code == 3, told
    assert "channel G" in told
    assert name in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("channel", "RGBA")
def test_what_is_not_finite_in_a_mask_or_its_alpha_is_named(
    channel: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bright_clip(tmp_path / "clip", lambda plate, _: plate)
    mask = tmp_path / "mask.exr"
    planes = {name: np.ones((SMALL.height, SMALL.width), np.float32) for name in "RGBA"}
    write_exr(mask, planes)
    spoil(mask, channel, np.nan)
    code = ended("decompose", tmp_path / "clip", f"--mask=box={mask}", "-o", tmp_path / "out", "--preset=preview")
    told = capsys.readouterr().err
    assert code == 3, told
    assert "mask.exr" in told
    assert f"channel {channel}" in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        ("R", "lacks the channel R"),
        ("sign.uv.Y", "lacks the channel sign.uv.Y"),
        ("", "is 40x30, the clip was 200x112"),
    ],
)
def test_frames_that_lack_a_channel_or_are_of_another_size(
    lacks: str, words: str, own_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own_folder / "frames" / "demo.0003.exr"
    channels = {name: plane if lacks else plane[:30, :40] for name, plane in read_exr(path)[1].items() if name != lacks}
    write_exr(path, channels)
    code = ended("score", own_folder)
    told = capsys.readouterr().err
    assert code == 3, told
    assert words in told


@pytest.mark.parametrize("lacks", "RGBA")
def test_an_original_that_lacks_a_channel(lacks: str, own_folder: Path) -> None:
    path = own_folder / "atlas" / "sign.orig.exr"
    write_exr(path, {name: plane for name, plane in read_exr(path)[1].items() if name != lacks})
    decomposition = Decomposition.open(own_folder)
    with pytest.raises(InputError, match=f"original atlas of sign lacks the channel {lacks}"):
        (decomposition.covered if lacks == "A" else decomposition.original)("sign")
