"""What an artist does while a job runs, and what another program does, in real Blenders: nothing of it is lost."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from blenders import BLENDERS, seen_in

from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.faces.demo_clip import write_clip
from nvd_core.spec.conventions import Size

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def seen(request: pytest.FixtureRequest, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out, clips = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("clips")
    demo = write_clip(tmp_path_factory.mktemp("demo"), 8, Size(128, 72))
    for index, path in enumerate(sorted(demo.frames.iterdir())):
        shutil.copy(path, clips / f"shot.{index + 1:04d}.png")
    mask = read_rgb(min(demo.masks["sign"].iterdir()))
    write_png(clips / "one.png", mask)
    write_png(clips / "other.png", cv2.erode(mask, np.ones((5, 5), np.uint8)))
    return seen_in(out, request.param, "meanwhile_session.py", extension, sys.executable, clips, out) | {
        "out": str(out)
    }


def test_a_result_is_loaded_into_the_file_it_was_asked_for_in(seen: dict[str, Any]) -> None:
    assert seen["saved_meanwhile"] == ["done", 1]
    assert seen["opened_again"] == ["done", 2]


def test_a_result_is_not_loaded_into_another_file_but_offered_there(seen: dict[str, Any]) -> None:
    state, words, is_untouched = seen["elsewhere"]
    assert (state, is_untouched) == ("left", True)
    assert words.startswith(f"The result is ready in {seen['out']}/elsewhere.")
    for shown in (seen["offered"], seen["found_again"]):
        assert "Load shot" in shown
        assert "was asked for in another file" in " ".join(shown)
    assert seen["not_by_itself"] == 2
    assert seen["loaded"] == [["FINISHED"], True]
    assert seen["records"] == 0


def test_paint_on_a_mask_that_is_made_anew_meanwhile_is_saved_beside_it(seen: dict[str, Any]) -> None:
    words = "sign.0003.png was made anew while you painted on it; your paint was saved as "
    assert seen["aside"] == [
        ["done", False, [f"{words}sign.0003.paint.png"]],
        ["done", False, [f"{words}sign.0003.2.paint.png"]],
    ]
    assert seen["files"] == ["sign.0003.2.paint.png", "sign.0003.paint.png"]
    assert seen["paint"] == pytest.approx([0.75, 0.75], abs=0.01)
    assert seen["anew"] == [0, ["sign/sign.0004.png"]]


def test_masks_with_paint_beside_them_are_taken_by_the_next_job(seen: dict[str, Any]) -> None:
    assert seen["goes_on"] == ["FINISHED"]


def test_a_mask_that_another_program_saves_is_read_but_never_over_paint(seen: dict[str, Any]) -> None:
    dirty, is_newer, said = seen["with_paint"]
    assert (dirty, is_newer) == (True, True)
    assert "Another program has saved sign.0006.png" in " ".join(said)
    assert "nvd.reload_masks" in said
    assert seen["still"] == [True, 1.0]
    assert seen["reloaded"] == [False, 0, False]
    assert seen["shown"] == [False, False]


def test_paint_on_a_mask_may_be_saved_over_anothers_and_is_kept_beside_it_by_a_job(seen: dict[str, Any]) -> None:
    assert seen["moved_on"] == [True, True]
    assert seen["saved_over"] == [False, False]
    assert seen["after"] is False
    assert seen["kept"] == [
        "Your paint on sign.0006.png was saved as sign.0006.paint.png, as sign.0006.png is another by now"
    ]
