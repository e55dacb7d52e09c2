"""A disk that sleeps keeps no panel waiting, in real Blenders: what is drawn is what was known last."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from blenders import BLENDERS, seen_in
from support import disc, numbered, sliding, write_masks, write_video

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")

FRAMES = 4


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def seen(request: pytest.FixtureRequest, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out, clips = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("clips")
    sliding(clips / "shot", FRAMES)
    write_masks(clips / "masks", [disc((50, 50))] * FRAMES)
    write_video(clips / "movie.mp4", [numbered(index) for index in range(FRAMES)])
    return seen_in(out, request.param, "disks_session.py", extension, sys.executable, clips, out)


def test_what_is_drawn_asks_no_disk(seen: dict[str, Any]) -> None:
    assert {name: asked for name, asked in seen["asked"].items() if asked} == {}
    assert len(seen["asked"]) == 8
    assert seen["noticed"][0].startswith("stat ")


def test_what_the_disk_has_told_is_drawn(seen: dict[str, Any]) -> None:
    assert "The engine's Python is not there" in seen["said"]["shot/nowhere/python when it was told"]
    assert "There are no flow files" in seen["said"]["shot when it was told"]
    assert "Remove Engine" not in seen["said"]["shot when it was told"]
