"""Paint on a frame goes into the atlases: that frame shows it as painted, and nothing else of the atlases changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from support import differing, job_of, nvd, solve, tree

from nvd_core.clip.pictures import write_png
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.image.colour import display_from_linear, to_display, to_linear, to_uint8
from nvd_core.image.exr import read_stored, rgba_channels, write_exr
from nvd_core.result import paint_on_shot as module
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.paint_on_shot import ALONE, PaintedFrame, paint_on_shot, undo_paint
from nvd_core.result.rendering import render
from nvd_core.result.strokes import mixed
from nvd_core.shot.compositing import look_up
from nvd_core.spec import safe_replace
from nvd_core.spec.conventions import HIDDEN_BELOW, x_from_u, y_from_v
from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import read_manifest

BOTH, SIGN, WALL = (90, 55), (100, 48), (34, 84)
"""Places in frame 4: on the sign's left edge, on the sign alone, on the wall alone."""

RED, BLUE = (230, 40, 30), (30, 60, 220)


def sheet(path: Path, at: tuple[int, int], radius: float, colour: tuple[int, int, int], opacity: float = 1) -> Path:
    """A transparent picture with one round, antialiased stroke, as painting programs save it."""
    down, across = np.mgrid[:112, :200]
    alpha = opacity * np.clip(radius - np.hypot(across - at[0], down - at[1]), 0, 1)
    picture = np.dstack([np.full((112, 200, 3), colour[::-1]), np.rint(255 * alpha)]).astype(np.uint8)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return path


def opacity_of(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 3].astype(np.float32) / 255


def shown(decomposition: Decomposition, number: int) -> np.ndarray:
    """A frame as it is rendered now, linear light."""
    return next(one.linear for one in render(decomposition, {}, "keep-plate") if one.number == number)


def laid(below: np.ndarray, path: Path, colour: tuple[int, int, int]) -> np.ndarray:
    """A sheet over a frame, as a painting program shows it; display-encoded."""
    over = np.broadcast_to(np.float32(colour) / 255, below.shape)
    return display_from_linear(mixed(below, over, opacity_of(path), is_display=True))


