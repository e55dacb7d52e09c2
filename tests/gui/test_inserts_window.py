"""An insert in a Blender with its window, pinned by the mouse. Pictures stay in ``artifacts/gui-inserts``."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import window

from nvd_core.clip.pictures import write_png

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "artifacts" / "gui-inserts"


@pytest.fixture(scope="module")
def seen(extension: Path, solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    try:
        command = window.command()
    except window.NoWindowError as error:
        pytest.skip(f"no Blender with a window: {error}")
    out = tmp_path_factory.mktemp("window")
    write_png(out / "soft.png", np.full((60, 80, 4), (255, 0, 0, 255), np.uint8))
    spec = {
        "out": out, "pictures": PICTURES, "extension": extension, "python": sys.executable,
        "folder": shutil.copytree(solved_folder, out / "shot_nvd"), "picture": out / "soft.png",
    }  # fmt: skip
    (out / "spec.json").write_text(json.dumps({name: str(path) for name, path in spec.items()}))
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    return window.walk([*command, "--factory-startup"], "inserts_session.py", out, "inserts", timeout_s=600)


def test_a_picture_is_inserted_while_blender_goes_on(seen: dict[str, Any]) -> None:
    assert seen["inserted"] == [["soft"], ""]


def test_a_corner_and_the_whole_are_dragged_and_escape_puts_back(seen: dict[str, Any]) -> None:
    first, second, third, dragged, put_back, recorded = seen["dragged"]
    assert second[1:] == first[1:]
    assert second[0][0] < first[0][0]
    assert second[0][1] > first[0][1]
    moved = np.subtract(third, second)
    assert np.allclose(moved, moved[0], atol=1e-6)
    assert moved[0][0] > 0.01
    assert dragged != third
    assert put_back == third
    assert np.allclose(recorded[0][1:], np.ravel(third), atol=1e-6)


def test_each_drag_is_an_undo_step_that_no_timer_takes_back(seen: dict[str, Any]) -> None:
    _, second, *_ = seen["dragged"]
    corners, inserts = seen["undone"]
    assert np.allclose(corners, second, atol=1e-6)
    assert inserts == ["soft"]
    assert seen["stays_undone"] == corners


def test_where_a_corner_has_keys_the_frame_gets_one(seen: dict[str, Any]) -> None:
    assert seen["keys"] == [[1.0, 5.0]] * 3
    assert seen["recorded_keys"] == list(range(1, 9))  # the first one is not linear
