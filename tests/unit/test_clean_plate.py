"""Taking objects out of the shot: what is behind them shows, the rest stays the plate, and what is invented is told."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import SIZE, disc, nvd

from nvd_core.faces import demo_clip
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.image.colour import display_from_linear, to_linear, to_uint8
from nvd_core.image.exr import read_exr, rgba_channels, write_exr
from nvd_core.result.composite import Hidden, LayerEdits, composite
from nvd_core.result.decomposition import Decomposition, Frame
from nvd_core.result.rendering import render
from nvd_core.shot.compositing import Look, hole, light_in_hole
from nvd_core.shot.solution import LayerFrame
from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import read_manifest


def truth(clip: DemoClip, index: int, count: int, size: tuple[int, int]) -> np.ndarray:
    """The demo's frame without its sign."""
    nothing = np.zeros_like(demo_clip._sign())
    to_wall, to_sign = clip.motions["background"][index], clip.motions["sign"][index]
    return demo_clip._frame(demo_clip._wall(), nothing, to_wall, to_sign, index / (count - 1), size)[0]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(one.astype(float) - other).mean()))


@pytest.mark.parametrize("mode", ["keep-plate", "rebuild"])
def test_a_hidden_objects_place_shows_the_wall_as_it_is_lit(mode: str, solved: Decomposition, demo: DemoClip) -> None:
    frames = list(solved.frames())
    found, plates, wall = [], [], []
    for index, (done, frame) in enumerate(zip(render(solved, {}, mode, hidden=["sign"]), frames, strict=True)):
        where = frame.layers["sign"].alpha > 0
        found.append(to_uint8(display_from_linear(done.linear))[where])
        plates.append(frame.plate[where])
        wall.append(truth(demo, index, len(frames), solved.size)[where])
    assert psnr(np.concatenate(found), np.concatenate(wall)) > 24
    assert psnr(np.concatenate(plates), np.concatenate(wall)) < 12


def test_outside_of_the_hole_the_plate_stays_to_the_last_bit(solved: Decomposition) -> None:
    for done, frame in zip(render(solved, {}, "keep-plate", hidden=["sign"]), solved.frames(), strict=True):
        far = cv2.dilate(frame.layers["sign"].alpha, np.ones((9, 9), np.uint8)) == 0
        plate = to_linear(frame.plate)
        assert far.any()
        assert np.array_equal(done.linear[far], plate[far])
        assert not np.array_equal(done.linear, plate)


def test_paint_on_the_wall_shows_in_the_hole(solved: Decomposition, tmp_path: Path) -> None:
    atlas = np.full((*solved.original("background").shape[:2], 4), (0, 1, 0, 1), np.float16)
    write_exr(tmp_path / "a.exr", rgba_channels(atlas))
    (frame,) = solved.frames([4])
    done = list(render(solved, {"background": tmp_path / "a.exr"}, "keep-plate", hidden=["sign"]))[3]
    under = done.linear[frame.layers["sign"].alpha == 1]
    assert (under[:, 1] > 10 * under[:, [0, 2]].max(axis=-1)).all()


def test_the_hole_is_softly_edged_and_wider_than_the_object() -> None:
    thing = (disc((80, 48), 20, SIZE) > 0).astype(np.float32)
    matte = hole(thing)
    assert (matte[cv2.dilate(thing, np.ones((3, 3))) > 0] == 1).all()
    assert (matte[cv2.dilate(thing, np.ones((11, 11))) == 0] == 0).all()
    assert ((matte > 0.1) & (matte < 0.9)).any()
    assert not hole(np.zeros_like(thing)).any()


def test_on_the_rim_the_light_is_that_under_the_object() -> None:
    """The measured light beside it is its shadow's."""
    thing = (disc((80, 48), 20, SIZE) > 0).astype(np.float32)
    residual = np.where(thing[..., None] > 0, 1, 0.2).astype(np.float32) * np.ones(3, np.float32)
    matte = hole(thing)
    lit = light_in_hole(residual, 1 - thing, matte)
    np.testing.assert_allclose(lit[matte > 0], 1, rtol=1e-4)
    assert (lit[matte == 0] == residual[matte == 0]).mean() > 0.9
    assert light_in_hole(residual, np.ones_like(thing), matte) is residual, "nothing is wholly hidden"


