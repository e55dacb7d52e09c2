"""EXRs whose data window is not their display window: the display window is the plate, from end to end."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
from OpenImageIO import ImageBuf
from overscan import (
    CLIPS,
    FRAME,
    WHOLE,
    Overscan,
    colour,
    decomposed,
    job_of,
    shown,
    write_clip,
    write_exr_with_windows,
)
from support import solve, stop, tree

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.export.plates import need_copies
from nvd_core.faces.cli import run
from nvd_core.image.colour import display_from_linear, to_uint8
from nvd_core.pipeline import decompose
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.forecast import Needs
from nvd_core.spec.manifest import read_manifest
from nvd_core.spec.protocol import Stage
from nvd_core.spec.settings import MaskSource, Settings


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[np.ndarray]]]:
    """Decompositions of all of these clips, and the clips' display windows."""
    places = {name: tmp_path_factory.mktemp("clip") for name in CLIPS}
    return {name: (at, [colour(file) for file in decomposed(at, CLIPS[name])]) for name, at in places.items()}


@pytest.mark.parametrize("name", CLIPS)
def test_the_plate_is_the_display_window(name: str, tmp_path: Path) -> None:
    files = write_clip(tmp_path, CLIPS[name])
    clip = open_clip(tmp_path)
    assert clip.info.size == FRAME
    for plate, file in zip(clip.frames(clip.info.numbers), files, strict=True):
        assert np.array_equal(plate, colour(file))


@pytest.mark.parametrize("name", CLIPS)
def test_what_is_not_painted_on_is_the_plate(
    name: str, clips: dict[str, tuple[Path, list[np.ndarray]]], tmp_path: Path
) -> None:
    at, plates = clips[name]
    for kind in ("exr", "png"):
        assert run(["render", str(at / "out"), "--format", kind, "-o", str(tmp_path / kind)]) == 0
    for path, plate in zip(sorted((tmp_path / "exr").iterdir()), plates, strict=True):
        assert np.array_equal(read_rgb(path), plate)
    for path, plate in zip(sorted((tmp_path / "png").iterdir()), plates, strict=True):
        assert np.array_equal(read_rgb(path), to_uint8(display_from_linear(plate)))


@pytest.mark.parametrize("name", CLIPS)
def test_copies_for_blender_are_the_display_window(name: str, clips: dict[str, tuple[Path, list[np.ndarray]]]) -> None:
    at, plates = clips[name]
    manifest = read_manifest(at / "out")
    assert manifest.source.has_copies
    assert any("Blender shows the data window" in one for one in manifest.warnings)
    copies = [manifest.copy_path(at / "out", number) for number in manifest.source.numbers]
    assert sorted((at / "out" / "plate").iterdir()) == copies
    for path, plate in zip(copies, plates, strict=True):
        assert np.array_equal(colour(path), plate)
        assert shown(path).shape[2] == len(CLIPS[name].names)
    assert not need_copies(open_clip(at / "out" / "plate").info, manifest.source.numbers)


def test_frames_of_several_sizes_are_refused(tmp_path: Path) -> None:
    first, *_ = write_clip(tmp_path, CLIPS["overscan"])
    plane = np.zeros((4, 4), np.float16)
    write_exr_with_windows(first, dict.fromkeys("RGB", plane), (0, 0, 3, 3), (0, 0))
    shutil.copy(first, tmp_path / "shot.0004.exr")
    assert [plate.shape for plate in open_clip(tmp_path).frames(range(1, 5))] == [(64, 96, 3)] * 4
    data = bytearray((tmp_path / "shot.0002.exr").read_bytes())
    place = data.index(b"displayWindow\0box2i\0") + 24
    data[place + 8 : place + 12] = (100).to_bytes(4, "little")
    (tmp_path / "shot.0002.exr").write_bytes(data)
    with pytest.raises(InputError, match="The frame is 101x64, the clip is 96x64"):
        list(open_clip(tmp_path).frames(range(1, 4)))


def test_only_frames_that_are_used_are_looked_at(tmp_path: Path) -> None:
    files = write_clip(tmp_path, CLIPS["but the last frame is whole"])
    info = open_clip(tmp_path).info
    assert need_copies(info, range(1, 4))
    assert not need_copies(info, range(1, 3))
    files[0].write_bytes(files[0].read_bytes()[:60])
    assert need_copies(info, range(1, 4)), "a damaged one is told when it is read"


def test_a_mask_that_was_drawn_over_what_blender_shows_is_refused(tmp_path: Path) -> None:
    at = tmp_path
    write_clip(at / "clip", CLIPS["overscan"])
    mask = at / "mask.png"
    write_png(mask, np.full((76, 116, 3), 255, np.uint8))  # of the size that Blender knows
    before = tree(at)
    with pytest.raises(InputError, match=r"data window of the EXRs.*and box was drawn over it"):
        solve(job_of(at, mask, drawn=True), at / "out")
    assert tree(at) == before
    write_clip(at / "clip", Overscan((WHOLE,) * 3))
    write_png(mask, np.full((64, 96, 3), 255, np.uint8))
    solve(job_of(at, mask, drawn=True), at / "out")


