"""Render Clean Plate in real Blenders: what the command line renders, above its strip, or nothing at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from blenders import BLENDERS, Session, seen_in
from rendered import difference, pictures
from support import nvd

from nvd_core.faces.demo_clip import DemoClip

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def session(
    request: pytest.FixtureRequest,
    extension: Path,
    demo: DemoClip,
    solved_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Session:
    out = tmp_path_factory.mktemp("clean")
    arguments = extension, sys.executable, solved_folder, demo.frames, out
    return Session(seen_in(out, request.param, "clean_plate_session.py", *arguments), out)


def test_it_is_that_of_the_command_line_with_the_paint_and_looks_of_the_scene(
    session: Session, solved_folder: Path, tmp_path: Path
) -> None:
    atlas = f"--atlas=background={session.out / 'own.exr'}"
    for name, flags in (("files", []), ("rebuilt", ["--mode=rebuild"])):
        flags += ["--clean-plate", "--light=background=0.25", atlas, "-o", tmp_path / name]
        assert nvd("render", solved_folder, *flags).returncode == 0
        assert difference(pictures(session.out / name), pictures(tmp_path / name)) == 0
    nvd("render", solved_folder, "--clean-plate", "-o", tmp_path / "unpainted")
    assert difference(pictures(session.out / "files"), pictures(tmp_path / "unpainted")) > 50
    assert difference(pictures(session.out / "exchanged"), pictures(session.out / "files")) == 0


def test_paint_is_saved_before_and_told(session: Session) -> None:
    assert session.seen["saved"] == [False, ["Your paint on background.exr was saved"]]


def test_it_lies_above_its_strip_in_a_folder_of_its_own(session: Session) -> None:
    assert session.seen["strips"] == [["IMAGE", 2, 8, 21], ["MOVIE", 3, 8, 21]]
    frames = [f"shot_nvd_clean/v001/demo.{number:04d}.exr" for number in range(1, 9)]
    assert session.seen["rendered"] == [*frames, "shot_nvd_clean/v002/shot.mp4"]
    success, panel = session.seen["placed"]
    assert "It lies above shot in Scene." in success
    assert success.partition(".")[2] in " ".join(panel)
    assert f"It is in {session.out / 'files'} alone, as no strip shows the clip." in session.seen["unplaced"]


def test_closed_eyes_say_what_is_taken_out(session: Session) -> None:
    assert session.seen["meant"] == [["sign", "dog"], ["sign"]]


def test_files_that_are_there_are_written_over_only_with_replace(session: Session) -> None:
    words, as_before, panel = session.seen["there"]
    assert "8 of the 8 files are there already" in words
    assert "Choose another place, or write over what is there with Replace." in words
    assert "there already" in " ".join(panel)
    assert as_before
    assert session.seen["left_alone"] == 0
    assert session.seen["replaced"] == [True, True]


def test_cancelled_it_leaves_nothing(session: Session) -> None:
    for state, something_is_left, during, after in session.seen["cancelled"]:
        assert state == "cancelled"
        assert not something_is_left
        assert "Rendering the clean plate" in during
        assert "was cancelled" in " ".join(after)
    is_forgotten, panel = session.seen["forgotten"]
    assert is_forgotten
    assert "was cancelled" not in " ".join(panel)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("no_object", "A clean plate is without objects, and the result has none"),
        ("none_chosen", "No object is taken out"),
        ("film", "The folder is named like a film"),
        ("gone", "The result's files are not there"),
    ],
)
def test_what_has_no_clean_plate_is_refused_in_words(session: Session, what: str, words: str) -> None:
    assert words in session.seen[what]
    assert session.seen["made_nothing"]


def test_unsaved_paint_on_the_artists_own_file_is_left_to_them(session: Session) -> None:
    words, is_as_before = session.seen["own_file"]
    assert "The atlas has unsaved paint" in words
    assert "Save it or reload it first" in words
    assert is_as_before


def test_looks_that_change_are_told(session: Session) -> None:
    (words,) = session.seen["animated"]
    assert words.startswith("Opacity, Light and Gain of background change")
