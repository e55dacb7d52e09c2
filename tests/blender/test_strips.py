"""Objects, masks and output belong to the strip or movie clip, in real Blenders."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
from blenders import BLENDERS, seen_in
from support import numbered, sliding, write_video

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")

FRAMES = 8


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def seen(request: pytest.FixtureRequest, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out, clips = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("clips")
    sliding(clips / "shot", FRAMES)
    write_video(clips / "sound.mp4", [numbered(index) for index in range(FRAMES)])
    return seen_in(out, request.param, "strips_session.py", extension, sys.executable, clips, out)


@pytest.mark.parametrize(
    ("how", "count"),
    [("split", 2), ("duplicated", 4), ("pasted", 6), ("copied", 7), ("reopened", 7), ("appended", 6)],
)
def test_objects_and_output_follow_their_strip(seen: dict[str, Any], how: str, count: int) -> None:
    assert seen[how] == [True] * count


def test_the_frame_that_a_mask_is_carried_from_stays_that_of_the_clip(seen: dict[str, Any]) -> None:
    assert seen["read_once"] == [["4", "", [4], "24"], ["2, 3", "", [2, 3], "12, 13"]]
    assert seen["moved"] == [["4", "", [4], "124"], ["2, 3", "", [2, 3], "2, 3"]]
    assert sorted(seen["spread"]) == [[[4], "124"], [[4], "124"], [[4], "174"]]


def test_frames_of_an_earlier_version_are_read_by_where_the_strip_is(seen: dict[str, Any]) -> None:
    assert seen["unread"] == ["", "24", [4], "24"]


def test_a_mask_that_is_taken_away_stays_away(seen: dict[str, Any]) -> None:
    assert seen["cleared"] == [False, *[True] * 5]


def test_objects_that_were_kept_with_the_scene_go_to_one_strip(seen: dict[str, Any]) -> None:
    assert seen["old"] == [True, True]
    assert seen["taken"] == [True, False, True]
    assert seen["left"] == [["", []], ["", []]]


@pytest.mark.parametrize(
    ("case", "meant"),
    [
        ("nothing", "No movie or image strip is active"),
        ("one selected", "second"),
        ("two selected", "Several strips are selected, and none of them is active"),
        ("two selected, one active", "second"),
        ("its sound, nothing else selected", "at 40"),
        ("its sound, all selected", "at 40"),
    ],
)
def test_the_strip_whose_picture_is_meant_is_found(seen: dict[str, Any], case: str, meant: str) -> None:
    if case not in seen["meant"]:
        pytest.skip("this Blender has no sound")
    assert seen["meant"][case].startswith(meant)


SETTLED = {
    "rna_type", "name", "type", "select", "select_left_handle", "select_right_handle", "lock", "channel",
    "color_tag", "show_retiming_keys", "connections", "bl_system_properties", "override_cache_settings",
    "use_cache_raw", "use_cache_preprocessed", "use_cache_composite", "nvd", "effect_fader", "use_default_fade",
    "frame_duration", "frame_final_duration", "frame_start", "frame_final_start", "frame_final_end",
    "frame_offset_start", "frame_offset_end", "animation_offset_start", "animation_offset_end", "duration",
    "content_duration", "content_start", "content_end", "left_handle", "right_handle", "left_handle_offset",
    "right_handle_offset", "content_trim_start", "content_trim_end", "retiming_keys", "fps", "filepath",
    "directory", "elements", "colorspace_settings", "alpha_mode", "use_proxy", "proxy", "views_format",
    "stereo_3d_format", "modifiers",
}  # fmt: skip
"""Properties of a strip that say what is read and when, or that change nothing of what is seen in the end: how it is
handled, caches, proxies, what effects alone have. Modifiers are copied by Blender itself."""


def test_everything_that_changes_what_is_seen_of_a_strip_is_carried_or_refused(seen: dict[str, Any]) -> None:
    assert set(seen["properties"]) - set(seen["known"]) - SETTLED == set()


def test_a_result_is_shown_as_its_strip_is(seen: dict[str, Any]) -> None:
    assert {name for name, is_so in seen["carried"].items() if not is_so} == set()
    assert seen["hides"] == [True, False]
    assert seen["muted"] == [True, False]
    assert seen["active"]


def test_strips_in_meta_strips_are_found(seen: dict[str, Any]) -> None:
    meta = seen["meta"]
    assert meta["meant"].startswith("meta is a meta strip. Enter it with Tab")
    assert meta["place"] == ["shot", 5, True, True]
    assert meta["modifiers"]
    assert meta["left"] == [0, True]
    assert meta["used"] == ["scene NVD inner", "strip result"]
    assert meta["matte"] == 1
    assert meta["owners"] == ["matte", "shot"]
    assert meta["entered"] == "shot"
    assert meta["key"] == "3"


def test_a_name_that_is_anothers_in_this_file_is_not_taken_for_it(seen: dict[str, Any]) -> None:
    brought = seen["brought"]
    assert brought["is its own"]
    words = "The strip disc is another here than the one that was chosen, which shows pan.0001.png (beside)"
    assert any(said.startswith(words) for said in brought["told"])
    words = "The mask Drawn that was chosen is not in this file (sign)"
    assert brought["has mask"] or any(said.startswith(words) for said in brought["told"])
    assert brought["chosen here"]
    assert not any("another here" in said for said in brought["chosen again"])


def test_a_strip_that_shows_other_frames_than_its_file_is_refused(seen: dict[str, Any]) -> None:
    words = {"use_deinterlace": "is deinterlaced", "strobe": "has a strobe", "use_reverse_frames": "plays backwards"}
    assert {name: f"The strip {said} (shot)" in seen["refused"][name] for name, said in words.items()} == dict.fromkeys(
        words, True
    )


def test_a_strip_that_is_stretched_to_the_scenes_rate_is_told_before_the_start(seen: dict[str, Any]) -> None:
    if not seen["rates"]:
        pytest.skip("this Blender cannot add one without a window")
    (stretched,), own = seen["rates"]
    assert "The strip is played at another rate" in stretched
    assert own == []


@pytest.mark.parametrize(
    ("case", "field", "words"),
    [
        ("umlaut", "name", "'grünes Auto' cannot be the name of a layer. Write it as gruenes_Auto."),
        ("empty name", "name", "'' cannot be the name of a layer"),
        ("reserved", "name", "'Background' is what the rest of the clip is called"),
        ("twice", "name", "There is more than one layer 'car'"),
        ("no mask", "mask", "There is no such mask (/nowhere/masks)"),
        ("no pictures", "mask", "The folder has no pictures"),
        ("no field", "mask", "The object has no mask"),
        ("no datablock", "mask", "The object has no mask"),
        ("taken", "folder", "The output folder holds something else"),
        ("a file", "folder", "The output is a file"),
        ("flow", "flow", "There are no flow files (/nowhere/flow)"),
        ("height", "height", "Lines is 20"),
        ("memory", "memory", "'much' is not an amount of memory"),
        (
            "no torch",
            "solver",
            "The neural solver needs torch, which the engine's Python lacks. Name another Python in the extension's "
            "preferences, or install torch there.",
        ),
        ("no clip", "clip", "The clip's file is not there (/nowhere/pan.0001.png)"),
        ("no engine", "engine", "No engine is installed"),
    ],
)
def test_what_can_be_known_is_told_before_the_start(seen: dict[str, Any], case: str, field: str, words: str) -> None:
    first, *_, can_start = seen["before"][case]
    assert first[0] == field
    assert first[1].startswith(words)
    assert first[2] == (0 if field in {"name", "mask"} else -1)
    assert can_start is False


def test_what_is_right_can_be_started(seen: dict[str, Any]) -> None:
    assert seen["before"]["good"] == [True]
    has_torch = importlib.util.find_spec("torch") is not None
    assert ("solver" in [one[0] for one in seen["before"]["solver"][:-1]]) is not has_torch