def off(linear: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Deviation of every pixel from what it is to show, in steps of 8 bits."""
    return 255 * np.abs(np.clip(display_from_linear(linear), 0, 1) - np.clip(wanted, 0, 1)).max(axis=-1)


def owned_by_one(decomposition: Decomposition, number: int) -> np.ndarray:
    layers = decomposition.one_frame(number).layers.values()
    return np.max([layer.alpha for layer in layers], axis=0) >= ALONE


def resize(folder: Path, density: float) -> None:
    """Save all atlases at another size, as a painting program does."""
    for name in read_manifest(folder).atlas_files.values():
        _, channels = read_stored(folder / name)
        size = [round(side * density) for side in reversed(channels["R"].shape)]
        resized = {key: cv2.resize(one.astype(np.float32), size) for key, one in channels.items()}
        write_exr(folder / name, {key: one.astype(np.float16) for key, one in resized.items()})


def surely(decomposition: Decomposition, layer: str, number: int) -> np.ndarray:
    """Pixels of a frame where paint on a layer is seen, but for its border."""
    texels = (decomposition.painted(layer) != decomposition.original(layer)).any(axis=-1).astype(np.float32)
    part = decomposition.one_frame(number).layers[layer]
    inner = look_up(cv2.erode(texels, np.ones((9, 9)))[..., None], part.uv_atlas)[..., 0] == 1
    assert (inner & (part.alpha == 1)).sum() > 100
    return inner & (part.alpha == 1)


@pytest.mark.parametrize(("density", "finer"), [(0.5, True), (1, False), (2, False)])
@pytest.mark.parametrize("form", ["sheet", "picture"])
def test_a_frame_shows_what_was_painted_on_it(
    form: str, density: float, finer: bool, own_folder: Path, tmp_path: Path
) -> None:
    if density != 1:
        resize(own_folder, density)
    decomposition = Decomposition.open(own_folder)
    path = sheet(tmp_path / "sheet.png", BOTH, 30, RED)
    strokes, wanted = opacity_of(path) > 0, laid(before := shown(decomposition, 4), path, RED)
    if form == "picture":
        write_png(path, to_uint8(wanted))
        wanted = to_uint8(wanted).astype(np.float32) / 255
    done = paint_on_shot(decomposition, 4, path, finer=finer)
    assert set(done.texels) == {"sign", "background"}
    alone, after = owned_by_one(decomposition, 4), shown(decomposition, 4)
    deviation = off(after, wanted)[alone & strokes]
    assert (deviation > 2).mean() < (0.005 if density == 1 else 0.001)  # of a preset with few texels
    assert deviation.max() < 10
    assert np.median(off(before, wanted)[alone & strokes]) > 50, "the paint is hardly seen"
    edge = strokes & ~alone
    assert off(after, wanted)[edge].mean() < off(before, wanted)[edge].mean() / 3
    far = cv2.dilate(strokes.astype(np.uint8), np.ones((9, 9))) == 0
    assert np.array_equal(after[far], before[far]) or (finer and off(after, display_from_linear(before))[far].max() < 1)


def test_where_the_atlas_is_too_coarse_it_is_told(own_folder: Path, tmp_path: Path) -> None:
    resize(own_folder, 0.5)
    path = sheet(tmp_path / "sheet.png", SIGN, 20, RED)
    done = nvd("paint", own_folder, path, "--frame=4", "--layer=sign", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["off"] > 0.01 * told["pixels"]
    assert "--finer" in done.stderr
    inner = sheet(tmp_path / "inner.png", SIGN, 12, RED)
    decomposition = Decomposition.open(own_folder)
    inside = opacity_of(inner) == 1
    assert off(shown(decomposition, 4), np.float32(RED) / 255)[inside].max() <= 2


def test_texels_that_no_stroke_covers_and_hidden_layers_keep_their_bits(own_folder: Path, tmp_path: Path) -> None:
    decomposition = Decomposition.open(own_folder)
    path = sheet(tmp_path / "sheet.png", BOTH, 30, RED)
    frame, strokes = decomposition.one_frame(4), opacity_of(path) > 0
    files = {name: own_folder / file for name, file in decomposition.manifest.atlas_files.items()}
    before = {name: read_stored(file)[1] for name, file in files.items()}
    paint_on_shot(decomposition, 4, path)
    for name, file in files.items():
        after, layer = read_stored(file)[1], frame.layers[name]
        rows, columns = after["R"].shape
        seen = strokes & (layer.alpha >= HIDDEN_BELOW)
        x, y = x_from_u(layer.uv_atlas[..., 0], columns)[seen], y_from_v(layer.uv_atlas[..., 1], rows)[seen]
        near = np.zeros((rows, columns), np.uint8)
        near[np.clip(np.rint(y), 0, rows - 1).astype(int), np.clip(np.rint(x), 0, columns - 1).astype(int)] = 1
        near = cv2.dilate(near, np.ones((7, 7))) > 0
        same = np.all([after[channel] == before[name][channel] for channel in "RGBA"], axis=0)
        assert same[~near].all()
        assert 100 < np.count_nonzero(~same) < np.count_nonzero(near)
        assert {channel: one.dtype for channel, one in after.items()} == dict.fromkeys("RGBA", np.float16)
    behind = strokes & (frame.layers["sign"].alpha == 1)
    assert behind.sum() > 500, "the sign hides no painted wall"


def test_a_stroke_on_an_object_does_not_run_out_over_the_background(own_folder: Path, tmp_path: Path) -> None:
    decomposition = Decomposition.open(own_folder)
    sign = decomposition.one_frame(4).layers["sign"].alpha
    picture = np.dstack([np.full((112, 200, 3), RED[::-1]), 255 * (sign >= HIDDEN_BELOW)]).astype(np.uint8)
    (tmp_path / "sheet.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    assert [*paint_on_shot(decomposition, 4, tmp_path / "sheet.png").texels] == ["sign"]


def test_frames_merge_and_the_newest_wins(own_folder: Path, tmp_path: Path) -> None:
    decomposition = Decomposition.open(own_folder)
    red = sheet(tmp_path / "red.png", (95, 50), 14, RED)
    paint_on_shot(decomposition, 4, red)
    beside = shown(decomposition, 4)
    plate = next(iter(decomposition.clip.frames([6])))  # a grab of the clip, which knows of no paint
    grab = cv2.circle(plate.copy(), (128, 60), 9, BLUE, -1)
    write_png(tmp_path / "grab.png", grab)
    paint_on_shot(decomposition, 6, tmp_path / "grab.png")
    both = shown(decomposition, 4)
    blue = (both[..., 2] > 2 * both[..., 0]) & (beside[..., 2] < beside[..., 0])
    assert blue.sum() > 50, "the second stroke is not seen in the first frame"
    kept = (opacity_of(red) == 1) & (cv2.dilate(blue.astype(np.uint8), np.ones((9, 9))) == 0)
    assert kept.sum() > 150
    np.testing.assert_allclose(both[kept], beside[kept], atol=0.01)
    assert off(shown(decomposition, 6), to_display(grab))[(grab == BLUE).all(axis=-1)].max() <= 2


def test_other_frames_show_the_paint_in_their_own_light(own_folder: Path, tmp_path: Path) -> None:
    decomposition = Decomposition.open(own_folder)
    paint_on_shot(decomposition, 4, sheet(tmp_path / "sheet.png", WALL, 16, (128, 128, 128)))
    grey, lights = to_linear(np.uint8([128])), {}
    for number in (4, 5):
        where = surely(decomposition, "background", number)
        lights[number] = decomposition.one_frame(number).layers["background"].residual[where].mean(axis=0)
        found = shown(decomposition, number)[where]
        np.testing.assert_allclose(found.mean(axis=0), grey * lights[number] / lights[4], rtol=0.02)
        assert found.std(axis=0).max() < 0.02
    assert np.abs(lights[5] / lights[4] - 1).max() > 0.05, "the light does not change"


def test_opacity_carries_over_to_other_frames(own_folder: Path, tmp_path: Path) -> None:
    decomposition = Decomposition.open(own_folder)
    paint_on_shot(decomposition, 4, sheet(tmp_path / "sheet.png", WALL, 24, BLUE))
    opaque = shown(decomposition, 5)
    undo_paint(decomposition)
    paint_on_shot(decomposition, 4, sheet(tmp_path / "sheet.png", WALL, 24, BLUE, opacity=0.5))
    inside = surely(decomposition, "background", 5)
    plate = to_linear(decomposition.one_frame(5).plate)[inside]
    after, wanted = shown(decomposition, 5)[inside], (to_display(plate) + to_display(opaque[inside])) / 2
    assert off(after, wanted).mean() < 6
    assert off(plate, wanted).mean() > 40
    detail = np.corrcoef(display_from_linear(after)[:, 1], display_from_linear(plate)[:, 1])[0, 1]
    assert detail > 0.9, "what is below does not shine through"


def test_paint_with_the_plates_own_colours_takes_paint_off_in_every_frame(own_folder: Path, tmp_path: Path) -> None:
    decomposition = Decomposition.open(own_folder)
    red = sheet(tmp_path / "sheet.png", WALL, 16, RED)
    paint_on_shot(decomposition, 4, red)
    where, plate = surely(decomposition, "background", 5), to_display(decomposition.one_frame(5).plate)
    assert off(shown(decomposition, 5), plate)[where].mean() > 50
    own = decomposition.one_frame(4).plate[..., ::-1]
    over = np.dstack([own, 255 * (opacity_of(sheet(tmp_path / "sheet.png", WALL, 20, RED)) > 0)]).astype(np.uint8)
    (tmp_path / "over.png").write_bytes(cv2.imencode(".png", over)[1].tobytes())
    paint_on_shot(decomposition, 4, tmp_path / "over.png")
    assert np.median(off(shown(decomposition, 5), plate)[where]) < 0.5
    assert off(shown(decomposition, 5), plate)[where].mean() < 3


def test_an_exr_is_premultiplied_and_mixed_in_linear_light(own_folder: Path, tmp_path: Path) -> None:
    decomposition = Decomposition.open(own_folder)
    inside = opacity_of(sheet(tmp_path / "sheet.png", SIGN, 12, RED)) == 1
    half = np.where(inside[..., None], np.float32([0.2, 0.05, 0, 0.5]), np.float32(0))
    write_exr(tmp_path / "sheet.exr", rgba_channels(half))
    before = shown(decomposition, 4)
    paint_on_shot(decomposition, 4, tmp_path / "sheet.exr")
    wanted = display_from_linear(before * 0.5 + np.float32([0.2, 0.05, 0]))
    assert np.percentile(off(shown(decomposition, 4), wanted)[inside], 99) <= 2


def test_an_atlas_keeps_its_depth_and_its_other_channels(own_folder: Path, tmp_path: Path) -> None:
    path = own_folder / "atlas/sign.exr"
    _, channels = read_stored(path)
    notes = np.random.default_rng(0).random(channels["R"].shape, np.float32)
    write_exr(path, {name: channels[name].astype(np.float32) for name in "RGB"} | {"notes.V": notes})
    paint_on_shot(Decomposition.open(own_folder), 4, sheet(tmp_path / "sheet.png", SIGN, 12, RED))
    _, after = read_stored(path)
    assert {name: one.dtype for name, one in after.items()} == dict.fromkeys(["R", "G", "B", "notes.V"], np.float32)
    assert np.array_equal(after["notes.V"], notes)


def test_deep_shadow_makes_no_glaring_paint(own_folder: Path, tmp_path: Path) -> None:
    decomposition = Decomposition.open(own_folder)
    path = decomposition.manifest.frame_path(own_folder, 4)
    _, channels = read_stored(path)
    for axis in "RGB":
        channels[f"sign.residual.{axis}"] = np.full_like(channels[f"sign.residual.{axis}"], 1e-5)
    write_exr(path, channels)
    done = paint_on_shot(decomposition, 4, sheet(tmp_path / "sheet.png", SIGN, 12, RED))
    assert done.off == done.pixels
    assert decomposition.painted("sign").max() < 1.3 / 0.02


def undone(folder: Path) -> list[str]:
    return [path.name for path in undo_paint(Decomposition.open(folder))]


def atlases(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "atlas").glob("*.exr")}


def painted(folder: Path, work: Path, at: tuple[int, int], radius: float = 12) -> PaintedFrame:
    return paint_on_shot(Decomposition.open(folder), 4, sheet(work / "sheet.png", at, radius, RED))


def test_undo_takes_back_the_last_paint_and_then_itself(own_folder: Path, tmp_path: Path) -> None:
    painted(own_folder, tmp_path, SIGN)
    once = atlases(own_folder)
    painted(own_folder, tmp_path, BOTH, 30)
    twice = atlases(own_folder)
    assert sorted(undone(own_folder)) == ["background.exr", "sign.exr"]
    assert atlases(own_folder) == once
    undone(own_folder)
    assert atlases(own_folder) == twice
    assert len(list((own_folder / "atlas/undo").iterdir())) == 3, "earlier undos are left behind"
    painted(own_folder, tmp_path, WALL)
    assert undone(own_folder) == ["background.exr"]
    assert atlases(own_folder) == twice


def test_undo_does_not_lose_what_was_painted_since(own_folder: Path, tmp_path: Path) -> None:
    painted(own_folder, tmp_path, SIGN)
    (own_folder / "atlas/sign.exr").write_bytes((own_folder / "atlas/background.exr").read_bytes())
    before = tree(own_folder)
    with pytest.raises(InputError, match="saved again since the last paint") as refused:
        undone(own_folder)
    assert tree(own_folder) == before
    kept = next((own_folder / "atlas/undo").glob("*.exr"))
    assert str(kept) in refused.value.hint
    assert kept.read_bytes() == (own_folder / "atlas/sign.orig.exr").read_bytes()


def test_undo_is_not_of_an_atlas_that_was_solved_anew(demo: DemoClip, own_folder: Path, tmp_path: Path) -> None:
    painted(own_folder, tmp_path, SIGN)
    paint = (own_folder / "atlas/sign.exr").read_bytes()
    solve(job_of(demo, frames="3-5"), own_folder, replaces=True)
    assert read_manifest(own_folder).atlas_files["sign"] == "atlas/sign.2.exr"
    before = tree(own_folder)
    with pytest.raises(InputError, match="decomposed anew since"):
        undone(own_folder)
    assert tree(own_folder) == before
    assert before["atlas/sign.exr"] == paint
    painted(own_folder, tmp_path, SIGN)
    assert undone(own_folder) == ["sign.2.exr"]


def saving(function: Callable, path: Path) -> Callable:
    """A step, just before which another program saves an atlas."""

    def wrapped(*arguments: object) -> object:
        path.write_bytes(b"saved meanwhile")
        return function(*arguments)

    return wrapped


@pytest.mark.parametrize(("owner", "step"), [(module, "carry"), (safe_replace, "place")])
def test_an_atlas_that_is_saved_meanwhile_stays(
    owner: object, step: str, own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tree(own_folder)
    monkeypatch.setattr(owner, step, saving(getattr(owner, step), own_folder / "atlas/sign.exr"))
    with pytest.raises(InputError, match="Another program has saved the atlas meanwhile"):
        painted(own_folder, tmp_path, SIGN)
    after = tree(own_folder)
    assert after.pop("atlas/sign.exr") == b"saved meanwhile"
    changes = differing(before, after)
    assert [name for name in changes if name != "atlas/sign.exr" and not name.startswith("atlas/undo/")] == []
    assert not (own_folder / "atlas/undo/undo.json").exists()


def test_a_kill_while_atlases_are_exchanged_loses_nothing(
    own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = atlases(own_folder)
    with monkeypatch.context() as patched:
        patched.setattr(safe_replace, "place", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            painted(own_folder, tmp_path, SIGN)
    assert not (own_folder / "atlas/sign.exr").exists()
    with pytest.raises(InputError, match="no paint on the shot that could be undone"):
        undone(own_folder)
    assert atlases(own_folder) == before


def transparent(at: Path, plate: np.ndarray) -> Path:
    return sheet(at / "a.png", (0, 0), 0, RED)


def as_it_is(at: Path, plate: np.ndarray) -> Path:
    write_png(at / "a.png", plate)
    return at / "a.png"


def too_small(at: Path, plate: np.ndarray) -> Path:
    write_png(at / "a.png", plate[:-1])
    return at / "a.png"


def grey(at: Path, plate: np.ndarray) -> Path:
    (at / "a.png").write_bytes(cv2.imencode(".png", plate[..., 0])[1].tobytes())
    return at / "a.png"


def words(at: Path, plate: np.ndarray) -> Path:
    (at / "a.png").write_text("words")
    return at / "a.png"


def on_the_wall(at: Path, plate: np.ndarray) -> Path:
    return sheet(at / "a.png", WALL, 5, RED)


@pytest.mark.parametrize(
    ("make", "number", "layer", "said"),
    [
        (transparent, 4, None, "Nothing is painted"),
        (as_it_is, 4, None, "Nothing is painted"),
        (too_small, 4, None, "The painted picture is 200x111, the plate is 200x112"),
        (grey, 4, None, "is grey"),
        (words, 4, None, "no picture"),
        (lambda at, _: at / "nowhere.png", 4, None, "missing"),
        (on_the_wall, 9, None, "There is no frame 9"),
        (on_the_wall, 4, "sign", "The strokes lie where sign is not seen in frame 4"),
        (on_the_wall, 4, "dog", "There is no layer 'dog'"),
    ],
)
def test_what_cannot_be_painted_is_refused_in_a_sentence(
    make: Callable, number: int, layer: str | None, said: str, own_folder: Path, tmp_path: Path
) -> None:
    decomposition = Decomposition.open(own_folder)
    picture = make(tmp_path, next(iter(decomposition.clip.frames([4]))))
    before = tree(own_folder)
    with pytest.raises(InputError, match=said):
        paint_on_shot(decomposition, number, picture, layer)
    assert tree(own_folder) == before


def test_the_command_paints_and_undoes(own_folder: Path, tmp_path: Path) -> None:
    before, path = tree(own_folder), sheet(tmp_path / "sheet.png", SIGN, 12, RED)
    done = nvd("paint", own_folder, path, "--frame", 4, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["files"] == [str(own_folder / "atlas/sign.exr")]
    assert told["texels"].keys() == {"sign"}
    assert differing(before, {name: one for name, one in tree(own_folder).items() if "undo" not in name}) == [
        "atlas/sign.exr"
    ]
    done = nvd("paint", own_folder, "--undo", "--json")
    assert json.loads(done.stdout) == {"files": [str(own_folder / "atlas/sign.exr")]}
    assert (own_folder / "atlas/sign.exr").read_bytes() == before["atlas/sign.exr"]
    for flags in ([path], ["--frame=4"], [path, "--frame=4", "--undo"]):
        assert nvd("paint", own_folder, *flags).returncode == 2