def test_no_shadow_is_left_on_the_rim_of_the_hole() -> None:
    thing = (disc((80, 48), 20, SIZE) > 0).astype(np.float32)
    lit = np.where(thing[..., None] > 0, 1, 0.2).astype(np.float32) * np.ones(3, np.float32)
    uv_atlas = np.full((*thing.shape, 2), 0.5, np.float32)
    parts = {"thing": LayerFrame(uv_atlas, thing, lit), "wall": LayerFrame(uv_atlas, 1 - thing, lit)}
    plate = np.where(thing[..., None] > 0, 0.9, 0.1).astype(np.float32) * np.ones(3, np.float32)
    atlas = np.full((4, 4, 3), 0.5, np.float32)
    edits = {name: LayerEdits(atlas, atlas) for name in parts}
    hidden = Hidden(frozenset({"thing"}), np.ones((4, 4), np.float32))
    done = composite(Frame(1, plate, parts, plate), ["object", "background"], edits, "keep-plate", {}, hidden)
    matte = hole(thing)
    np.testing.assert_allclose(done.linear[matte == 1], 0.5, rtol=1e-3)
    assert np.array_equal(done.linear[matte == 0], plate[matte == 0])
    assert (done.filled_px, done.invented_px) == (np.count_nonzero(matte > 0.5), 0)


@pytest.mark.parametrize("look", [Look(opacity=0.5), Look(gain=2), Look(light=0)])
def test_looks_are_the_paints_in_the_hole_as_beside_it(look: Look, solved: Decomposition) -> None:
    plain, other = (
        next(render(solved, {}, "keep-plate", looks, hidden=["sign"])) for looks in ({}, {"background": look})
    )
    assert np.array_equal(plain.linear, other.linear)


def test_black_of_a_compressed_mask_makes_no_hole() -> None:
    thing = np.maximum(disc((80, 48), 20, SIZE) > 0, np.float32(2 / 255)).astype(np.float32)
    assert np.array_equal(hole(thing), hole((thing == 1).astype(np.float32)))


def test_the_command_says_what_is_invented(own_folder: Path, tmp_path: Path) -> None:
    done = nvd("render", own_folder, "--clean-plate", "--json", "-o", tmp_path / "seen")
    assert done.returncode == 0, done.stderr
    share = json.loads(done.stdout)["invented_share"]
    assert 0 <= share < 0.5

    manifest = read_manifest(own_folder)
    path = own_folder / manifest.original_files["background"]
    _, channels = read_exr(path)
    channels["A"][:] = 0  # as if no frame had shown the wall
    write_exr(path, channels)
    done = nvd("render", own_folder, "--hide=sign", "--json", "-o", tmp_path / "invented")
    assert json.loads(done.stdout)["invented_share"] == 1
    assert "100% of the filled area is seen in no frame" in done.stderr
    assert "invented_share" not in json.loads(nvd("render", own_folder, "--json", "-o", tmp_path / "all").stdout)

    for frame in (own_folder / "frames").iterdir():
        _, channels = read_exr(frame)
        channels["sign.alpha.V"][:], channels["background.alpha.V"][:] = 0, 1
        write_exr(frame, channels)
    done = nvd("render", own_folder, "--hide=sign", "--json", "-o", tmp_path / "nothing")
    assert json.loads(done.stdout)["invented_share"] == 0
    assert "nothing to fill" in done.stderr


@pytest.mark.parametrize(
    ("name", "words"), [("background", "Nothing is behind the background"), ("dog", "no layer 'dog'")]
)
def test_what_cannot_be_hidden_is_refused(name: str, words: str, solved: Decomposition, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        render(solved, {}, "keep-plate", hidden=[name])
    done = nvd("render", solved.folder, f"--hide={name}", "-o", tmp_path / "out")
    assert done.returncode == 3
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_clean_plate_of_a_background_alone_is_refused(own_folder: Path, tmp_path: Path) -> None:
    path = own_folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"layers": ["background"]}))
    done = nvd("render", own_folder, "--clean-plate", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "takes objects out, and the result has none" in done.stderr
    assert not (tmp_path / "out").exists()
