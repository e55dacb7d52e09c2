"""Several strips and several results in a Blender with its window, by mouse and keys.

The picture of each step stays in ``artifacts/gui-strips`` to be looked at.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import window
from support import write_video

from nvd_core.clip.pictures import read_rgb
from nvd_core.faces.demo_clip import write_clip
from nvd_core.spec.conventions import Size

FRAMES, SIZE = 12, Size(192, 108)
ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "artifacts" / "gui-strips"


@pytest.fixture(scope="module")
def seen(extension: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    try:
        command = window.command()
    except window.NoWindowError as error:
        pytest.skip(f"no Blender with a window: {error}")
    out, clip = tmp_path_factory.mktemp("window"), tmp_path_factory.mktemp("clip")
    demo = write_clip(clip, FRAMES, SIZE)
    frames = [read_rgb(path) for path in sorted(demo.frames.iterdir())]
    spec = {
        "out": out, "pictures": PICTURES, "extension": extension, "masks": demo.masks["sign"],
        "clip": write_video(clip / "shot.mp4", frames, SIZE), "python": sys.executable,
        "other": with_sound(write_video(clip / "silent.mp4", frames[:6], SIZE), clip / "other.mp4"),
    }  # fmt: skip
    (out / "spec.json").write_text(json.dumps({name: str(path) for name, path in spec.items()}))
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    return window.walk([*command, "--factory-startup"], "strips_session.py", out, "strips", timeout_s=1500)


def with_sound(video: Path, path: Path) -> Path:
    """The same video with a second of silence."""
    with av.open(str(video)) as source, av.open(str(path), "w") as target:
        picture, sound = source.streams.video[0], target.add_stream("aac", rate=44100)
        copy = target.add_stream_from_template(picture)
        for packet in source.demux(picture):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 44100
        target.mux(sound.encode(silence))
        target.mux(sound.encode())
    return path


def test_a_split_strip_takes_its_objects_along_and_halves_have_results_of_their_own(seen: dict[str, Any]) -> None:
    assert [objects for _, objects in seen["split"]] == [["sign"], ["sign"]]
    assert [said.rpartition(" ")[2] for said in seen["headings"]] == ["shot_nvd", "shot_nvd_v002"]
    assert seen["two_results"] == {"shot_nvd": ["NVD shot", 1, 6], "shot_nvd_v002": ["NVD shot v002", 7, 12]}


def test_undoing_leaves_the_window_where_it_is(seen: dict[str, Any]) -> None:
    assert seen["stroke"] == [True, "NVD shot"]
    assert seen["undone"] == [["Scene", "Video Editing"]] * 3


def test_unsaved_paint_outlives_that_its_object_is_renamed(seen: dict[str, Any]) -> None:
    assert seen["dirty"] == [True, True, True]
    assert seen["jobs"][2] == ["done", "", "shot_nvd_v003"]


def test_nothing_is_started_where_the_dialog_is_left(seen: dict[str, Any]) -> None:
    assert seen["left_alone"] == 1


def test_a_clip_whose_sound_is_active_is_found_and_leaves_anothers_output_alone(seen: dict[str, Any]) -> None:
    kind, said = seen["sound"]
    assert kind == "SOUND"
    assert said.endswith("6 frames \u2192 shot_nvd_v004")
    assert {state for state, _, _ in seen["jobs"]} == {"done"}
    assert seen["all_results"].keys() == {"shot_nvd", "shot_nvd_v002", "shot_nvd_v003", "shot_nvd_v004"}
    assert seen["all_results"]["shot_nvd"] == ["NVD shot", 1, 6]
