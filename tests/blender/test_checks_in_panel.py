"""What the engine would refuse is told in the panel before the start, beside its field, in real Blenders."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blenders import BLENDERS, seen_in
from support import SIZE, disc, sliding, write_masks

from nvd_core.image.exr import write_exr
from nvd_core.spec.conventions import Size

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")

FRAMES = 4


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def seen(request: pytest.FixtureRequest, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out, clips = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("clips")
    sliding(clips / "shot", FRAMES)
    write_masks(clips / "masks", [disc((50, 50))] * FRAMES)
    write_masks(clips / "wide", [disc((50, 50), size=Size(2 * SIZE.width, SIZE.height))] * FRAMES)
    write_masks(clips / "later", [disc((50, 50))] * FRAMES, first=3)
    write_masks(clips / "black", [0 * disc((50, 50))])
    zeros = np.zeros((48, 80), np.float32)
    for number in range(1, FRAMES):
        write_exr(clips / f"flow/flow.{number:04d}.exr", {"R": zeros, "G": zeros})
    return seen_in(out, request.param, "checks_session.py", extension, sys.executable, clips, out)


@pytest.mark.parametrize(
    ("case", "field", "index", "words"),
    [
        ("wide", "mask", 0, "The mask is 320x96, the clip is 160x96"),
        ("later", "mask", 0, "The masks lack 1-2"),
        ("black", "mask", 0, "The mask of sign is black"),
        ("flow", "flow", -1, "The flow is 80x48, the clip is 160x96"),
        ("memory", "memory", -1, "The job needs about "),
        ("wide again", "mask", 0, "The mask is 320x96"),
    ],
)
def test_what_the_engine_would_refuse_is_told_beside_its_field(
    seen: dict[str, Any], case: str, field: str, index: int, words: str
) -> None:
    told = seen["told"][case]
    assert [one[:2] for one in told["fields"]] == [[field, index]]
    assert told["fields"][0][2].startswith(words)
    assert told["drawn"]
    assert told["can_start"] is False


@pytest.mark.parametrize("case", ["good", "good again", "drawn", "mended"])
def test_what_it_would_not_refuse_can_be_started(seen: dict[str, Any], case: str) -> None:
    assert seen["told"][case] == {"fields": [], "drawn": True, "can_start": True}


def test_drawing_starts_nothing_and_waits_for_nothing(seen: dict[str, Any]) -> None:
    assert all(is_idle for _, is_idle in seen["at_once"].values())
    told = {case for case, (can_start, _) in seen["at_once"].items() if not can_start}
    assert told == {"memory", "wide again"}, "the one is known without the engine, the other was answered before"


def test_an_outdated_question_is_dropped(seen: dict[str, Any]) -> None:
    assert seen["outdated"] == [False, True, 1]
    assert seen["stopped"]


def test_nothing_is_written_for_it(seen: dict[str, Any]) -> None:
    assert seen["written"] is False
