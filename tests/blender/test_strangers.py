"""Files of strangers in Blender: whatever lies in them, nothing raises, nothing half-made stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from blenders import BLENDERS, seen_in

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def seen(
    request: pytest.FixtureRequest, extension: Path, solved_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("strangers")
    return seen_in(out, request.param, "stranger_session.py", extension, solved_folder, out)


def test_custom_properties_nodes_and_paths_of_a_stranger_raise_nothing(seen: dict[str, Any]) -> None:
    assert seen["raised"] == []
    assert seen["newest"]


def test_a_timer_goes_on_and_tells_each_fault_once(seen: dict[str, Any]) -> None:
    assert seen["timer"] == [7.0, 7.0, 1, False]
    assert seen["lasting"]


def test_a_result_that_cannot_be_loaded_is_refused_in_one_sentence_and_leaves_nothing(seen: dict[str, Any]) -> None:
    assert len(seen["refused"]) == 9
    for name, said in seen["refused"].items():
        assert "Traceback" not in said, name
        assert len(said.strip().splitlines()) == 1, name
    assert all(left == [] for left in seen["left"].values()), seen["left"]


def test_what_was_loaded_before_stays_as_it_is(seen: dict[str, Any]) -> None:
    assert seen["kept"] == [True, True]
