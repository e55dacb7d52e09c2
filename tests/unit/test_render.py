"""Rendering a decomposition again, painted or not, without Blender."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from support import nvd, solve, tree, write_video

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.faces.demo import paint
from nvd_core.image.colour import display_from_linear, luma8, to_linear, to_uint8
from nvd_core.image.exr import read_exr, rgba_channels, write_exr
from nvd_core.result import decomposition
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.rendering import frame_writer, render
from nvd_core.shot.compositing import look_up, rebuild
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.settings import Job, Settings


def plates(decomposition: Decomposition) -> list[np.ndarray]:
    return list(decomposition.clip.frames(decomposition.manifest.source.numbers))


def rgba_png(path: Path, picture: np.ndarray) -> Path:
    path.write_bytes(cv2.imencode(".png", picture[..., [2, 1, 0, 3]])[1].tobytes())
    return path


def coded(atlas: np.ndarray) -> np.ndarray:
    return to_uint8(display_from_linear(atlas))


def test_what_is_not_painted_is_the_plate_to_the_last_bit(solved: Decomposition) -> None:
    for composite, plate in zip(render(solved, {}, "keep-plate"), plates(solved), strict=True):
        assert np.array_equal(composite.linear, to_linear(plate))


def test_the_same_in_the_files_that_are_written(solved_folder: Path, solved: Decomposition, tmp_path: Path) -> None:
    done = nvd("render", solved_folder, "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    for path, plate in zip(sorted(tmp_path.iterdir()), plates(solved), strict=True):
        assert np.array_equal(read_rgb(path), plate)


def test_rebuilding_gives_what_was_exported(solved: Decomposition) -> None:
    for composite, frame in zip(render(solved, {}, "rebuild"), solved.frames(), strict=True):
        np.testing.assert_allclose(composite.linear, frame.rebuilt, rtol=1e-3, atol=1e-6)  # half floats


def test_an_atlas_saved_with_8_bits_but_not_painted_changes_nothing(solved: Decomposition, tmp_path: Path) -> None:
    atlases = {}
    for layer in solved.manifest.names:
        write_png(tmp_path / f"{layer}.png", coded(solved.original(layer)))
        atlases[layer] = tmp_path / f"{layer}.png"
    for composite, plate in zip(render(solved, atlases, "keep-plate"), plates(solved), strict=True):
        assert np.array_equal(composite.linear, to_linear(plate))


def painted_patch(decomposition: Decomposition, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """An atlas with a red patch in its middle, and where that is."""
    atlas = decomposition.original(layer).copy()
    rows, columns = np.nonzero(decomposition.covered(layer) > 0.5)
    row, column = int(np.median(rows)), int(np.median(columns))
    where = np.zeros(atlas.shape[:2], np.float32)
    where[row - 8 : row + 8, column - 8 : column + 8] = 1
    atlas[where > 0] = (2, 0, 0)
    return atlas, where


@pytest.mark.parametrize("layer", ["sign", "background"])
def test_paint_shows_in_every_frame_there_and_nowhere_else(layer: str, solved: Decomposition, tmp_path: Path) -> None:
    atlas, where = painted_patch(solved, layer)
    write_exr(tmp_path / "a.exr", rgba_channels(np.dstack([atlas, np.ones_like(where)]).astype(np.float16)))
    shown = 0
    for composite, frame in zip(
        render(solved, {layer: tmp_path / "a.exr"}, "keep-plate"), solved.frames(), strict=True
    ):
        part = frame.layers[layer]
        share = look_up(np.dstack([where] * 3), part.uv_atlas)[..., 0] * part.alpha
        plate = to_linear(frame.plate)
        assert np.array_equal(composite.linear[share == 0], plate[share == 0])
        inside = share == 1
        lit = part.residual[inside] * np.float32([2, 0, 0])
        np.testing.assert_allclose(composite.linear[inside], lit, rtol=1e-3, atol=1e-3)
        shown += np.count_nonzero(inside)
    assert shown > 100


def test_a_transparent_png_is_laid_over_the_atlas(solved: Decomposition, tmp_path: Path) -> None:
    atlas, where = painted_patch(solved, "background")
    red = np.zeros((*where.shape, 4), np.uint8)
    red[where > 0] = (255, 0, 0, 255)
    rgba_png(tmp_path / "over.png", red)
    laid = solved.painted("background", tmp_path / "over.png")
    np.testing.assert_allclose(laid[where == 0], atlas[where == 0], rtol=1e-4, atol=1e-6)
    assert (laid[where > 0] == (1, 0, 0)).all()
    half = rgba_png(tmp_path / "half.png", np.where(red == 255, np.uint8([255, 0, 0, 128]), red).astype(np.uint8))
    mixed = solved.painted("background", half)[where > 0]  # in linear light, as compositing programs do
    before = solved.original("background")[where > 0]
    np.testing.assert_allclose(mixed, before * (127 / 255) + np.float32([1, 0, 0]) * (128 / 255), atol=1e-4)


def test_a_wholly_transparent_png_changes_nothing(solved: Decomposition, tmp_path: Path) -> None:
    blank = np.zeros((*solved.original("sign").shape[:2], 4), np.uint8)
    path = rgba_png(tmp_path / "blank.png", blank)
    for composite, plate in zip(render(solved, {"sign": path}, "keep-plate"), plates(solved), strict=True):
        assert np.array_equal(composite.linear, to_linear(plate))


@pytest.mark.parametrize("factor", [0.5, 2])
def test_an_atlas_of_another_size_but_the_same_shape_is_taken(factor: float, solved: Decomposition, tmp_path) -> None:
    atlas = coded(solved.original("background"))
    size = [round(side * factor) for side in atlas.shape[1::-1]]
    write_png(tmp_path / "a.png", cv2.resize(atlas, size, interpolation=cv2.INTER_AREA))
    assert solved.painted("background", tmp_path / "a.png").shape[1::-1] == tuple(size)
    assert len(list(render(solved, {"background": tmp_path / "a.png"}, "rebuild"))) == 8


def wrong_shape(folder: Path, at: Path) -> tuple[str, str]:
    write_png(at / "a.png", np.zeros((64, 300, 3), np.uint8))
    return f"sign={at / 'a.png'}", "300x64"


def unknown_layer(folder: Path, at: Path) -> tuple[str, str]:
    return f"dog={folder / 'atlas/sign.exr'}", "sign, background"


def missing_atlas(folder: Path, at: Path) -> tuple[str, str]:
    return f"sign={at / 'nothing.png'}", "missing"


def no_picture(folder: Path, at: Path) -> tuple[str, str]:
    (at / "a.png").write_text("words")
    return f"sign={at / 'a.png'}", "no picture"


def grey(folder: Path, at: Path) -> tuple[str, str]:
    shape = Decomposition.open(folder).original("sign").shape[:2]
    (at / "a.png").write_bytes(cv2.imencode(".png", np.zeros(shape, np.uint8))[1].tobytes())
    return f"sign={at / 'a.png'}", "grey"


@pytest.mark.parametrize(
    "case", [wrong_shape, unknown_layer, missing_atlas, no_picture, grey], ids=lambda c: c.__name__
)
def test_atlases_that_do_not_fit_are_refused(case, solved_folder: Path, tmp_path: Path) -> None:
    atlas, words = case(solved_folder, tmp_path)
    done = nvd("render", solved_folder, f"--atlas={atlas}", "-o", tmp_path / "out")
    assert done.returncode == 3
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_exr_files_hold_linear_light(solved_folder: Path, solved: Decomposition, tmp_path: Path) -> None:
    assert nvd("render", solved_folder, "-o", tmp_path, "--format=exr").returncode == 0
    for path, plate in zip(sorted(tmp_path.iterdir()), plates(solved), strict=True):
        _, channels = read_exr(path)
        assert sorted(channels) == ["A", "B", "G", "R"]
        assert np.array_equal(np.dstack([channels[name] for name in "RGB"]), to_linear(plate).astype(np.float16))
        assert (channels["A"] == 1).all()


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "MP4"])
def test_a_video_holds_every_frame_at_its_size(suffix: str, solved_folder, solved, tmp_path: Path) -> None:
    out = tmp_path / f"out.{suffix}"
    assert nvd("render", solved_folder, "-o", out).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    clip = open_clip(out)
    assert (clip.info.size, clip.info.count, clip.info.fps) == (solved.size, 8, 24)
    for ours, plate in zip(clip.frames(clip.info.numbers), plates(solved), strict=True):
        assert np.abs(luma8(ours).astype(int) - luma8(plate)).mean() < 3
        assert np.abs(ours.mean(axis=(0, 1)) - plate.mean(axis=(0, 1))).max() < 1, "the colours are off"
    with av.open(str(out)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.pix_fmt, codec.color_range, codec.colorspace) == ("h264", "yuv420p", 1, 1)


def test_a_video_of_an_odd_size_grows_by_a_pixel(tmp_path: Path) -> None:
    from support import sliding

    clip = sliding(tmp_path / "clip", 2, Size(131, 77))
    solve(Job(clip=str(clip), settings=Settings(preset="preview", fps=29.97)), tmp_path / "out")
    assert nvd("render", tmp_path / "out", "-o", tmp_path / "out.mp4").returncode == 0
    info = open_clip(tmp_path / "out.mp4").info
    assert info.size == (132, 78)
    assert info.fps == pytest.approx(29.97, abs=1e-3)


def test_a_render_that_fails_leaves_no_half_video(own_folder: Path, tmp_path: Path) -> None:
    (own_folder / "frames/demo.0005.exr").unlink()
    done = nvd("render", own_folder, "-o", tmp_path / "video" / "out.mp4")
    assert done.returncode == 3
    assert "demo.0005.exr" in done.stderr
    assert list((tmp_path / "video").iterdir()) == []


def test_a_clip_that_is_gone_or_another_is_refused(own_folder: Path, demo, tmp_path: Path) -> None:
    manifest = own_folder / "manifest.json"
    data = json.loads(manifest.read_text())
    film = write_video(tmp_path / "other.mp4", [np.zeros((96, 160, 3), np.uint8)])
    for path, words in ((tmp_path / "gone", "no such clip"), (film, "The clip is now 160x96")):
        data["source"]["path"] = str(path)
        manifest.write_text(json.dumps(data))
        with pytest.raises(InputError, match=words):
            list(render(Decomposition.open(own_folder), {}, "keep-plate"))


def test_a_clip_that_got_shorter_is_refused(demo, own_folder: Path, tmp_path: Path) -> None:
    shorter = Path(shutil.copytree(demo.frames, tmp_path / "shorter"))
    (shorter / "demo.0008.png").unlink()
    data = json.loads((own_folder / "manifest.json").read_text())
    data["source"]["path"] = str(shorter)
    (own_folder / "manifest.json").write_text(json.dumps(data))
    done = nvd("render", own_folder, "-o", tmp_path / "out")
    assert done.returncode == 3
    assert "no longer has the frames 1-8" in done.stderr


def test_frames_keep_to_the_laws_of_the_contract(solved: Decomposition) -> None:
    for frame in solved.frames():
        _, channels = read_exr(solved.manifest.frame_path(solved.folder, frame.number))
        alphas = [channels[f"{name}.alpha.V"] for name in frame.layers]
        np.testing.assert_allclose(sum(alphas), 1, atol=2**-11)  # each is rounded to a half float
        for name, layer in frame.layers.items():
            assert (channels[f"{name}.uv.Z"] == 1).all()
            assert np.isfinite(layer.uv_atlas).all()
            assert np.isfinite(layer.residual).all()
            assert layer.residual.min() > 0
        surfaces = {name: look_up(solved.original(name), layer.uv_atlas) for name, layer in frame.layers.items()}
        again = rebuild([(layer.alpha, layer.residual, surfaces[name]) for name, layer in frame.layers.items()])
        assert np.array_equal(again.astype(np.float16), frame.rebuilt.astype(np.float16))


def test_stmaps_are_the_uv_pass_and_the_alpha(own_folder: Path) -> None:
    assert nvd("export", own_folder, "--stmap").returncode == 0
    decomposition = Decomposition.open(own_folder)
    written = sorted(path.relative_to(own_folder / "stmap").as_posix() for path in own_folder.glob("stmap/*/*.exr"))
    assert written == sorted(f"{name}/demo.{name}.{n:04d}.exr" for name in ("sign", "background") for n in range(1, 9))
    for frame in decomposition.frames([3]):
        for name, layer in frame.layers.items():
            _, channels = read_exr(own_folder / f"stmap/{name}/demo.{name}.0003.exr")
            assert np.array_equal(np.dstack([channels["R"], channels["G"]]), layer.uv_atlas)
            assert np.array_equal(channels["B"], layer.alpha)


def test_plates_and_the_decomposition_itself_are_never_written_over(tmp_path: Path) -> None:
    for index, plate in enumerate((np.full((64, 96, 3), 80, np.uint8), np.full((64, 96, 3), 90, np.uint8))):
        write_png(tmp_path / "plates" / f"shot.{index:04d}.png", plate)
    solve(Job(clip=str(tmp_path / "plates"), settings=Settings(preset="preview")), tmp_path / "out")
    before = tree(tmp_path)
    for out in ("plates", "out/frames", "out/atlas/mine"):
        done = nvd("render", tmp_path / "out", "-o", tmp_path / out)
        assert (done.returncode, done.stdout) == (3, "")
        assert "would be written" in done.stderr
        assert tree(tmp_path) == before


def test_nothing_that_is_read_is_written_over_however_it_is_reached(demo, own_folder: Path, tmp_path: Path) -> None:
    painted = Path(shutil.copytree(demo.frames, tmp_path / "paint")) / "demo.0001.png"
    write_png(painted, to_uint8(display_from_linear(Decomposition.open(own_folder).original("sign"))))
    masks = tmp_path / "masks"
    shutil.copytree(demo.masks["sign"], masks)
    for path in masks.iterdir():
        path.rename(masks / path.name.replace("sign", "demo"))
    change = json.loads((own_folder / "manifest.json").read_text())
    change["masks"][0]["path"] = str(masks)
    (own_folder / "manifest.json").write_text(json.dumps(change))
    (tmp_path / "linked").symlink_to(demo.frames)
    (tmp_path / "second").mkdir()
    os.link(demo.frames / "demo.0003.png", tmp_path / "second" / "demo.0003.png")
    (tmp_path / "film.mp4").symlink_to(painted)
    before, plates = tree(tmp_path), tree(demo.frames)
    for out in ("paint", "masks", "linked", "second", "film.mp4", "own/masks", "own/report", "own/checkpoint"):
        done = nvd("render", own_folder, f"--atlas=sign={painted}", "--replace", "-o", tmp_path / out)
        assert (done.returncode, done.stdout) == (3, ""), out
        assert "would be written" in done.stderr
        assert tree(tmp_path) == before
        assert tree(demo.frames) == plates
    assert nvd("render", own_folder, f"--atlas=sign={painted}", "-o", tmp_path / "free").returncode == 0


@pytest.mark.parametrize("out", ["edit", "edit.mp4"])
def test_what_is_there_is_written_over_only_where_that_is_asked_for(
    out: str, solved_folder: Path, tmp_path: Path
) -> None:
    """An earlier render or a file of anybody's; other frames and files beside it are nobody's business."""
    assert nvd("render", solved_folder, "-o", tmp_path / out).returncode == 0
    made = [tmp_path / out] if out == "edit.mp4" else sorted((tmp_path / out).iterdir())
    for path in made:
        path.write_bytes(b"graded elsewhere")
    beside = [tmp_path / out / "demo.0009.png", tmp_path / out / "demo.0001.exr", tmp_path / out / "notes.txt"]
    for path in beside if out == "edit" else []:
        path.write_bytes(b"mine")
    before = tree(tmp_path)
    for left in (len(made), 1):
        done = nvd("render", solved_folder, "-o", tmp_path / out)
        assert (done.returncode, done.stdout) == (3, "")
        assert str(made[-left]) in done.stderr
        assert "--replace" in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
        assert tree(tmp_path) == before
        for path in made[: len(made) - 1] if left > 1 else []:
            path.unlink()
        before = tree(tmp_path)
    assert nvd("render", solved_folder, "-o", tmp_path / out, "--replace").returncode == 0
    after = tree(tmp_path)
    assert not [name for name, content in after.items() if content == b"graded elsewhere"]
    assert [content for content in after.values() if content == b"mine"] == [b"mine"] * 3 * (out == "edit")


@pytest.mark.parametrize("out", ["edit", "edit.mp4"])
def test_what_comes_there_while_a_render_runs_stays(out: str, solved: Decomposition, tmp_path: Path) -> None:
    target = tmp_path / out if out == "edit.mp4" else tmp_path / out / "demo.0005.png"

    def render_while_another_saves() -> None:
        with frame_writer(solved, tmp_path / out, "png") as write, closing(render(solved, {}, "keep-plate")) as frames:
            for frame in frames:
                write(frame)
                if frame.number == 4:
                    target.write_bytes(b"mine")

    with pytest.raises(InputError, match="there already"):
        render_while_another_saves()
    assert target.read_bytes() == b"mine"
    assert not [name for name in tree(tmp_path) if ".part" in name]


def test_a_link_that_leads_nowhere_is_there_too(solved: Decomposition, tmp_path: Path) -> None:
    (tmp_path / "edit.mp4").symlink_to(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match="there already"), frame_writer(solved, tmp_path / "edit.mp4", "png"):
        pass
    assert (tmp_path / "edit.mp4").is_symlink()


def test_a_film_within_the_folder_may_be_made_again(own_folder: Path) -> None:
    for more in ([], ["--replace"]):
        done = nvd("render", own_folder, "-o", own_folder / "edit.mp4", *more)
        assert done.returncode == 0, done.stderr


def test_the_source_video_is_never_written_over(tmp_path: Path) -> None:
    video = write_video(tmp_path / "shot.mp4", [np.full((96, 160, 3), 80, np.uint8)] * 2)
    solve(Job(clip=str(video), settings=Settings(preset="preview")), tmp_path / "out")
    before = video.read_bytes()
    assert nvd("render", tmp_path / "out", "-o", video).returncode == 3
    assert video.read_bytes() == before
    assert nvd("render", tmp_path / "out", "-o", tmp_path / "edit.avi").returncode == 3
    assert not (tmp_path / "edit.avi").exists()


def test_every_atlas_file_is_decoded_once(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Decomposition.open(own_folder)
    paint(opened)
    decoded = []
    for name in ("read_stored", "read_picture"):
        read = getattr(decomposition, name)
        monkeypatch.setattr(decomposition, name, lambda path, read=read: decoded.append(path) or read(path))
    list(render(opened, {}, "keep-plate"))
    atlases = [path for path in decoded if path.parent.name == "atlas"]
    assert sorted(set(atlases)) == sorted(atlases) == sorted((own_folder / "atlas").iterdir())
