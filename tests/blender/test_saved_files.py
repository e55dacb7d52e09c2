"""A .blend that an earlier version of the extension has saved opens: nothing that an artist left in it is lost."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from blenders import BLENDERS, seen_in
from rendered import difference, pictures

from nvd_core.faces.demo_clip import DemoClip
from nvd_core.result.decomposition import Decomposition

pytestmark = pytest.mark.skipif(not BLENDERS, reason="NVD_BLENDERS names no Python with bpy")

SAVED = Path(__file__).with_name("saved")
OPERATORS = """
    add_result browse_mask cancel cancel_engine carry_mask check_engine copy_diagnostics correct_mask decompose_clip
    edit_atlas_elsewhere edit_objects exchange_atlas forget_job install_engine load_job load_result mask_brush
    open_layers open_log open_report own_lines paint_atlas reload_atlas reload_masks remove_engine render_result
    resume_job revert_atlas save_atlas save_masks show_coverage show_layer solo_layer
"""
"""Operators of that version, which an artist's keys, menus and scripts may call."""


class Session(NamedTuple):
    """What a session in Blender saw and wrote, and the folder that holds clip, result and .blend."""

    seen: dict[str, Any]
    out: Path
    root: Path


@pytest.fixture(scope="module", params=BLENDERS, ids=lambda path: path.parents[1].name)
def session(
    request: pytest.FixtureRequest,
    extension: Path,
    demo: DemoClip,
    solved_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Session:
    """The .blend, opened in each Blender beside its clip and its result, with the manifest of that version."""
    out, root = tmp_path_factory.mktemp("saved"), tmp_path_factory.mktemp("shot")
    shutil.copytree(demo.frames.parent, root / "clip")
    shutil.copytree(solved_folder, root / "result")
    (root / "edit").mkdir()
    shutil.copy(SAVED / "manifest.json", root / "result")
    shutil.copy(SAVED / "saved.blend", root / "edit")
    return Session(seen_in(out, request.param, "saved_session.py", extension, root, out), out, root)


def test_settings_and_objects_are_as_they_were_left(session: Session) -> None:
    assert session.seen["settings"] == ["neural", "preview", "fidelity", "nothing", 96, "//../clip/flow"]
    assert session.seen["objects"] == [
        ["sign", "FILE", "//../clip/masks/sign/", "", "", True],
        ["disc", "MASK", "", "disc", "3", False],
    ]
    assert session.seen["drawn"] == "Drawn"
    assert Path(session.seen["folder"]).resolve() == session.root / "result"
    assert session.seen["clip"][0] == ["poster"]
    assert Path(session.seen["clip"][1]).resolve() == session.root / "poster"


def test_a_job_is_made_of_them(session: Session) -> None:
    assert session.seen["job"] == [["sign", True, None], ["disc", False, 3]]


def test_its_result_is_found_with_its_layers_as_they_were_set(session: Session) -> None:
    plate = session.root / "clip" / "frames" / "demo.0001.png"
    assert session.seen["result"] == [str(session.root / "result"), str(plate), ["sign", "background"]]
    assert (session.seen["opacity"], session.seen["hidden"]) == (0.5, [False, True])
    assert session.seen["strips"] == ["IMAGE", "SCENE"]


def test_every_operator_is_there_still(session: Session) -> None:
    assert {*OPERATORS.split()} <= {*session.seen["operators"]}


def test_it_can_be_worked_on(session: Session, solved: Decomposition) -> None:
    plates = [frame.plate.astype(int) for frame in solved.frames()]
    assert difference(pictures(session.out / "plain"), plates) == 0
    assert difference(pictures(session.out / "painted"), plates) > 50
    assert session.seen["again"] == [True, 0.5]
    assert session.seen["added"] == ["sign", "disc", "object1"]
