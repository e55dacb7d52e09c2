"""The panels and the preferences are drawn in any state that Blender may be in, in each Blender."""

from __future__ import annotations

import json
import subprocess
import wave
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import pytest
from blenders import BLENDERS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import numbered, sliding, write_video

from nvd_core import protocol
from nvd_core.settings import Find, Residual, Solver

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")

Draw = Callable[[dict[str, Any]], dict[str, list[str]]]


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def draw(
    request: pytest.FixtureRequest, extension: Path, solved_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Draw]:
    """Draws a state in a Blender that is there for all of them."""
    out, clips = tmp_path_factory.mktemp("panel"), tmp_path_factory.mktemp("clips")
    sliding(clips / "pictures", 5)
    write_video(clips / "movie.mp4", [numbered(index) for index in range(5)])
    with wave.open(str(clips / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 44100, 0, "NONE", ""))
        sound.writeframes(bytes(8000))
    command = [request.param, Path(__file__).with_name("panel_session.py"), extension, solved_folder, clips, out]
    with (
        (out / "log").open("wb") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as blender,
    ):

        def draw(state: dict[str, Any]) -> dict[str, list[str]]:
            with suppress(BrokenPipeError):
                blender.stdin.write(json.dumps(state) + "\n")
                blender.stdin.flush()
            answer = blender.stdout.readline()
            assert answer, "Blender crashed:\n" + (out / "log").read_text(errors="replace")[-3000:]
            return json.loads(answer)

        yield draw


STRIPS = [
    "no editor", "none", "sound", "COLOR", "TEXT", "ADJUSTMENT", "meta", "scene", "pictures", "picture", "movie",
    "missing picture", "missing movie", "movie that goes",
]  # fmt: skip
DAMAGES = [
    "", "folder gone", "renamed", "no nodes", "no atlas node", "no atlas", "no images", "no groups", "no tree",
]  # fmt: skip
SOURCES = ["FILE", "MASK", "STRIP", "ALPHA"]
STATES = ["waiting", "running", "done", "failed", "cancelled", "left"]

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
NUMBERS = st.floats() | st.integers(-(10**9), 10**18)
EVENTS = st.one_of(
    st.builds(protocol.Hello, core=TEXTS, python=TEXTS, device=TEXTS),
    st.builds(protocol.Stage, name=TEXTS, layer=TEXTS),
    st.builds(protocol.Progress, done=NUMBERS, eta_s=st.none() | NUMBERS),
    st.builds(protocol.Metric, name=st.just("psnr") | TEXTS, value=NUMBERS, layer=TEXTS),
    st.builds(protocol.Preview, path=st.just("/nowhere.png") | TEXTS, layer=TEXTS),
    st.builds(protocol.Caution, message=TEXTS, hint=TEXTS),
).map(lambda event: protocol.encode(event, 1))
ODD = st.none() | st.booleans() | NUMBERS | TEXTS | st.lists(TEXTS, max_size=1)
ODD_EVENTS = st.fixed_dictionaries(
    {
        "v": st.just(1),
        "type": st.sampled_from(["hello", "stage", "progress", "metric", "preview", "warning", "failed"]),
    },
    optional=dict.fromkeys(
        ["core", "python", "device", "name", "layer", "done", "eta_s", "value", "path", "message", "hint"], ODD
    ),
).map(json.dumps)
JOBS = st.fixed_dictionaries(
    {
        "state": st.sampled_from(STATES), "name": TEXTS, "folder": TEXTS, "error": TEXTS, "whole": st.booleans(),
        "lines": st.lists(EVENTS | ODD_EVENTS, max_size=6),
    }
)  # fmt: skip
FRAMES = st.integers(-20, 20)
STRIP = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(STRIPS), "name": TEXTS, "mute": st.booleans(), "reversed": st.booleans(),
        "retimed": st.booleans(), "strobe": st.floats(1, 30), "trim": st.tuples(FRAMES, FRAMES),
        "hard": st.tuples(st.integers(0, 20), st.integers(0, 20)),
    }
)  # fmt: skip
WHOLE = {
    "strip": STRIP,
    "has_sequencer_scene": st.booleans(),
    "clip": st.sampled_from(["", "", "movie", "pictures", "movie gone", "pictures gone"]),
    "engine": st.sampled_from(["absent", "wrong", "present"]),
    "preferences": st.tuples(st.booleans(), TEXTS),
    "masks": st.lists(st.tuples(TEXTS, TEXTS, st.sampled_from(SOURCES), TEXTS), max_size=6),
    "folder": TEXTS,
    "settings": st.fixed_dictionaries(
        {
            "preset": st.sampled_from(["preview", "standard", "final"]),
            "solver": st.sampled_from(get_args(Solver)),
            "find": st.sampled_from(get_args(Find)),
            "residual": st.sampled_from(get_args(Residual)),
            "height": st.integers(0, 9999),
        }
    ),
    "jobs": st.lists(JOBS, max_size=4),
    "results": st.lists(st.sampled_from(DAMAGES), max_size=3),
}


@given(state=st.fixed_dictionaries(WHOLE))
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_state_is_drawn(draw: Draw, state: dict[str, Any]) -> None:
    drawn = draw(state)
    assert "traceback" not in drawn, drawn["traceback"]
    assert {"preferences", "NVD_PT_sequencer.draw", "NVD_PT_clip.draw"} <= drawn.keys()
