"""What is done with a finished result, in real Blenders: fade, relight, exchange atlases, move the .blend."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from blenders import BLENDERS, seen_in
from rendered import difference, pictures

from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.faces.demo_clip import write_clip
from nvd_core.image.colour import display_from_linear, to_uint8
from nvd_core.image.exr import rgba_channels, write_exr
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


class Session(NamedTuple):
    """What a session in Blender saw and wrote."""

    seen: dict[str, Any]
    out: Path
    moved: Path
    atlases: Path

    def pictures(self, name: str) -> list[np.ndarray]:
        """The frames that were rendered into a folder."""
        return pictures(self.out / name)

    def nvd_render(self, *flags: object) -> list[np.ndarray]:
        """The frames as the command line renders them."""
        place = self.out / f"nvd{abs(hash(flags))}"
        _nvd("render", self.moved / "result", "-o", place, "--replace", *flags)
        return pictures(place)


def _nvd(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "nvd_core", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def session(request: pytest.FixtureRequest, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    out, shot, atlases = (tmp_path_factory.mktemp("layers") / name for name in ("out", "shot", "atlases"))
    out.mkdir()
    clip = write_clip(shot / "clip", frames=3, size=Size(160, 90))
    masks = f"sign={clip.masks['sign']}"
    _nvd("decompose", clip.frames, "--mask", masks, "-o", shot / "result", "--preset", "preview")
    original = Decomposition.open(shot / "result").original("sign")
    half = cv2.resize(original, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    half[half.shape[0] // 2 :] = [0.1, 0.5, 0.9]
    write_png(atlases / "plain.0007.png", np.full((60, 80, 3), 90, np.uint8))
    write_png(atlases / "half.png", to_uint8(display_from_linear(half)))
    label = np.full((*original.shape[:2], 4), (30, 200, 90, 0), np.uint8)
    label[:, :, 3] = np.linspace(0, 255, original.shape[1]).astype(np.uint8)
    cv2.imwrite(str(atlases / "label.png"), label)
    other = np.dstack([original, np.ones_like(original[..., :1])]).astype(np.float16)
    other[: len(other) // 3, :, :3] = [0.9, 0.8, 0.1]
    write_exr(atlases / "other.exr", rgba_channels(other))
    _nvd("decompose", atlases / "plain.0007.png", "-o", atlases / "other_result", "--preset", "preview")
    return Session(
        seen_in(out, request.param, "layers_session.py", extension, shot, atlases, out),
        out,
        shot.with_name("moved"),
        atlases,
    )


BOTH = ["--light", "sign=0.3", "--gain", "sign=1.5", "--opacity", "sign=0.6", "--opacity", "background=0.8"]


@pytest.mark.parametrize(("ours", "mode"), [("faded", "keep-plate"), ("faded_rebuilt", "rebuild")])
def test_fading_and_relighting_is_that_of_nvd_render(session: Session, ours: str, mode: str) -> None:
    shown = session.pictures(ours)
    rendered = session.nvd_render(
        "--mode", mode, *BOTH, "--light", "background=0", *_as_painted(session, "sign", "background")
    )
    assert difference(shown, session.pictures("reverted")) > 20
    assert difference(shown, rendered) <= 1


def _as_painted(session: Session, *layers: str) -> list[str]:
    """The bar that the session painted."""
    flags = []
    for layer in layers:
        original = Decomposition.open(session.moved / "result").original(layer)
        rows, columns = original.shape[:2]
        flat = original[::-1].reshape(-1, 3).copy()
        quarter = rows * columns * 4 // 16
        flat[quarter : 2 * quarter] = [0.6, 0.2, 0.05]
        path = session.atlases / f"{layer}.bar.exr"
        opaque = np.ones((rows, columns, 1), np.float32)
        picture = np.dstack([flat.reshape(rows, columns, 3)[::-1], opaque])
        write_exr(path, rgba_channels(picture.astype(np.float16)))
        flags += ["--atlas", f"{layer}={path}"]
    return flags


def test_what_the_user_has_made_survives_a_new_result(session: Session) -> None:
    assert session.seen["kept"] == [True, True, 1.5, True]
    assert session.seen["unsaved"] == [True, 0.125]


def test_a_hidden_layer_shows_what_is_behind_and_solo_nothing_else(session: Session) -> None:
    bars = _as_painted(session, "sign", "background")
    for ours, opacity in (("hidden", "sign=0"), ("solo", "background=0")):
        rendered = session.nvd_render("--mode", "rebuild", "--opacity", opacity, *bars)
        assert difference(session.pictures(ours), rendered) <= 1
    assert difference(session.pictures("hidden"), session.pictures("solo")) > 50


def test_comparing_does_not_change_what_is_rendered(session: Session) -> None:
    rendered = session.nvd_render(*_as_painted(session, "sign", "background"))
    assert difference(session.pictures("compared"), rendered) <= 1


def test_another_file_of_another_size_or_transparent_can_be_the_atlas(session: Session) -> None:
    assert session.seen["canvas"] == "label.png"
    for name, most in (("half", 1), ("label", 2)):  # where paint begins, a rounding of a nearly clear label counts
        atlas = ["--atlas", f"sign={session.atlases / f'{name}.png'}", *_as_painted(session, "background")]
        assert difference(session.pictures(f"exchanged_{name}"), session.nvd_render(*atlas)) <= most


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("broken.exr", "cannot read the picture"),
        ("missing.exr", "no such"),
        ("sign.orig.exr", "must stay as it is"),
        ("demo.0001.png", "must stay as it is"),
    ],
)
def test_a_file_that_is_no_picture_is_refused(session: Session, what: str, words: str) -> None:
    assert words in session.seen[what]
    assert session.seen["after_refusal"]


def test_what_another_program_saves_is_read_but_never_over_paint(session: Session) -> None:
    other = ["--atlas", f"sign={session.atlases / 'other.exr'}", *_as_painted(session, "background")]
    assert session.seen["dirty"]
    assert session.seen["with_paint"] == [True, True]
    assert session.seen["reloaded"] == [False, False]
    assert session.seen["read_again"] == ["sign"]
    for name in ("reloaded", "watched"):
        assert difference(session.pictures(name), session.nvd_render(*other)) <= 1


def test_reverting_takes_the_paint_off_and_leaves_the_file(session: Session) -> None:
    plates = pictures(session.moved / "clip" / "frames")
    assert difference(session.pictures("reverted"), plates) == 0
    assert session.seen["file_after_revert"]


def test_an_editor_that_is_not_known_is_asked_for(session: Session) -> None:
    assert "Blender does not know your image editor" in session.seen["no_editor"]


def test_the_result_lies_in_sync_above_a_strip_that_was_trimmed_since(session: Session) -> None:
    span = [1, 2, 52]
    assert session.seen["added"] == [["SCENE", 2, *span], ["IMAGE", 3, *span], ["IMAGE", 4, *span], ["MOVIE", 5, *span]]
    assert session.seen["rendered"] == [
        *(f"result_render/v001/result.{number:04d}.exr" for number in (1, 2, 3)),
        *(f"result_render/v002/result.{number:04d}.png" for number in (1, 2, 3)),
        "result_render/v003/result.mp4",
    ]
    painted = session.pictures("moved")[1:]
    for kind in ("SCENE", "IMAGE"):
        assert difference(session.pictures(f"edit_{kind}"), painted) <= 1
    for shown, frame in zip(session.pictures("edit_MOVIE"), painted, strict=True):  # 4:2:0 blurs colour at borders
        assert np.abs(shown - frame).mean() < 10 < np.abs(shown - painted[0 if frame is painted[1] else 1]).mean()


def test_a_folder_that_has_another_clip_now_shows_that_in_the_same_scene(session: Session) -> None:
    plate = session.atlases / "plain.0007.png"
    assert session.seen["another_clip"] == [True, ["background"], str(plate)]
    assert difference(session.pictures("another_clip"), [read_rgb(plate).astype(int)]) == 0


def test_a_blend_that_moved_with_its_folder_shows_the_same(session: Session) -> None:
    assert session.seen["moved"][0] == str(session.moved / "result")
    assert session.seen["moved"][1].startswith(str(session.moved / "clip"))
    assert session.seen["absolute"] == []
    assert difference(session.pictures("moved"), session.pictures("saved")) == 0
