"""Inserts in real Blenders: what nvd render makes of them, set by an artist, and never lost to another program."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest
from blenders import BLENDERS, Session, seen_in
from rendered import difference, pictures
from support import nvd

from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.editing import change_insert
from nvd_core.spec.edits import Blend

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def session(
    request: pytest.FixtureRequest,
    extension: Path,
    demo: DemoClip,
    solved_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Session:
    out = tmp_path_factory.mktemp("inserts")
    noise = np.random.default_rng(1).integers(0, 256, (9, 12, 4), dtype=np.uint8)
    write_png(out / "soft.png", cv2.resize(noise, (96, 72), interpolation=cv2.INTER_LINEAR))
    arguments = extension, sys.executable, solved_folder, out / "soft.png", demo.frames, out
    return Session(seen_in(out, request.param, "inserts_session.py", *arguments), out)


def test_they_are_those_of_the_command_line(session: Session, tmp_path: Path) -> None:
    assert nvd("render", session.out / "shown_nvd", "-o", tmp_path / "shown").returncode == 0
    shown = pictures(session.out / "shown")
    assert difference(shown, pictures(tmp_path / "shown")) <= 1
    assert difference(shown, pictures(session.out / "hidden")) > 100
    assert session.seen["saved"] == [True, True]


def test_where_none_is_shown_the_plate_stays(session: Session, demo: DemoClip) -> None:
    assert difference(pictures(session.out / "hidden"), pictures(demo.frames)) == 0


def test_every_mode_is_that_of_the_command_line(session: Session, tmp_path: Path) -> None:
    own = Decomposition.open(session.out / "shot_nvd")
    ours = {path.stem: read_rgb(path).astype(int) for path in (session.out / "modes").iterdir()}
    assert len(ours) == 1 or ours.keys() == {*get_args(Blend)}
    for mode, picture in ours.items():
        change_insert(own, "soft-3", blend=mode)
        assert nvd("render", own.folder, "-o", tmp_path / mode).returncode == 0
        assert difference([picture], pictures(tmp_path / mode)[:1]) <= 1, mode


def test_a_picture_is_inserted_on_top_or_refused_in_words(session: Session) -> None:
    signs, walls, count = session.seen["inserted"]
    assert signs[:2] == ["soft", "soft-2"]
    assert (len(signs), walls, count) == (3, ["soft-3"], 8)
    assert "There is no such picture" in session.seen["no_file"]
    assert "text.png" in session.seen["no_picture"]
    assert "Traceback" not in session.seen["no_picture"]
    assert "Inserting text.png failed" in session.seen["refused_in_panel"]


def test_the_panel_lists_them_top_first_with_what_is_open(session: Session) -> None:
    panel = session.seen["panel"]
    assert panel.index("soft-2") < panel.index("soft ")
    for words in ("Screen", "Overlay", "Upper Left U", "Fade Out", "Clip to Outline", "Insert Picture…"):
        assert words in panel


def test_drawing_them_asks_no_disk(session: Session) -> None:
    assert session.seen["asked"] == []
    assert session.seen["noticed"] == [str(session.out)]


def test_they_come_back_with_the_blend(session: Session) -> None:
    assert session.seen["reopened"] == [True, True]


def test_order_mode_and_eye_change_nothing_else(session: Session) -> None:
    film = session.seen["inserted"][0][2]
    assert session.seen["moved"] == [["soft-2", film, "soft"], 1, "MULTIPLY"]
    assert session.seen["removed"] == [["soft-2", film], 0, True]
    assert "There is no insert 'soft'" in session.seen["gone"]


def test_what_another_program_changes_is_shown_and_what_is_undone_is_written(session: Session) -> None:
    assert session.seen["read"] == [0.25, ""]
    assert session.seen["undone"] == [0.25, [[0.0, 0.25]]]


def test_where_both_have_changed_the_artist_chooses_and_nothing_is_lost_before(session: Session) -> None:
    for (told, refused, refused_load, stays, settled, after), (here, kept) in zip(
        session.seen["differing"], [(0.75, 0.75), (0.625, 0.125)], strict=True
    ):
        for words in (told, refused, refused_load):
            assert "changed here and by another program" in words
        assert "Take the File's Keep These" in told
        assert stays == [here, True]
        assert settled == [kept, kept]
        assert "another program" not in after


def test_where_a_picture_is_gone_the_nodes_and_the_record_stay(session: Session) -> None:
    told, refused, inserts, is_record_as_before = session.seen["no_file_of"]
    assert "The picture of the insert soft-2 is not the one that was inserted" in told
    assert "The decomposition lacks a file" in refused
    assert (inserts, is_record_as_before) == (2, True)


def test_a_strangers_node_is_refused_in_words_and_changes_no_record(session: Session) -> None:
    for words, is_record_as_before, is_node_as_before in session.seen["junk"]:
        assert "holds no insert" in words
        assert is_record_as_before
        assert is_node_as_before


def test_a_record_that_is_gone_takes_no_insert_along(session: Session) -> None:
    is_there, words, is_written_again = session.seen["lost"]
    assert is_there
    assert "changed here and by another program" in words
    assert is_written_again
