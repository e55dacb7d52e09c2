"""Masks from little: carried from one frame, marked by a box or clicks, corrected."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import differing, nvd, results, solve, stop, texture, tree

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import read_picture, write_png
from nvd_core.faces.demo_clip import OBJECT, DemoClip
from nvd_core.image.filters import guided_filter
from nvd_core.image.geometry import Box, pixel_grid, size_of
from nvd_core.image.sample import warp
from nvd_core.job_files import parse_mask
from nvd_core.pipeline import decompose
from nvd_core.quality.metrics import mask_iou
from nvd_core.roto.marks import mask_from_marks
from nvd_core.roto.matting import matte_of
from nvd_core.roto.rotoscope import Wanted, rotoscope
from nvd_core.roto.window import Cutout, Window
from nvd_core.runtime.progress import Progress
from nvd_core.spec.choices import mask_origins
from nvd_core.spec.choices.mask_origins import Clicks, MaskOrigin
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError, UsageError
from nvd_core.spec.manifest import read_manifest
from nvd_core.spec.protocol import Caution
from nvd_core.spec.settings import Job, MaskSource, Settings

FIRST, LAST = 1, 8


def key_of(demo: DemoClip, frame: int, path: str | Path = "") -> MaskSource:
    return MaskSource.of(name=OBJECT, path=str(path or true_path(demo, frame)), frame=frame)


def true_path(demo: DemoClip, frame: int) -> Path:
    return demo.masks[OBJECT] / f"{OBJECT}.{frame:04d}.png"


def carried(demo: DemoClip, folder: Path, *masks: MaskSource) -> dict[int, np.ndarray]:
    """What is written, by frame."""
    clip = open_clip(demo.frames)
    wanted = Wanted(clip, clip.info.numbers, masks, folder / "masks", folder, 2)
    (source,) = rotoscope(wanted)
    return {number: read_picture(picture_path(folder, number))[..., 0] for number in clip.info.numbers} | {
        -1: np.array(str(source.path) == str(folder / "masks" / OBJECT))
    }


def picture_path(folder: Path, frame: int) -> Path:
    return folder / "masks" / OBJECT / f"{OBJECT}.{frame:04d}.png"


def agreement(demo: DemoClip, made: dict[int, np.ndarray], but: int = 0) -> float:
    """The worst intersection over union of all frames but one."""
    return min(agreement_at(demo, made, frame) for frame in range(FIRST, LAST + 1) if frame != but)


def agreement_at(demo: DemoClip, made: dict[int, np.ndarray], frame: int) -> float:
    true = read_picture(true_path(demo, frame))[..., 0]
    return mask_iou(*((mask > 127).astype(np.float32) for mask in (made[frame], true)))


@pytest.mark.parametrize("frame", [FIRST, 5, LAST])
def test_a_mask_of_one_frame_is_carried_to_all_others_and_stays_as_it_is(
    frame: int, demo: DemoClip, tmp_path: Path
) -> None:
    made = carried(demo, tmp_path, key_of(demo, frame))
    assert made[-1]
    assert agreement(demo, made, but=frame) > 0.9
    assert np.array_equal(made[frame], read_picture(true_path(demo, frame))[..., 0])


def test_a_mask_of_half_the_size_is_scaled_and_that_is_told(demo: DemoClip, tmp_path: Path) -> None:
    true, half = read_picture(true_path(demo, 5))[..., 0], Size(100, 56)
    write_png(tmp_path / "half.png", np.dstack([cv2.resize(true, half, interpolation=cv2.INTER_AREA)] * 3))
    clip, masks = open_clip(demo.frames), (key_of(demo, 5, tmp_path / "half.png"),)
    wanted = Wanted(clip, clip.info.numbers, masks, tmp_path / "masks", tmp_path, 2)
    told = []
    rotoscope(wanted, Progress(lambda event: told.append(event.message) if isinstance(event, Caution) else None))
    assert told == ["half.png is 100x56 and the clip is 200x112: the mask is scaled"]
    made = read_picture(picture_path(tmp_path, 5))[..., 0]
    assert made.shape == true.shape
    assert mask_iou(*((mask > 127).astype(np.float32) for mask in (made, true))) > 0.96


def test_a_key_frames_mask_that_is_nowhere_white_is_told_of(demo: DemoClip, tmp_path: Path) -> None:
    """It is whole in all other frames, so that the object would flicker."""
    write_png(tmp_path / "grey.png", np.dstack([read_picture(true_path(demo, 5))[..., 0] // 255 * 160] * 3))
    job = Job(
        clip=str(demo.frames),
        masks=(key_of(demo, 2), key_of(demo, 5, tmp_path / "grey.png")),
        settings=Settings(preset="preview"),
    )
    told = [event.message for event in solve(job, tmp_path / "out") if isinstance(event, Caution)]
    assert [one for one in told if "covers no pixel" in one] == [
        "The mask of sign in frame 5 covers no pixel by more than 63%: its paint shows no stronger"
    ]


@pytest.mark.parametrize("is_corrected", [False, True])
def test_marks_that_are_refused_leave_nothing_beside_an_earlier_result(
    is_corrected: bool, demo: DemoClip, tmp_path: Path
) -> None:
    """Its masks are taken along to the new version, but not by a job that cannot begin."""
    flags = ("decompose", demo.frames, "--preset=preview", "--frames=1-3", "-o", tmp_path / "out")
    assert nvd(*flags, f"--mask={OBJECT}@1={true_path(demo, 1)}").returncode == 0
    if is_corrected:
        picture_path(tmp_path / "out", 2).write_bytes(true_path(demo, 3).read_bytes())
    before = tree(tmp_path)
    for marks, words in (("clicks:4,900", "outside the frame"), ("box:0,0,1,1", "does not stand out")):
        for more in ([], ["--check"], ["--replace"]):
            done = nvd(*flags, f"--mask={OBJECT}@1={marks}", *more)
            assert done.returncode == 2, done.stderr
            assert words in done.stderr
            assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", ["box", "clicks"])
def test_a_box_or_clicks_stand_for_a_mask(kind: str, demo: DemoClip, tmp_path: Path) -> None:
    left, top, width, height = cv2.boundingRect(read_picture(true_path(demo, 3))[..., 0])
    box = f"box:{left - 3},{top - 3},{left + width + 3},{top + height + 3}"
    inside = [(left + width * share / 6, top + height / 2) for share in range(1, 6)]
    clicks = "clicks:" + ";".join(f"{x:.0f},{y:.0f}" for x, y in inside) + f";out:{left - 12},{top};out:4,4"
    made = carried(demo, tmp_path, key_of(demo, 3, box if kind == "box" else clicks))
    assert agreement(demo, made) > 0.75


def test_a_picture_that_was_corrected_stays_and_is_carried(demo: DemoClip, tmp_path: Path) -> None:
    clip = open_clip(demo.frames)
    half = read_picture(true_path(demo, 2))[..., 0].copy()
    left, _, width, _ = cv2.boundingRect(half)
    half[:, left + width // 2 :] = 0
    write_png(tmp_path / "half.png", np.dstack([half] * 3))
    before = carried(demo, tmp_path, key_of(demo, 2, tmp_path / "half.png"))
    assert agreement(demo, before) < 0.7
    better = read_picture(true_path(demo, 6))
    picture_path(tmp_path, 6).write_bytes(true_path(demo, 6).read_bytes())
    for _ in range(2):  # it is still corrected when masks are asked for again
        after = carried(demo, tmp_path, key_of(demo, 2, tmp_path / "half.png"))
        assert np.array_equal(after[6], better[..., 0])
        assert agreement_at(demo, after, 7) > 0.9
    other = tmp_path / "other"
    for number in clip.info.numbers:
        write_png(other / f"other.{number:04d}.png", 255 - next(clip.frames([number])))
    with pytest.raises(InputError, match="of another clip that you have corrected"):
        carried(replace(demo, frames=other), tmp_path, key_of(demo, 2))
    assert picture_path(tmp_path, 6).read_bytes() == true_path(demo, 6).read_bytes()


def test_what_was_made_is_taken_as_it_is_if_nothing_changed(demo: DemoClip, tmp_path: Path) -> None:
    carried(demo, tmp_path, key_of(demo, 4))
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    carried(demo, tmp_path, key_of(demo, 4))
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    carried(demo, tmp_path, key_of(demo, 5))
    assert len({path.stat().st_mtime_ns for path in times} - set(times.values())) == len(times)


def test_masks_that_are_not_ours_are_not_written_over(demo: DemoClip, tmp_path: Path) -> None:
    picture_path(tmp_path, 4).parent.mkdir(parents=True)
    picture_path(tmp_path, 4).write_bytes(b"mine")
    with pytest.raises(InputError, match="not its own"):
        carried(demo, tmp_path, key_of(demo, 4))
    assert picture_path(tmp_path, 4).read_bytes() == b"mine"


def test_a_whole_job_by_the_command_line(demo: DemoClip, tmp_path: Path) -> None:
    flags = [demo.frames, f"--mask={OBJECT}@4={true_path(demo, 4)}", "--preset=preview"]
    done = nvd("decompose", *flags, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    manifest = read_manifest(tmp_path / "out")
    assert manifest.names == (OBJECT, "background")
    assert manifest.masks == ({"name": OBJECT, "path": f"masks/{OBJECT}"},)
    assert manifest.metrics["psnr"] > 30


def test_a_job_that_is_cancelled_leaves_nothing_and_one_that_goes_on_ends_alike(demo: DemoClip, tmp_path: Path) -> None:
    job = Job(clip=str(demo.frames), masks=(key_of(demo, 4),), settings=Settings(preset="preview"))
    for steps in (5, 15):
        numbers = count(1)
        stop(partial(decompose, job, tmp_path / "left"), lambda _, numbers=numbers, steps=steps: next(numbers) == steps)
        assert not (tmp_path / "left").exists()
    solve(job, tmp_path / "whole")
    stop(partial(decompose, job, tmp_path / "left"), lambda _: (tmp_path / "left" / "atlas").exists())
    solve(job, tmp_path / "left", resume=True)
    assert not differing(results(tmp_path / "whole"), results(tmp_path / "left"))


def test_nothing_is_looked_for_if_that_is_not_wished(demo: DemoClip, tmp_path: Path) -> None:
    solve(Job(clip=str(demo.frames), settings=Settings.of(preset="preview", find="nothing")), tmp_path / "out")
    assert read_manifest(tmp_path / "out").names == ("background",)
    assert not (tmp_path / "out" / "masks").exists()


@pytest.mark.parametrize(
    ("mask", "code", "words"),
    [
        ("sign@4=gone.png", 3, "There is no such mask"),
        ("sign@9=KEY", 3, "is of frame 9, which is not used"),
        ("sign@4=box:10,10", 2, "marks nothing"),
        ("sign@4=clicks:900,10", 2, "outside the frame"),
        ("sign@4=box:10,10,5,20", 2, "marks nothing"),
        ("sign=box:1,1,9,9", 2, "does not say which frame"),
        ("sign@x=KEY", 2, "says no frame"),
        ("sign@4=BLACK", 3, "is black"),
        ("sign@4=SMALL", 3, "The mask is 20x10"),
        ("background@4=KEY", 3, "background"),
    ],
)
def test_what_cannot_be_carried_is_told(mask: str, code: int, words: str, demo: DemoClip, tmp_path: Path) -> None:
    write_png(tmp_path / "BLACK.png", np.zeros((112, 200, 3), np.uint8))
    write_png(tmp_path / "SMALL.png", np.zeros((10, 20, 3), np.uint8))
    mask = mask.replace("KEY", str(true_path(demo, 4)))
    for name in ("BLACK", "SMALL"):
        mask = mask.replace(name, str(tmp_path / f"{name}.png"))
    before = tree(tmp_path)
    done = nvd("decompose", demo.frames, f"--mask={mask}", "-o", tmp_path / "out")
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(tmp_path) == before


def test_masks_for_all_frames_and_for_one_of_them_are_refused(demo: DemoClip, tmp_path: Path) -> None:
    masks = (MaskSource.of(name=OBJECT, path=str(demo.masks[OBJECT])), key_of(demo, 4))
    with pytest.raises(InputError, match="for all frames and for single ones"):
        solve(Job(clip=str(demo.frames), masks=masks), tmp_path / "out")


def test_marks_are_read() -> None:
    assert MaskOrigin.parse("box:1,2,30.5,40") == mask_origins.Box(1, 2, 30.5, 40)
    assert MaskOrigin.parse("clicks:1,2;3,4;out:5,6") == Clicks(((1, 2), (3, 4)), ((5, 6),))
    assert parse_mask("dog@12=clicks:1,2") == MaskSource.of(name="dog", path="clicks:1,2", frame=12)
    for text in ("box:", "clicks:out:1,2", "clicks:1", "box:a,b,c,d"):
        with pytest.raises(UsageError, match="marks nothing"):
            MaskOrigin.parse(text)


@pytest.mark.parametrize(
    "text",
    ["box:0,0,inf,50", "box:-inf,0,50,50", "box:-900,10,-800,50", "box:20,900,60,950", "clicks:nan,1", "clicks:inf,1"],
)
def test_marks_outside_the_frame_are_refused(text: str) -> None:
    frame = texture(Size(160, 96))
    with pytest.raises(UsageError, match="outside the frame, which is 160x96"):
        mask_from_marks(MaskOrigin.parse(text), frame, Size(160, 96))


def test_a_box_that_goes_past_the_frame_is_its_part_within() -> None:
    frame = np.full((96, 160, 3), 40, np.uint8)
    frame[20:60, :50] = (220, 60, 30)
    whole, within = (
        mask_from_marks(MaskOrigin.parse(text), frame, Size(160, 96))
        for text in ("box:-9e9,10,60,70", "box:0,10,60,70")
    )
    np.testing.assert_array_equal(whole, within)
    np.testing.assert_array_equal(whole, frame[..., 0] == 220)


def test_a_guided_matte_follows_a_soft_edge() -> None:
    true = np.clip((np.arange(64, dtype=np.float32)[None, :] - 28) / 8, 0, 1).repeat(48, axis=0)
    picture = true[..., None] * np.array([0.9, 0.5, 0.2]) + (1 - true[..., None]) * np.array([0.1, 0.4, 0.8])
    rough = (true > 0.5).astype(np.float32)
    found = guided_filter(rough, picture.astype(np.float32), 8)
    assert np.abs(found - true)[8:-8, 8:-8].mean() < 0.5 * np.abs(rough - true)[8:-8, 8:-8].mean()


def test_a_matte_follows_motion_blur_past_a_mask_that_does_not_know_of_it() -> None:
    blurred = cv2.ellipse(np.zeros((160, 240), np.float32), (120, 80), (60, 45), 20, 0, 360, 1.0, -1)
    blurred = cv2.blur(blurred, (9, 1))
    ground, thing = (texture(Size(240, 160), seed).astype(np.float32) / 255 for seed in (0, 1))
    plate = blurred[..., None] * (0.4 + 0.6 * thing) + (1 - blurred[..., None]) * 0.5 * ground
    window = Window.over(Box(40, 20, 200, 140), 1.6)
    mask = Cutout(window, (warp(blurred, window.places) > 0.5).astype(np.float32))
    hard = mask.at(pixel_grid(size_of(blurred)))
    soft = matte_of(mask, plate, 1.0)
    assert np.abs(soft - blurred).sum() < 0.65 * np.abs(hard - blurred).sum()
    assert np.array_equal(soft, matte_of(mask, plate, 1.0))


@pytest.mark.parametrize(("left", "top"), [(-90, 10), (300, 10), (10, -90), (10, 300), (-90, 300)])
def test_what_has_left_the_frame_has_no_matte(left: int, top: int) -> None:
    outside = Cutout(Window(left, top, 1, 20, 20), np.ones((20, 20), np.float32))
    plate = np.zeros((90, 160, 3), np.float32)
    for scale in (1.0, 2.0):
        assert not matte_of(outside, plate, scale).any()


def test_the_benchmark_says_how_well_masks_agree(demo: DemoClip, tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    shutil.copytree(demo.frames.parent, tmp_path / "clips" / "demo")
    script = Path(__file__).parents[2] / "benchmarks" / "masks.py"
    done = subprocess.run([sys.executable, script, tmp_path / "clips"], check=True, capture_output=True, text=True)
    found = re.fullmatch(r"demo sign IoU (0\.\d+) \(worst frame 0\.\d+\), from frame 5\n", done.stdout)
    assert found
    assert float(found[1]) > 0.9
