"""The artist's path in real Blenders, one process a version: strip, operator, tree, render, strip."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from blenders import BLENDERS, seen_in
from rendered import difference, pictures
from support import write_video

from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.faces.demo_clip import write_clip
from nvd_core.spec.conventions import Size

SIZE, FRAMES, FIRST = Size(192, 108), 8, 101

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


class Session(NamedTuple):
    """What a session in Blender saw and wrote."""

    seen: dict[str, Any]
    out: Path
    clips: Path
    blender: Path

    def pictures(self, name: str) -> list[np.ndarray]:
        """The frames that were rendered into a folder."""
        return pictures(self.out / name)


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def session(request: pytest.FixtureRequest, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Session:
    """One Blender, through the whole path once."""
    blender, out = request.param, tmp_path_factory.mktemp("out")
    clips = _clips(tmp_path_factory.mktemp("clips with space"))
    return Session(seen_in(out, blender, "session.py", extension, sys.executable, clips, out), out, clips, blender)


def _clips(folder: Path) -> Path:
    """``plates/`` numbered from 101 with ``masks/``, ``zero/`` numbered from 0, and movies."""
    demo = write_clip(folder / "demo", FRAMES, SIZE)
    plates = [read_rgb(path) for path in sorted(demo.frames.iterdir())]
    for index, plate in enumerate(plates):
        write_png(folder / "plates" / f"shot.{FIRST + index:04d}.png", plate)
    for index, plate in enumerate(plates[:4]):
        write_png(folder / "zero" / f"z.{index:04d}.png", plate)
    for index, path in enumerate(sorted(demo.masks["sign"].iterdir())):
        write_png(folder / "masks" / f"mask.{FIRST + index:04d}.png", read_rgb(path))
    write_video(folder / "movie.mp4", plates[:5], SIZE)
    write_video(folder / "turned.mp4", plates[:3], SIZE, turned=-90)
    write_video(folder / "uneven.mp4", plates[:3], SIZE, is_even=False)
    return folder


def nvd(*arguments: object) -> None:
    """Run the command line."""
    subprocess.run([sys.executable, "-m", "nvd_core", *map(str, arguments)], check=True, capture_output=True)


def test_the_zip_is_valid(session: Session, extension: Path):
    tool = next(session.blender.parents[1].rglob("blender_ext.py"))
    subprocess.run([session.blender, tool, "validate", extension], check=True, capture_output=True)
    assert extension.stat().st_size < 1 << 20


def test_enabling_brings_nothing_heavy_into_blender(session: Session):
    assert {"bl_ext", "nvd_core"} & set(session.seen["brought_in"])
    assert not {"numpy", "torch", "cv2", "av", "OpenEXR", "pydantic"} & set(session.seen["brought_in"])


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("no_strip", "No movie or image strip is active"),
        ("no_engine", "No engine is installed"),
        ("wrong_engine", "ended with code 1"),
        ("reversed", "plays backwards"),
        ("no_result", "Decompose it first"),
        ("nothing_to_paint", "Decompose a clip first"),
        ("other_colour", "shown as Filmic Log, but are read as sRGB"),
    ],
)
def test_refusals_have_words(session: Session, what: str, words: str):
    assert words in session.seen[what]


def test_the_result_has_the_plates_frames_and_layers(session: Session):
    assert session.seen["range"] == [FIRST + 2, FIRST + FRAMES - 1]
    assert session.seen["atlases"] == ["sign", "background"]
    assert session.seen["unlinked"] == []
    assert session.seen["canvas"] == "sign.exr"


def test_the_users_scene_is_not_touched(session: Session):
    assert session.seen["settings_kept"]


def test_unedited_equals_the_plate(session: Session):
    plates = pictures(session.clips / "plates")[2:]
    assert difference(session.pictures("unedited"), plates) == 0
    assert difference(session.pictures("zero_unedited"), pictures(session.clips / "zero")) == 0
    assert session.seen["zero_range"] == [0, 3]


def test_unedited_movie_equals_the_strip(session: Session):
    assert session.seen["movie_range"] == [1, 5]
    assert difference(session.pictures("movie_unedited"), session.pictures("movie_strip")) == 0


def test_a_movie_that_is_turned_by_its_metadata_is_upright_or_refused(session: Session):
    if session.seen["turned"]:
        assert session.seen["version"] < "4.5"
        assert "turned by -90 degrees" in session.seen["turned"]
        return
    assert session.seen["version"] > "4.5"
    shown = session.pictures("turned_strip")
    assert shown[0].shape[:2] == (SIZE.width, SIZE.height)
    assert difference(session.pictures("turned_unedited"), shown) == 0


def test_a_movie_whose_frames_last_unequally_long_is_refused(session: Session):
    assert "last unequally long" in session.seen["uneven"]


@pytest.mark.parametrize(("ours", "mode"), [("painted", "keep-plate"), ("rebuilt", "rebuild")])
def test_painted_equals_nvd_render(session: Session, ours: str, mode: str, tmp_path: Path):
    nvd("render", session.out / "result", "--mode", mode, "-o", tmp_path)
    rendered = pictures(tmp_path)
    assert difference(rendered, session.pictures("unedited")) > 20
    assert difference(session.pictures(ours), rendered) <= 1


def test_the_sequencer_shows_the_painted_shot(session: Session):
    assert session.seen["added"] == [2, FRAMES - 2, 23]
    assert session.seen["placed_alike"]
    assert difference(session.pictures("sequenced"), session.pictures("painted")) <= 1


def test_a_second_run_replaces_and_keeps_the_paint(session: Session):
    assert session.seen["second_run"] == [0, 1]
    assert difference(session.pictures("painted_again"), session.pictures("unedited")) > 20
    assert difference(session.pictures("painted_again"), session.pictures("painted")) <= 1  # saved as half floats


def test_two_results_of_one_clip_stand_side_by_side(session: Session):
    assert session.seen["newest"] == str(session.out / "another")
    assert difference(session.pictures("painted_beside_another"), session.pictures("painted")) <= 1


def test_the_users_own_images_are_not_touched(session: Session):
    assert session.seen["own_image"] == ["FILE", "STRAIGHT"]


def test_a_hard_trim_takes_frames_away(session: Session):
    assert session.seen["trimmed"] == [FIRST + 2, FIRST + FRAMES - 2]


def test_a_strip_longer_than_its_footage_gives_all_of_it(session: Session):
    assert session.seen["extended"] == [FIRST, FIRST + FRAMES - 1]


def test_disabling_leaves_nothing_behind(session: Session):
    assert session.seen["left"] == []


def test_another_version_that_is_installed_brings_its_own_core(session: Session):
    assert session.seen["keeps_the_old_core"] is False
