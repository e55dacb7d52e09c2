"""Paint on the Shot in real Blenders: the frame shows the strokes, the others follow, and none is ever lost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from blenders import BLENDERS, seen_in
from rendered import difference, pictures

from nvd_core.clip.pictures import read_rgb
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.paint_on_shot import ALONE

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


class Session(NamedTuple):
    """What a session in Blender saw and wrote."""

    seen: dict[str, Any]
    out: Path

    def sheet(self, name: str) -> np.ndarray:
        """A picture that the session saved."""
        return read_rgb(self.out / f"{name}.png").astype(int)


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def session(
    request: pytest.FixtureRequest, extension: Path, solved_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Session:
    out = tmp_path_factory.mktemp("shot_paint")
    arguments = extension, sys.executable, solved_folder, out
    return Session(seen_in(out, request.param, "shot_paint_session.py", *arguments), out)


def test_a_sheet_is_the_frame_without_the_plate_over_it(session: Session) -> None:
    assert np.array_equal(session.sheet("clean"), pictures(session.out / "before")[2])
    assert session.seen["sheet"] == ["shot frame 3", False, True]
    assert session.seen["set_as_before"]
    assert "Frame 99 is not of the shot" in session.seen["outside"]


def test_strokes_stay_of_their_frame_and_in_the_blend(session: Session) -> None:
    is_same, panel = session.seen["stays"]
    assert is_same
    assert "Sheet of Frame 3" in panel
    assert "the shot shows frame 5" in panel
    assert np.array_equal(session.sheet("reopened"), session.sheet("painted"))
    assert difference([session.sheet("clean")], [session.sheet("painted")]) > 50


def test_the_frame_shows_what_was_painted_and_all_else_is_the_plate(session: Session, solved: Decomposition) -> None:
    clean, painted = session.sheet("clean"), session.sheet("painted")
    is_stroke = (clean != painted).any(axis=-1)
    off = np.abs(pictures(session.out / "after")[2] - painted).max(axis=-1)
    alone = np.max([layer.alpha for layer in solved.one_frame(3).layers.values()], axis=0) >= ALONE
    kernel = np.ones((5, 5), np.uint8)
    within = cv2.erode((is_stroke & alone).astype(np.uint8), kernel) > 0
    assert within.sum() > 1000
    told = session.seen["applied"][2]
    assert off[within].max() <= 3  # Blender is within 1 of what the engine renders
    assert np.count_nonzero(off[within] > 2) <= told["off"]
    assert np.count_nonzero(off[is_stroke & alone] > 2) <= told["off"] + 0.01 * told["pixels"]
    assert off[cv2.dilate(is_stroke.astype(np.uint8), kernel) == 0].max() == 0


def test_another_frame_shows_it_too_and_undo_takes_it_off(session: Session) -> None:
    before, after, undone = (pictures(session.out / name) for name in ("before", "after", "undone"))
    changed = [
        np.count_nonzero(np.abs(one - other).max(axis=-1) > 20) for one, other in zip(before, after, strict=True)
    ]
    assert min(changed) > 0.5 * max(changed) > 500
    assert difference(before, undone) == 0
    is_as_solved, success = session.seen["undone"]
    assert is_as_solved
    assert success.startswith("As before: ")
    assert session.seen["redone"]


def test_what_was_applied_is_told_and_shown(session: Session) -> None:
    warnings, success, told, panel = session.seen["applied"]
    assert warnings == ["Your paint on background.exr was saved"]
    assert told["texels"].keys() == {"sign", "background"}
    assert f"Frame 3 is painted on sign ({told['texels']['sign']} texels)" in success
    assert " ".join(success.split()[:6]) in panel
    assert session.seen["changed"] == [True, True]
    assert session.seen["is_dirty"] == [False, False]
    is_gone, images, is_atlas_canvas = session.seen["gone"]
    assert is_gone
    assert not images
    assert is_atlas_canvas


def test_what_fails_keeps_sheet_and_atlases(session: Session) -> None:
    words, has_strokes, panel, is_as_before = session.seen["failed"]
    assert "sign.orig.exr" in words
    assert has_strokes
    assert is_as_before
    assert "Painting on the shot failed" in panel
    assert "nvd.apply_to_layers" in panel
    for words in session.seen["exchanged"][:2]:
        assert "The atlas of sign is a file of your own" in words
    assert session.seen["exchanged"][2]
    words, is_as_before = session.seen["undo_refused"]
    assert "The atlas has unsaved paint" in words
    assert is_as_before
    assert "Nothing is painted on the sheet" in session.seen["nothing"]


def test_strokes_of_meanwhile_stay_until_they_are_discarded(session: Session) -> None:
    state, success, is_there = session.seen["meanwhile"]
    assert state == "done"
    assert "painted on the sheet meanwhile" in success
    assert is_there
    is_gone, are_as_before, words = session.seen["discarded"]
    assert is_gone
    assert are_as_before
    assert "There is no sheet" in words
