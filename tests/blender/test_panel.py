"""The panels and the preferences are drawn in any state that Blender may be in, in each Blender."""

from __future__ import annotations

import json
import re
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

from nvd_core.spec import protocol
from nvd_core.spec.choices.solvers import SOLVERS
from nvd_core.spec.settings import Residual

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
            "solver": st.sampled_from([*SOLVERS]),
            "find": st.sampled_from(["moving", "nothing"]),
            "residual": st.sampled_from(get_args(Residual)),
            "height": st.integers(0, 9999),
        }
    ),
    "jobs": st.lists(JOBS, max_size=4),
    "results": st.lists(st.sampled_from(DAMAGES), max_size=3),
}


STATE = {
    "strip": {
        "kind": "movie", "name": "movie", "mute": False, "reversed": False, "retimed": False, "strobe": 1.0,
        "trim": (1, 6), "hard": (0, 0),
    },
    "has_sequencer_scene": True, "clip": "", "engine": "present", "preferences": (False, ""), "masks": [],
    "folder": "", "settings": {"preset": "standard", "height": 0}, "jobs": [], "results": [],
}  # fmt: skip
"""A clip, and nothing done yet."""


@given(state=st.fixed_dictionaries(WHOLE))
@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_any_state_is_drawn(draw: Draw, state: dict[str, Any]) -> None:
    drawn = draw(state)
    assert "traceback" not in drawn, drawn["traceback"]
    assert {"preferences", "status bar", "menu"} <= drawn.keys()
    for editor in ("NVD_PT_sequencer", "NVD_PT_clip"):
        assert {f"{editor}_{part}.draw" for part in ("clip", "objects", "job", "results")} <= drawn.keys()


def test_the_panel_speaks_blenders_language(draw: Draw) -> None:
    """Of all that is shown beside fields and buttons: no flags, files of the command line, or bare values."""
    for text in draw({"texts": True})["texts"]:
        assert not re.search(r"--|job\.toml|pip install|\bdis\b|paper", text), text


@pytest.mark.parametrize(
    "table", ["solvers:Solver", "finders:Finder", "flow_sources:FlowSource", "mask_origins:MaskOrigin"]
)
def test_a_row_without_texts_in_the_panel_is_offered_by_its_name(draw: Draw, table: str) -> None:
    seen = draw(STATE | {"row": table})
    assert "traceback" not in seen, seen["traceback"]
    assert [text for text in seen["offered"] if "mine: one of my own" in text]
    assert "nvd.decompose_clip" in seen["NVD_PT_sequencer_job.draw"]
    if table == "finders:Finder":
        assert "With no object in the list: one of my own." in " ".join(seen["NVD_PT_sequencer_objects.draw"])
    assert seen["masks"] == ([["sign", "mine"]] if table == "mask_origins:MaskOrigin" else [])
    after = draw({"texts": True})["texts"]
    assert not [text for text in after if "one of my own" in text]


def test_the_menus_strip_and_clip_have_what_is_done_with_a_clip(draw: Draw) -> None:
    offered = ["Decompose Clip", "Add Result to Sequencer", "Load Result…"]
    assert draw({"menus": True}) == {"SEQUENCER_MT_strip": offered, "CLIP_MT_clip": offered}


def test_what_is_left_to_the_preset_says_so(draw: Draw) -> None:
    notes = draw(STATE)["NVD_PT_sequencer_job.draw"]
    assert "By Preset: 480" in notes
    assert "0" not in notes


def test_the_header_says_which_clip_how_many_frames_and_where_they_go(draw: Draw) -> None:
    assert draw(STATE)["NVD_PT_sequencer_clip.draw_header"] == ["movie, 5 frames → movie_nvd"]


def test_psnr_stands_under_the_job_with_the_size_that_it_is_of(draw: Draw) -> None:
    job = {"name": "shot", "folder": "/nowhere", "error": "", "whole": False}
    for state, size, words in (
        ("running", "", "so far"),
        ("running", "848x480", "at 848x480"),
        ("done", "2x2", "at 2x2"),
    ):
        line = protocol.encode(protocol.Metric(name="psnr", value=31.26, size=size), 1)
        drawn = draw(STATE | {"jobs": [job | {"state": state, "lines": [line]}]})
        panel = "job" if state == "running" else "results"
        assert f"shot, PSNR 31.3 dB {words}" in drawn[f"NVD_PT_sequencer_{panel}.draw"]


def test_progress_and_cancel_stand_below_the_button_and_in_the_status_bar(draw: Draw) -> None:
    events = [protocol.Stage(name="solve"), protocol.Progress(done=0.4, eta_s=90)]
    job = {"name": "shot", "folder": "/nowhere", "error": "", "whole": False}
    running = job | {"state": "running", "lines": [protocol.encode(event, 1) for event in events]}
    drawn = draw(STATE | {"jobs": [running, job | {"state": "waiting", "lines": []}]})
    buttons = drawn["NVD_PT_sequencer_job.draw"]
    assert buttons.index("Cancel") > buttons.index("nvd.decompose_clip")
    assert any("left" in note for note in buttons)
    (said,) = (note for note in drawn["status bar"] if note.startswith("shot"))
    assert "left" in said
    assert "1 waiting" in said
    assert "nvd.cancel" in drawn["status bar"]
    assert draw(STATE)["status bar"] == []


@pytest.mark.parametrize(
    ("folder", "names", "is_sequence", "frames", "path"),
    [
        ("pictures", [], True, "", "pictures"),
        ("pictures", [1], True, "", "pictures/####"),
        ("pictures", [1], False, "", "pictures/1"),
        ("pictures", [1, 2], True, "", "pictures/####"),
        ("pictures", [1], True, "3", "pictures/1"),
        ("", ["movie.mp4"], True, "", "movie.mp4"),
    ],
)
def test_the_file_browser_takes_files_sequences_and_folders(
    draw: Draw, folder: str, names: list[Any], is_sequence: bool, frames: str, path: str
) -> None:
    pictures = draw(STATE | {"listed": "pictures"})["listed"]
    chosen = [pictures[name] if isinstance(name, int) else name for name in names]
    state = {"browse": [folder, chosen, is_sequence], "masks": [["sign", "", "FILE", frames]]}
    wanted = path.replace("####", re.sub(r"\d+", lambda digits: "#" * len(digits[0]), pictures[0]))
    wanted = wanted.removesuffix("/1") + f"/{pictures[1]}" if path.endswith("/1") else wanted
    assert draw(STATE | state)["path"] == (["", wanted] if frames else [wanted, ""])


def test_long_sentences_wrap_wherever_they_stand(draw: Draw) -> None:
    sentence = "The engine's Python lacks a module. " * 9
    job = {"name": "shot", "folder": "/nowhere", "error": sentence, "whole": False}
    caution = protocol.encode(protocol.Caution(message=sentence, hint=sentence), 1)
    jobs = [job | {"state": state, "lines": [caution]} for state in STATES]
    for engine in ("absent", "wrong", "present"):
        drawn = draw(STATE | {"jobs": jobs, "engine": engine, "task": sentence})
        for panel, notes in drawn.items():
            assert all(len(note) < 80 for note in notes), (panel, max(notes, key=len))
