"""Bad input: one sentence on standard error, exit code 3, and nothing left behind."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
from support import (
    SIZE,
    command,
    differing,
    disc,
    is_root,
    numbered,
    nvd,
    results,
    sliding,
    tree,
    wait_until,
    write_masks,
    write_video,
)

from nvd_core.__main__ import main
from nvd_core.clip.pictures import write_png
from nvd_core.image.exr import write_exr
from nvd_core.spec.conventions import Size

COUNT = 3
Arguments = list[object]


def refused(done: subprocess.CompletedProcess[str], *words: str, noisy: bool = False) -> str:
    """Check that a command ended as bad input does; its sentence is returned."""
    assert done.returncode == 3, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert noisy or len(lines) == 1, done.stderr
    assert lines[-1].startswith("nvd: ")
    assert lines[-1].endswith(".")
    for word in words:
        assert word in lines[-1]
    return lines[-1]


def clip(at: Path, count: int = COUNT) -> Path:
    return sliding(at / "clip", count)


def masks(at: Path, count: int = COUNT, size: Size = SIZE, value: int = 1) -> str:
    return f"--mask=disc={write_masks(at / 'masks', [disc((40, 40), size=size) * np.uint8(value)] * count)}"


def missing_file(at: Path) -> tuple[Arguments, str]:
    return [at / "nothing.mp4"], "nothing.mp4"


def missing_pattern(at: Path) -> tuple[Arguments, str]:
    return [at / "shot.####.exr"], "shot.####.exr"


def text_named_mp4(at: Path) -> tuple[Arguments, str]:
    (at / "notes.mp4").write_text("not a film")
    return [at / "notes.mp4"], "no video"


def empty_file_named_mov(at: Path) -> tuple[Arguments, str]:
    (at / "empty.mov").touch()
    return [at / "empty.mov"], "no video"


def text_named_png(at: Path) -> tuple[Arguments, str]:
    (at / "notes.png").write_text("not a picture")
    return [at / "notes.png"], "no picture"


def text_named_exr(at: Path) -> tuple[Arguments, str]:
    (at / "notes.exr").write_text("not a picture")
    return [at / "notes.exr"], "no picture"


def empty_folder(at: Path) -> tuple[Arguments, str]:
    (at / "none").mkdir()
    return [at / "none"], "no numbered pictures"


def two_sequences(at: Path) -> tuple[Arguments, str]:
    for name in ("a.1.png", "a.2.png", "b.1.png"):
        write_png(at / "both" / name, numbered(1))
    return [at / "both"], "several sequences"


def gap(at: Path) -> tuple[Arguments, str]:
    (clip(at, 5) / "pan.0003.png").unlink()
    return [at / "clip"], "lacks frames 3 "


def video_cut_before_its_index(at: Path) -> tuple[Arguments, str]:
    return [cut(write_video(at / "cut.mp4", (numbered(index) for index in range(30))))], "The video is cut off"


def video_cut_after_its_index(at: Path) -> tuple[Arguments, str]:
    film = write_video(at / "cut.mp4", (numbered(index) for index in range(30)), movflags="faststart")
    return [cut(film)], "cut off"


def cut(film: Path) -> Path:
    """Leave the first 60 percent of a file."""
    os.truncate(film, film.stat().st_size * 6 // 10)
    return film


def picture_cut(at: Path) -> tuple[Arguments, str]:
    return [cut(clip(at) / "pan.0002.png").parent], "damaged"


def exr_cut(at: Path) -> tuple[Arguments, str]:
    for number in (1, 2):
        plane = np.random.default_rng(number).random((SIZE.height, SIZE.width), np.float32)
        write_exr(at / "exr" / f"a.{number}.exr", dict.fromkeys("RGB", plane))
    return [cut(at / "exr" / "a.2.exr").parent], "damaged"


def exr_of_nan(at: Path) -> tuple[Arguments, str]:
    planes = dict.fromkeys("RGB", np.full((64, 64), np.nan, np.float32))
    OpenEXR.File({"type": OpenEXR.scanlineimage}, planes).write(str(at / "nan.exr"))  # which we would not write
    return [at / "nan.exr"], "not numbers"


def exr_without_rgb(at: Path) -> tuple[Arguments, str]:
    write_exr(at / "depth.exr", {"depth.Z": np.ones((64, 64), np.float32)})
    return [at / "depth.exr"], "no plain R, G, B"


def frames_of_two_sizes(at: Path) -> tuple[Arguments, str]:
    write_png(clip(at) / "pan.0003.png", numbered(1, Size(80, 48)))
    return [at / "clip"], "80x48"


def range_beyond_the_clip(at: Path) -> tuple[Arguments, str]:
    return [clip(at), "--frames=2-9"], "1-3"


def range_of_words(at: Path) -> tuple[Arguments, str]:
    return [clip(at), "--frames=all"], "'all'"


def missing_masks(at: Path) -> tuple[Arguments, str]:
    return [clip(at), f"--mask=disc={at / 'nowhere'}"], "nowhere"


def masks_of_another_size(at: Path) -> tuple[Arguments, str]:
    return [clip(at), masks(at, size=Size(96, 96))], "The mask is 96x96, the clip is 160x96"


def masks_of_another_number(at: Path) -> tuple[Arguments, str]:
    return [clip(at), masks(at, COUNT - 1)], "There are 2 masks, numbered 1-2, and 3 frames, numbered 1-3"


def video_masks_of_another_number(at: Path) -> tuple[Arguments, str]:
    film = write_video(at / "masks.mp4", (np.dstack([disc((40, 40))] * 3) for _ in range(COUNT + 1)))
    return [clip(at), f"--mask=disc={film}"], "There are 4 masks, numbered 1-4, and 3 frames, numbered 1-3"


def masks_all_black(at: Path) -> tuple[Arguments, str]:
    return [clip(at), masks(at, value=0)], "black in every frame"


def layer_name_with_a_dot(at: Path) -> tuple[Arguments, str]:
    return [clip(at), masks(at).replace("disc=", "my.disc=")], "my.disc"


def layer_name_twice(at: Path) -> tuple[Arguments, str]:
    return [clip(at), masks(at), masks(at)], "more than one layer"


def layer_called_background(at: Path) -> tuple[Arguments, str]:
    return [clip(at), masks(at).replace("disc=", "background=")], "is what the rest of the clip is called"


CASES = [
    missing_file, missing_pattern, text_named_mp4, empty_file_named_mov, text_named_png, text_named_exr, empty_folder,
    two_sequences, gap, video_cut_before_its_index, video_cut_after_its_index, picture_cut, exr_cut, exr_of_nan,
    exr_without_rgb, frames_of_two_sizes, range_beyond_the_clip, range_of_words, missing_masks, masks_of_another_size,
    masks_of_another_number, video_masks_of_another_number, masks_all_black, layer_name_with_a_dot, layer_name_twice,
    layer_called_background,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_bad_clips_and_masks_are_refused(
    case: Callable[[Path], tuple[Arguments, str]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arguments, words = case(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    arguments = ["nvd", "decompose", *map(str, arguments), "-o", str(tmp_path / "deep" / "out"), "--preset=preview"]
    monkeypatch.setattr(sys, "argv", arguments)
    capfd.readouterr()
    done = subprocess.CompletedProcess(arguments, main(), *capfd.readouterr())
    refused(done, words, noisy=case is exr_cut)  # OpenEXR itself speaks before we do
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("case", [missing_file, text_named_mp4, video_cut_after_its_index, masks_all_black])
def test_the_same_from_a_shell(case: Callable[[Path], tuple[Arguments, str]], tmp_path: Path) -> None:
    arguments, words = case(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    refused(nvd("decompose", *arguments, "-o", tmp_path / "deep" / "out"), words)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(nvd("decompose", clip(tmp_path), "-o", tmp_path / "file" / "out"), "cannot be written")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    refused(nvd("decompose", clip(tmp_path), "-o", tmp_path / "file"), "is a file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(is_root(), reason="root may write anywhere")
def test_a_folder_without_write_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(nvd("decompose", clip(tmp_path), "-o", tmp_path / "locked" / "out"), "cannot be written")


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    photos = sliding(tmp_path / "photos", 2)
    before = tree(photos)
    refused(nvd("decompose", clip(tmp_path), "-o", photos), "something else")
    assert tree(photos) == before


def test_a_bad_job_leaves_an_earlier_result_as_it_was(own_folder: Path, tmp_path: Path) -> None:
    before = tree(own_folder)
    refused(nvd("decompose", clip(tmp_path), masks(tmp_path, value=0), "-o", own_folder, "--replace"), "black")
    assert tree(own_folder) == before


def test_a_disk_that_cannot_hold_the_result_is_foreseen(tmp_path: Path) -> None:
    side = 4096
    picture = tmp_path / "huge.png"
    picture.write_bytes(cv2.imencode(".png", np.zeros((side, side), np.uint8))[1].tobytes())
    (tmp_path / "clip").mkdir()
    for number in range(int(shutil.disk_usage(tmp_path).free / (18 * side**2)) + 1):
        os.link(picture, tmp_path / "clip" / f"huge.{number:06d}.png")
    refused(nvd("decompose", tmp_path / "clip", "-o", tmp_path / "out"), "disk is full", "MB are free")
    assert not (tmp_path / "out").exists()


def test_no_room_for_a_first_checkpoint_leaves_nothing_behind(tmp_path: Path) -> None:
    """The system ends every file at 16 KB here, as it does on a disk that is full or a quota that is used up."""
    frames = clip(tmp_path)
    limit = 16 << 10
    done = nvd(
        "decompose", frames, "-o", tmp_path / "out", "--preset=preview",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    refused(done, "disk is full", "and resume")
    assert not (tmp_path / "out").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of a few megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.skipif(not is_root(), reason="only root may mount a file system")
@pytest.mark.parametrize("when", ["background.map", "background.atlas"])
def test_a_job_that_filled_the_disk_goes_on_once_there_is_room(when: str, small_disk: Path, tmp_path: Path) -> None:
    folder, ballast = small_disk / "out", small_disk / "ballast"
    arguments = [sliding(tmp_path / "clip", 12), "--preset=preview", "--find=nothing"]
    run = command("decompose", *arguments, "-o", folder)
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until((folder / "checkpoint" / f"{when}.safetensors").is_file, process)
        with pytest.raises(OSError, match="No space"):
            ballast.write_bytes(bytes(16 << 20))
        out, talk = process.communicate()
    refused(subprocess.CompletedProcess(run, process.returncode, out, talk), "disk is full", "and resume")
    assert not (folder / "manifest.json").exists()
    assert not list(folder.rglob("*.part*"))
    ballast.unlink()
    assert nvd("decompose", *arguments, "-o", folder, "--resume").returncode == 0
    assert nvd("decompose", *arguments, "-o", tmp_path / "roomy").returncode == 0
    assert differing(results(folder), results(tmp_path / "roomy")) == []
