"""Install Engine, Check and Remove Engine in real Blenders; in the newest of them, with a real installation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from blenders import BLENDERS, seen_in
from support import traps

from nvd_core import __version__
from nvd_core.faces.demo_clip import write_clip
from nvd_core.spec.conventions import Size
from nvd_core.spec.manifest import read_manifest

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")


@pytest.fixture(scope="module", params=BLENDERS, ids=[path.parents[1].name for path in BLENDERS])
def out(request: pytest.FixtureRequest, extension: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a session in one Blender wrote."""
    out = tmp_path_factory.mktemp("engine")
    wheels = out / "wheels"
    wheels.mkdir()
    (wheels / "something_else-1.0-py3-none-any.whl").touch()
    clip = write_clip(out / "clip", 3, Size(128, 96)).frames
    full = ["full"] if request.param == BLENDERS[-1] else []
    here = traps(out / "here")
    seen_in(out, request.param, "engine_session.py", extension, wheels, clip, out, *full, cwd=here)
    return out


@pytest.fixture
def seen(out: Path) -> dict[str, Any]:
    return json.loads((out / "seen.json").read_text())


@pytest.fixture
def full(seen: dict[str, Any]) -> dict[str, Any]:
    if "installed" not in seen:
        pytest.skip("installed in the newest Blender alone")
    return seen


def test_without_an_engine_the_panel_leads_to_the_button(seen: dict[str, Any]):
    assert "No engine is installed. Press Install Engine" in seen["panel"]
    assert "[Open Preferences]" in seen["panel"]
    assert "Decompositions run on an engine of their own" in seen["none"]
    assert "[Install Engine]" in seen["none"]
    assert "[nvd.remove_engine]" not in seen["none"]


def test_it_asks_with_how_much_and_where_to(seen: dict[str, Any], out: Path):
    online, offline = seen["asks"]
    assert re.search(r"2\d packages, 1\d\d MB, are downloaded from Python's package registry", online)
    assert re.search(rf"2\d packages, 1\d\d MB, are taken from {out / 'wheels'}; nothing is downloaded", offline)
    assert re.search(r"no others, and each is checked by its hash: .*numpy 2\.\d", online)
    assert re.search(r"2\d packages, 1\d\d MB, will be downloaded, each checked by its hash: .*numpy", seen["none"])
    assert all(str(out / "profile with space") in told for told in (online, offline))


def test_without_online_access_it_says_so_and_what_to_do(seen: dict[str, Any]):
    for told in (seen["offline"], seen["none"]):
        assert "not allowed to go online" in told
        assert "name an offline wheel folder" in told


def test_a_wrong_wheel_folder_shows_the_failing_line_and_can_be_mended(seen: dict[str, Any]):
    assert "no wheels in the offline folder" in seen["no_wheels"]
    for told in (seen["bad_wheels"], seen["after_bad_wheels"]):
        assert "Installing packages failed: No matching distribution found for" in told
    assert "engine.log" in seen["after_bad_wheels"].replace(" ", "")  # it may be on two lines
    assert "[nvd.open_log]" in seen["after_bad_wheels"]
    assert "not finished" in seen["after_bad_wheels"]
    assert "[Install Engine]" in seen["after_bad_wheels"]
    assert seen["half_made"] == [True, True]
    assert "No engine is installed" in seen["still_none"]


def test_it_can_be_cancelled_and_only_one_runs(seen: dict[str, Any]):
    assert "Making the environment" in seen["while_running"]
    assert "[nvd.cancel_engine]" in seen["while_running"]
    assert all("Installing the engine is not finished" in told for told in seen["busy"])
    state, gone, shown = seen["cancelled"]
    assert (state, gone) == ("cancelled", True)
    assert "Installing the engine was cancelled" in shown


def test_a_program_that_never_stops_talking_keeps_nobody_waiting(seen: dict[str, Any]):
    assert seen["talker"] == ["running", "cancelled", True]


def test_nothing_is_changed_under_a_decomposition(seen: dict[str, Any]):
    assert "A decomposition is running" in seen["decomposing"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("wrong_python", "does not answer as an engine does"),
        ("bare_python", "nvd-blender[engine] is not installed there"),
        ("no_python", "The engine's Python is not there"),
    ],
)
def test_a_chosen_python_is_checked_in_words(seen: dict[str, Any], what: str, words: str):
    reported, shown = seen[what]
    assert words in reported
    assert words in shown
    assert "No Python is chosen" in seen["unchosen"]


def test_installed_it_decomposes(full: dict[str, Any], out: Path):
    assert f"The engine {__version__} is installed" in full["installed"]
    assert "[Install Engine]" not in full["installed"]
    assert full["python"][0] == full["python"][1]
    assert read_manifest(out / "result").names == ("background",)


def test_torch_can_be_added(full: dict[str, Any]):
    assert "[Add torch]" in full["wants_torch"]
    assert "The neural solver needs torch, which the engine lacks" in full["no_torch"]
    assert "press Add torch" in full["no_torch"]


def test_what_is_installed_is_what_is_locked(full: dict[str, Any]):
    """However pip is configured on this machine."""
    installed = {(name.lower().replace("_", "-"), version) for name, version in map(str.split, full["packages"])}
    locked = {tuple(one.split()) for one in full["locked"]}
    assert installed - {one for one in installed if one[0] in {"pip", "setuptools"}} == {
        *locked,
        ("nvd-blender", __version__),
    }


def test_nothing_that_lies_about_is_run(seen: dict[str, Any], out: Path):
    """Neither a module where Blender was started, nor what a relative path finds beside the opened file."""
    assert not (out / "sprung").exists(), (out / "sprung").read_text()
    assert seen["kept_in_full"] == [str(out / "stranger" / name) for name in ("python", "wheels")]
    assert len(seen["relative"]) == 20
    assert all("relative to the opened file" in told for told in seen["relative"]), seen["relative"]


def test_a_python_that_cannot_make_environments_is_told_where_there_is_room(seen: dict[str, Any]):
    assert "it lacks venv or ensurepip" in seen["no_venv"]
    assert "Install your system's python3-venv, or choose an existing Python below" in seen["no_venv"]
    assert "[Install Engine]" not in seen["no_venv"]


def test_another_version_is_told_and_updated(full: dict[str, Any]):
    assert f"has version 0.0.1, the extension {__version__}" in full["outdated"]
    assert "[Update Engine]" in full["outdated"]
    assert f"The engine {__version__} is installed" in full["updated"]
    assert "has all that the engine needs" in full["checked"]


def test_removed_nothing_is_left_of_it(seen: dict[str, Any]):
    there, shown, told = seen["removed"]
    assert not there
    assert "Decompositions run on an engine of their own" in shown
    assert "[Install Engine]" in shown
    assert "Press Install Engine" in told


def test_disabling_ten_times_leaves_no_timer_and_no_process(seen: dict[str, Any]):
    assert seen["left"] == []
