"""Results that come from elsewhere: of a farm, and of an earlier Blender."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest
from blenders import BLENDERS, seen_in
from rendered import difference, pictures

from nvd_core.result.decomposition import Decomposition

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module")
def sessions(extension: Path, solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """What every Blender wrote; all open what the oldest has saved."""
    outs: dict[Path, Path] = {}
    for blender in BLENDERS:
        out = tmp_path_factory.mktemp("results")
        saved = [outs[BLENDERS[0]] / "saved.blend"] if outs else []
        seen_in(out, blender, "result_session.py", extension, solved_folder, out, *saved)
        outs[blender] = out
    return outs


@pytest.mark.parametrize("blender", BLENDERS, ids=lambda path: path.parents[1].name)
def test_a_result_from_elsewhere_is_loaded(sessions: dict[Path, Path], blender: Path, solved: Decomposition) -> None:
    plates = [frame.plate.astype(int) for frame in solved.frames()]
    assert difference(pictures(sessions[blender] / "here" / "plain"), plates) == 0
    assert difference(pictures(sessions[blender] / "here" / "painted"), plates) > 50


@pytest.mark.parametrize("blender", BLENDERS, ids=lambda path: path.parents[1].name)
def test_what_is_no_whole_result_is_refused_in_words(sessions: dict[Path, Path], blender: Path) -> None:
    other, unfinished, lacking = json.loads((sessions[blender] / "seen.json").read_text())["refused"]
    assert "The folder is no decomposition" in other
    assert "The decomposition is not finished" in unfinished
    assert "The decomposition lacks a file" in lacking


SOCKET = 22
BUTTONS = {"CompositorNodeImage": 292, "ShaderNodeMix": 132, "CompositorNodeMixRGB": 132}
"""Heights of nodes, as measured in a window; without one Blender does not know them."""


@pytest.mark.parametrize("blender", BLENDERS, ids=lambda path: path.parents[1].name)
def test_no_node_lies_over_another(sessions: dict[Path, Path], blender: Path) -> None:
    for nodes in json.loads((sessions[blender] / "seen.json").read_text())["nodes"]:
        boxes = [
            (x, x + width, y - sockets * SOCKET - (BUTTONS.get(kind, 82) if whole else 60), y)
            for kind, whole, sockets, x, y, width in nodes
            if kind != "NodeFrame"
        ]
        for one, other in combinations(boxes, 2):
            apart = one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]
            assert apart, (one, other)


@pytest.mark.parametrize("blender", BLENDERS, ids=lambda path: path.parents[1].name)
def test_all_nodes_are_such_as_blender_still_offers(sessions: dict[Path, Path], blender: Path) -> None:
    parts_of_trees = {"CompositorNodeGroup", "NodeFrame", "NodeGroupInput", "NodeGroupOutput"}
    assert set(json.loads((sessions[blender] / "seen.json").read_text())["not_offered"]) <= parts_of_trees


@pytest.mark.parametrize("blender", BLENDERS[1:], ids=lambda path: path.parents[1].name)
@pytest.mark.parametrize("name", ["plain", "painted"])
def test_what_an_earlier_blender_has_saved_shows_the_same(sessions: dict[Path, Path], blender: Path, name: str) -> None:
    earlier, later = (
        pictures(place) for place in (sessions[BLENDERS[0]] / "here" / name, sessions[blender] / "opened" / name)
    )
    assert difference(earlier, later) <= (1 if name == "painted" else 0)  # another version rounds otherwise
