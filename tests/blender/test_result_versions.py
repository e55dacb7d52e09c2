"""A result belongs to a strip, its range and its objects: nothing else is ever written over, in real Blenders."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from blenders import BLENDERS, seen_in

from nvd_core.faces.demo_clip import write_clip
from nvd_core.spec.conventions import Size

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def seen(request: pytest.FixtureRequest, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out, clips = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("clips")
    demo = write_clip(tmp_path_factory.mktemp("demo"), 8, Size(128, 72))
    shutil.copytree(demo.masks["sign"], clips / "masks")
    for index, path in enumerate(sorted(demo.frames.iterdir())):
        for name in ("shot", "other"):
            shutil.copy(path, clips / f"{name}.{index + 1:04d}.png")
    return seen_in(out, request.param, "versions_session.py", extension, sys.executable, clips, out)


def test_every_range_clip_and_object_gets_a_folder_of_its_own(seen: dict[str, Any]) -> None:
    assert seen["headings"] == [
        "shot, 4 frames \u2192 shot_nvd",
        "shot.001, 4 frames \u2192 shot_nvd_v002",
        "other, 8 frames \u2192 shot_nvd_v003",
    ]
    assert seen["folders"] == ["shot_nvd", "shot_nvd_v002", "shot_nvd_v003", "shot_nvd_v004"]
    assert seen["untouched"] == [True, True]
    assert seen["scenes"] == {
        "shot_nvd": ["NVD shot", 1, 4, "shot.0001.png"],
        "shot_nvd_v002": ["NVD shot v002", 5, 8, "shot.0005.png"],
        "shot_nvd_v003": ["NVD other v003", 1, 8, "other.0001.png"],
    }


def test_an_object_that_is_renamed_leaves_unsaved_paint_alone(seen: dict[str, Any]) -> None:
    assert seen["renamed"] == [True, [0.9, 0.0, 0.9], True]


def test_what_replacing_writes_over_is_named(seen: dict[str, Any]) -> None:
    held, keeps = seen["holding"]
    assert held == "shot_nvd holds shot, frames 1-4, used by scene NVD shot and strip NVD shot."
    assert "saves it first" in keeps


def test_replacing_saves_unsaved_paint_first_and_keeps_it(seen: dict[str, Any]) -> None:
    assert "Your paint on sign.exr was saved" in seen["replaced"]
    assert seen["painted"] == [False, [0.9, 0.0, 0.9]]
    assert seen["strips"] == [True]


def test_frames_that_were_damaged_are_forgotten_when_they_are_replaced(seen: dict[str, Any]) -> None:
    assert seen["damaged"] == ["A frame is damaged.", ""]


def test_halves_that_wait_for_each_other_have_folders_of_their_own(seen: dict[str, Any]) -> None:
    assert seen["queued"] == ["queued", "queued_v002"]
    assert "A job of this Blender has that folder already" in seen["twice"]
    assert set(seen["queued_done"]) == {"done"}


def test_paint_on_an_atlas_that_was_solved_anew_meanwhile_is_saved_beside_it(seen: dict[str, Any]) -> None:
    assert seen["loaded_again"] == ["done", True, 0.9]
    assert seen["aside"] == ["done", False, True, 0.9]
    assert any("your paint was saved as sign.paint.exr" in said for said in seen["aside_told"])


def test_a_picture_without_a_file_may_be_an_atlas(seen: dict[str, Any]) -> None:
    assert seen["mine"] == ["done", "mine"]
    assert "'mine' has no file yet" in seen["no_file"]


def test_a_new_version_saves_unsaved_masks_of_the_former_ones(seen: dict[str, Any]) -> None:
    dirty, told = seen["mask"]
    assert not dirty
    assert "Your paint on sign.0001.png was saved" in told


def test_resuming_takes_the_masks_as_they_are_by_then(seen: dict[str, Any]) -> None:
    state, can_resume, ended, mask = seen["resumed"]
    assert (state, can_resume, ended) == ("cancelled", True, ["FINISHED"])
    assert mask.endswith("/corrected")
    assert any("are taken as they are now" in said for said in seen["told"])


def test_resuming_keeps_the_masks_where_this_file_has_none_of_them(seen: dict[str, Any]) -> None:
    assert seen["given"] == [False, True, False]


def test_work_on_other_frames_or_objects_is_not_taken_up(seen: dict[str, Any]) -> None:
    assert seen["unfinished"] == [True, False, False, False]


def test_a_result_goes_above_the_strip_that_is_meant(seen: dict[str, Any]) -> None:
    assert seen["meant"] == [True, False]


def test_a_job_that_failed_on_what_was_asked_offers_no_resume(seen: dict[str, Any]) -> None:
    state, can_resume, buttons = seen["bad"]
    assert (state, can_resume) == ("failed", False)
    assert not any(text.startswith("Resume") for text in buttons)
    assert "Forget" in buttons