@pytest.mark.parametrize("data", [(-10, -6, 105, 69), (20, 10, 70, 55)])
def test_masks_may_have_overscan_or_be_cropped_too(data: tuple[int, int, int, int], tmp_path: Path) -> None:
    """Whatever their own data window, they lie on the display window, as the plates do."""
    write_clip(tmp_path / "clip", CLIPS["cropped to what is there, with alpha"])
    y, x = np.mgrid[data[1] : data[3] + 1, data[0] : data[2] + 1]
    blob = (np.hypot(x - 45, y - 32) < 18).astype(np.float16)
    mask = write_exr_with_windows(tmp_path / "mask.exr", {"matte.V": blob}, data, (3, -7))
    solve(job_of(tmp_path, mask, locked=True), tmp_path / "out")
    alpha = channel(tmp_path / "out/frames/shot.0001.exr", "box.alpha.V")
    assert np.array_equal(alpha, np.hypot(*np.mgrid[-32:32, -45:51]) < 18)


def channel(path: Path, name: str) -> np.ndarray:
    return shown(path)[..., ImageBuf(str(path)).spec().channelindex(name)]


def test_the_alpha_of_a_cropped_clip_is_nothing_outside_of_what_it_stores(tmp_path: Path) -> None:
    files = write_clip(tmp_path / "clip", CLIPS["cropped to what is there, with alpha"])
    job = job_of(tmp_path, tmp_path)
    solve(replace(job, masks=(MaskSource.of(name="box", path="alpha", locked=True),)), tmp_path / "out")
    for frame, file in zip(sorted((tmp_path / "out" / "frames").iterdir()), files, strict=True):
        assert np.array_equal(channel(frame, "box.alpha.V"), shown(file)[..., 3])
        assert channel(frame, "box.alpha.V").min() == 0


def test_a_result_that_replaces_another_has_copies_only_if_it_needs_them(tmp_path: Path) -> None:
    decomposed(tmp_path, CLIPS["overscan"])
    write_clip(tmp_path / "clip", Overscan((WHOLE,) * 3))
    solve(job_of(tmp_path, tmp_path / "masks"), tmp_path / "out", replaces=True)
    assert not read_manifest(tmp_path / "out").source.has_copies
    assert not [*(tmp_path / "out").glob("plate/*")]
    write_clip(tmp_path / "clip", CLIPS["overscan"])
    solve(job_of(tmp_path, tmp_path / "masks"), tmp_path / "out", replaces=True)
    assert len([*(tmp_path / "out").glob("plate/*")]) == 3


def test_copies_are_taken_up_when_a_run_was_cut_off(tmp_path: Path) -> None:
    decomposed(tmp_path, CLIPS["overscan"])
    whole = tree(tmp_path / "out" / "plate")
    job = job_of(tmp_path, tmp_path / "masks")
    stop(partial(decompose, job, tmp_path / "again"), lambda event: event == Stage(name="measure"))
    assert tree(tmp_path / "again/checkpoint/result/plate") == whole
    solve(job_of(tmp_path, tmp_path / "masks"), tmp_path / "again", resume=True)
    assert tree(tmp_path / "again" / "plate") == whole


def test_the_disk_must_hold_the_copies() -> None:
    plain, copied = (Needs.of(Size(1920, 1080), 10, (), Settings(), has_copies=has) for has in (False, True))
    assert copied.disk_bytes - plain.disk_bytes >= 1920 * 1080 * 10 * 12


def test_nothing_is_rendered_or_decomposed_over_the_copies(tmp_path: Path) -> None:
    decomposed(tmp_path, CLIPS["overscan"])
    before = tree(tmp_path)
    assert run(["render", str(tmp_path / "out"), "-o", str(tmp_path / "out" / "plate")]) == 3
    job = replace(job_of(tmp_path, tmp_path / "masks"), clip=str(tmp_path / "out" / "plate"))
    with pytest.raises(InputError, match="written over what it is made from"):
        solve(job, tmp_path / "out", replaces=True)
    assert tree(tmp_path) == before


def test_a_cropped_atlas_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Blender would show the part as the whole."""
    decomposed(tmp_path, Overscan((WHOLE,) * 3))
    atlas = tmp_path / "out/atlas/box.exr"
    height, width = read_rgb(atlas).shape[:2]
    patch = dict.fromkeys("RGBA", np.ones((10, 10), np.float16))
    window = {"dataWindow": (5, 5, 14, 14), "displayWindow": (0, 0, width - 1, height - 1)}
    header = {name: (np.array(box[:2], np.int32), np.array(box[2:], np.int32)) for name, box in window.items()}
    OpenEXR.File({"type": OpenEXR.scanlineimage} | header, patch).write(str(tmp_path / "crop.exr"))
    command = ["render", tmp_path / "out", "-o", tmp_path / "edit", "--atlas", f"box={tmp_path / 'crop.exr'}"]
    assert run([str(argument) for argument in command]) == 3
    assert "The data window of the atlas of box is not its display window" in capsys.readouterr().err
