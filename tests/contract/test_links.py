"""A folder may come from anybody: nothing in it is followed out of it, for reading or writing, whatever its name."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from support import job_of, solve, tree

from nvd_core.export.exporters import run_exporter
from nvd_core.faces.demo import run_demo
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.result.decomposition import Decomposition
from nvd_core.runtime.writer import sole_writer
from nvd_core.spec.choices import Learned
from nvd_core.spec.choices.finders import MaskRcnn
from nvd_core.spec.choices.propagators import Sam2
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import LOCK, atomic
from nvd_core.spec.path_safety import own_names
from nvd_core.spec.versions import holds_result

BELOW = (
    "frames/demo.0001.exr", "atlas/sign.exr", "atlas/sign.orig.exr", "report/report.json", "report/contact_sheet.png",
    "checkpoint/job.json", "checkpoint/result", "checkpoint/events.jsonl", "masks/masks.json", "masks/written.txt",
    "masks/sign", "stmap/sign", "channels/demo.0001.exr",
)  # fmt: skip


@pytest.fixture(scope="module")
def first_frames(demo: DemoClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small result."""
    folder = tmp_path_factory.mktemp("small") / "out"
    solve(job_of(demo, frames="1-2"), folder)
    return folder


@pytest.fixture
def folder(first_frames: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(first_frames, tmp_path / "stranger"))


def outside(tmp_path: Path, *, is_folder: bool) -> Path:
    """Something of the user's, with names that would be deleted or written over."""
    mine = tmp_path / "mine"
    (mine / "sign").mkdir(parents=True)
    for name in ("demo.0001.exr", "sign.exr", "masks.json", "job.json", "sign/sign.0001.png", ".x.12345.part.exr"):
        (mine / name).write_text("precious")
    return mine if is_folder else mine / "job.json"


def refused(folder: Path, demo: DemoClip, words: str) -> None:
    """Whatever reads or writes in a folder says why it does not."""
    assert holds_result(folder)
    for use in (
        lambda: Decomposition.open(folder),
        lambda: solve(job_of(demo, frames="1-2"), folder, replaces=True),
        lambda: solve(job_of(demo, frames="1-2"), folder, resume=True),
        lambda: sole_writer(folder).__enter__(),
    ):
        with pytest.raises(InputError, match=words):
            use()


@pytest.mark.parametrize("name", [*own_names(), *BELOW])
def test_no_link_is_followed(name: str, folder: Path, demo: DemoClip, tmp_path: Path) -> None:
    path = folder / name
    is_folder = path.is_dir() or not (path.suffix or path.name.startswith("."))
    target, is_below = outside(tmp_path, is_folder=is_folder), "/" in name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True) if is_below else None
    path.symlink_to(target)
    before = tree(tmp_path)
    refused(folder, demo, "is a link, which may lead outside")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("name", [name for name in (*own_names(), *BELOW) if "." in name])
def test_no_pipe_is_waited_for(name: str, folder: Path, demo: DemoClip) -> None:
    path = folder / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    refused(folder, demo, "is no file")


def test_the_folder_itself_may_be_a_link(folder: Path, demo: DemoClip, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert Decomposition.open(tmp_path / "link").manifest.names == ("sign", "background")
    solve(job_of(demo, frames="1-2"), tmp_path / "link", replaces=True)
    assert (tmp_path / "link").is_symlink()


def test_a_log_that_has_another_name_elsewhere_is_not_written_through(demo: DemoClip, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / LOCK).touch()
    os.link(tmp_path / "precious", begun / "events.jsonl")
    solve(job_of(demo, frames="1-2"), begun)
    assert (tmp_path / "precious").read_text() == "precious"


def test_a_temporary_file_is_nobody_elses(tmp_path: Path) -> None:
    names = set()
    for _ in range(2):
        with atomic(tmp_path / "file.txt") as temporary:
            names.add(temporary.name)
            assert temporary.stat().st_size == 0
    assert len(names) == 2, "its name could be foreseen"


def test_a_demo_does_not_write_through_a_link(tmp_path: Path) -> None:
    mine = outside(tmp_path, is_folder=True)
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo/clip").symlink_to(mine)
    before = tree(tmp_path)
    with pytest.raises(InputError, match="is a link"):
        run_demo(tmp_path / "demo", lambda _: None)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("row", [MaskRcnn, Sam2])
def test_a_model_that_never_ends_is_refused(row: type[Learned], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    for path in ("/dev/zero", tmp_path / "config.json", tmp_path):
        with pytest.raises(InputError, match="is no file"):
            row(str(path)).files()


@pytest.mark.parametrize("has_torch", [True, False])
def test_weights_that_never_end_are_refused_whatever_is_installed(
    has_torch: bool, demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    for package in ("torchvision", *([] if has_torch else ["torch"])):
        monkeypatch.setitem(sys.modules, package, None)
    for path in ("/dev/zero", tmp_path / "pipe.pth", tmp_path):
        with pytest.raises(InputError, match=r"(is|are) no file"):
            solve(job_of(demo, flow=f"raft:{path}"), tmp_path / "out")
    with pytest.raises(InputError, match="no such file of weights"):
        solve(job_of(demo, flow=f"raft:{tmp_path / 'none.pth'}"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_stmaps_are_not_written_over_the_clip(folder: Path, demo: DemoClip) -> None:
    plates = folder / "stmap" / "sign"
    shutil.copytree(demo.frames, plates)
    data = json.loads((folder / "manifest.json").read_text())
    data["source"] |= {"path": str(plates), "file": str(plates / "demo.0001.png")}
    (folder / "manifest.json").write_text(json.dumps(data))
    before = tree(folder)
    with pytest.raises(InputError, match="written over what it is made from"):
        list(run_exporter(Decomposition.open(folder), "stmap"))
    assert tree(folder) == before
