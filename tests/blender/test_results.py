"""Results that come from elsewhere: of a farm, and of an earlier Blender."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from blenders import BLENDERS
from rendered import difference, pictures

from nvd_core.decomposition import Decomposition

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module")
def sessions(extension: Path, solved_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Path]:
    """What every Blender wrote; all open what the oldest has saved."""
    outs: dict[Path, Path] = {}
    for blender in BLENDERS:
        out = tmp_path_factory.mktemp("results")
        script = Path(__file__).with_name("result_session.py")
        saved = [outs[BLENDERS[0]] / "saved.blend"] if outs else []
        command = [blender, script, extension, solved_folder, out, *saved]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=out)
        assert (out / "seen.json").is_file(), done.stdout[-3000:] + done.stderr[-3000:]
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


@pytest.mark.parametrize("blender", BLENDERS[1:], ids=lambda path: path.parents[1].name)
@pytest.mark.parametrize("name", ["plain", "painted"])
def test_what_an_earlier_blender_has_saved_shows_the_same(sessions: dict[Path, Path], blender: Path, name: str) -> None:
    earlier, later = (
        pictures(place) for place in (sessions[BLENDERS[0]] / "here" / name, sessions[blender] / "opened" / name)
    )
    assert difference(earlier, later) <= (1 if name == "painted" else 0)  # another version rounds otherwise
