"""An artist's way through the extension in a Blender with its window, by mouse and keys.

The picture of each step stays in ``artifacts/gui`` to be looked at.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import window
from support import write_video

from nvd_core.clip.pictures import read_rgb
from nvd_core.faces.demo_clip import write_clip
from nvd_core.spec.conventions import Size

FRAMES, SIZE = 12, Size(320, 180)
ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "artifacts" / "gui"
ATLAS, SHOT = "IMAGE_EDITOR.PAINT/WINDOW", "IMAGE_EDITOR.VIEW/WINDOW"
PANEL, EDIT = "SEQUENCE_EDITOR.SEQUENCER/UI", "SEQUENCE_EDITOR.PREVIEW/PREVIEW"


class Walked(NamedTuple):
    """What was seen on the way, and in the Blender that was started after it."""

    first: dict[str, Any]
    next: dict[str, Any]

    def region(self, step: str, region: str) -> np.ndarray:
        """A part of the picture of a step."""
        (path,) = PICTURES.glob(f"*-{step}.png")
        left, top, right, bottom = (self.first["boxes"] | self.next["boxes"])[path.stem][region]
        return cv2.imread(str(path))[max(0, top) : bottom, max(0, left) : right].astype(int)

    def paint(self, step: str, region: str) -> int:
        """How many pixels there have the colour of the paint, in whatever light."""
        blue, green, red = np.moveaxis(self.region(step, region), -1, 0)
        return int(((red > 150) & (blue > 150) & (green < 0.5 * np.minimum(red, blue))).sum())

    def changed(self, step: str, other: str, region: str) -> float:
        """Share of the pixels there that differ."""
        apart = np.abs(self.region(step, region) - self.region(other, region))
        return float((apart.max(axis=-1) > 24).mean())


@pytest.fixture(scope="module")
def walked(extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Walked:
    try:
        command = window.command()
    except window.NoWindowError as error:
        pytest.skip(f"no Blender with a window: {error}")
    out, clip = tmp_path_factory.mktemp("window"), tmp_path_factory.mktemp("clip")
    demo = write_clip(clip, FRAMES, SIZE)
    shot = write_video(clip / "shot.mp4", map(read_rgb, sorted(demo.frames.iterdir())), SIZE)
    mask = min(demo.masks["sign"].iterdir())
    spec = {"out": out, "pictures": PICTURES, "extension": extension, "clip": shot, "mask": mask}
    (out / "spec.json").write_text(
        json.dumps({name: str(path) for name, path in spec.items()} | {"python": sys.executable, "frames": FRAMES})
    )
    places = [PICTURES, out / "profile", clip / "shot_nvd"]
    try:
        first = first_walk(command, out, places)
    except window.BlenderDiedError:  # of a bus error of its own, drawing in software: seen, rarely
        first = first_walk(command, out, places)
    walked = Walked(first, walk([*command, str(out / "shot.blend")], "next", out))
    (PICTURES / "regions.json").write_text(json.dumps(walked.first["boxes"] | walked.next["boxes"], indent=1))
    return walked


def first_walk(command: list[str], out: Path, places: list[Path]) -> dict[str, Any]:
    """From the beginning, with nothing there yet."""
    for place in places:
        shutil.rmtree(place, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    return walk([*command, "--factory-startup"], "first", out)


def walk(command: list[str], name: str, out: Path) -> dict[str, Any]:
    """One Blender, from its start to its end."""
    return window.walk(command, "session.py", out, name, name, engine=False)


def test_the_engine_is_chosen_in_the_preferences_that_the_panel_opens(walked: Walked) -> None:
    assert any(said.startswith("No engine is installed") for said in walked.first["without_engine"])
    state, success, error = walked.first["check"]
    assert (state, error) == ("done", "")
    assert success.startswith(sys.executable)


def test_a_forecast_comes_before_the_job(walked: Walked) -> None:
    assert any(said.startswith("About\xa0") for said in walked.first["without_engine"])


def test_a_mask_is_chosen_in_a_browser_of_files(walked: Walked) -> None:
    assert walked.first["browser"] == [True, True, True]
    assert walked.first["undo_object"][0][0][2].endswith("sign.0001.png")


def test_objects_can_be_undone_and_redone(walked: Walked) -> None:
    masked, carried, bare, none, *again = walked.first["undo_object"]
    assert (carried, bare, none) == ([["object1", "1", ""]], [["object1", "", ""]], [])
    assert again == [bare, carried, masked]


def test_progress_stands_in_the_status_bar_while_a_job_runs(walked: Walked) -> None:
    for step, is_shown in (("forecast", False), ("preview", True), ("finish", False)):
        blue, _, red = np.moveaxis(walked.region(step, "STATUSBAR"), -1, 0)
        assert (((blue > 150) & (red < 100)).sum() > 100) == is_shown, step


def test_a_mask_is_corrected_in_red_over_the_shot_and_follows_the_playhead(walked: Walked) -> None:
    assert walked.first["mask"] == ["object1.0005.png", False]
    assert walked.first["mask_painted"] == ["object1.0005.png", True]
    assert walked.first["mask_followed"] == ["object1.0009.png", False, True, 0]
    is_dirty, path = walked.first["mask_saved"]
    assert not is_dirty
    assert walked.first["atlas_again"] == "object1.exr"
    saved = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    assert saved.dtype == np.uint8
    flat = saved if saved.ndim == 2 else saved[..., :3].max(axis=-1) - saved[..., :3].min(axis=-1)
    assert saved.ndim == 2 or not flat.any()  # white on black, as it was
    assert walked.changed("correct-mask", "paint-mask", ATLAS) > 0.005
    colours = walked.region("correct-mask", ATLAS)
    assert (colours.max(axis=-1) - colours.min(axis=-1) > 60).mean() > 0.1  # the shot, not black and white


def test_a_job_is_cancelled_and_resumed_by_its_buttons(walked: Walked) -> None:
    assert walked.first["running"][0] == "running"
    state, error, said = walked.first["cancelled"]
    assert state == "cancelled"
    assert "It can be resumed" in error
    assert error in said
    assert walked.first["resumed"] == ["running", True]
    state, error, metrics = walked.first["finished"]
    assert (state, error) == ("done", "")
    assert metrics["psnr"] > 28


def test_a_live_picture_appears_in_the_panel(walked: Walked) -> None:
    state, _, icons = walked.first["preview"]
    assert state == "running"
    assert any(icons)
    assert walked.changed("cancel", "preview", PANEL) > 0.05


def test_a_result_that_was_undone_can_be_had_again(walked: Walked) -> None:
    assert walked.first["loaded"]["results"] == walked.first["result_redone"]["results"] == ["NVD shot"]
    undone = walked.first["result_undone"]
    assert undone["results"] == []
    assert undone["objects"] == ["object1"]
    assert walked.first["load_again"]["results"] == ["NVD shot"]


def test_a_stroke_on_the_atlas_shows_in_the_shot(walked: Walked) -> None:
    assert walked.first["canvas"][1] == "IMAGE"
    assert walked.first["unpainted"]["painted"] == 0
    assert walked.first["stroke"]["painted"] > 500
    assert walked.first["stroke"]["dirty"]
    assert walked.paint("open-layers", ATLAS) == walked.paint("open-layers", SHOT) == 0
    assert walked.changed("open-layers", "paint", SHOT) > 0.005
    assert walked.paint("paint", ATLAS) > 1000
    assert walked.paint("paint", SHOT) > 100


def test_undoing_a_stroke_leaves_everything_else(walked: Walked) -> None:
    unpainted, stroke = walked.first["unpainted"], walked.first["stroke"]
    assert walked.first["stroke_undone"] == unpainted
    assert walked.first["stroke_redone"] | {"dirty": True} == stroke
    assert walked.paint("undo-stroke", SHOT) == 0
    assert walked.paint("redo-stroke", SHOT) == walked.paint("paint", SHOT)
    assert not walked.first["saved"]["dirty"]


def test_light_eye_and_comparison_show_at_once(walked: Walked) -> None:
    assert walked.changed("last-frame", "unlit", SHOT) > 0.01
    assert walked.changed("redo-stroke", "lit-again", SHOT) < 0.0005  # the editor's own buttons may light up
    assert walked.paint("hidden", SHOT) == walked.paint("plate", SHOT) == 0
    assert walked.paint("shown-again", SHOT) == walked.paint("compared", SHOT) == walked.paint("paint", SHOT)


def test_the_rendered_shot_lies_in_the_edit(walked: Walked) -> None:
    assert walked.first["rendered"] == ["MOVIE", "SCENE", "IMAGE"]
    assert walked.paint("back-to-the-edit", EDIT) > 300


def test_the_result_goes_above_the_strip_and_can_be_undone(walked: Walked) -> None:
    assert walked.first["added"]["strips"] == walked.first["added_redone"]["strips"] == ["MOVIE", "SCENE"]
    assert walked.first["added_undone"]["strips"] == ["MOVIE"]
    assert walked.first["added_undone"]["results"] == ["NVD shot"]


def test_the_paint_is_there_when_the_file_is_opened_again(walked: Walked) -> None:
    before = walked.first["added_redone"] | {
        "strips": walked.first["rendered"],
        "scene": walked.next["reopened"]["scene"],
    }
    after = walked.next["reopened"]
    assert after | {"painted": 0} == before | {"painted": 0}
    assert after["painted"] == pytest.approx(before["painted"], rel=0.01)  # an atlas is saved in half floats
    assert walked.paint("edited", EDIT) > 300
    assert walked.paint("layers-again", SHOT) > 100


def test_how_long_blender_was_kept_waiting(walked: Walked, capsys: pytest.CaptureFixture[str]) -> None:
    """Measured and told, not judged: other programs share the machine."""
    clock = walked.first["clock"]
    assert {"idle", "job: map object1", "job: report"} <= set(clock["gaps"])
    assert {"jobs.queue._poll_all", "NVD_PT_sequencer.draw"} <= set(clock["functions"])
    lines = [""]
    for kind, head in (
        ("gaps", ("Between two turns of the main thread, ms", "turns", "longest", "mean")),
        ("functions", ("Of these in our functions, ms", "calls", "longest", "worked")),
    ):
        lines.append(f"{head[0]:46}{head[1]:>8}{head[2]:>10}{head[3]:>10}")
        rows = sorted(clock[kind].items(), key=lambda row: -row[1][1])
        lines += [f"  {name:44}{count:8}{longest:10.1f}{other:10.1f}" for name, (count, longest, other) in rows]
    with capsys.disabled():
        sys.stdout.write("\n".join([*lines, ""]))
