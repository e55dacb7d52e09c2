"""The decomposition folder: a manifest is believed in nothing that leads outside, and files are whole or not there."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from nvd_core.runtime.checkpoints import Checkpoints, save_arrays
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import LAYER_NAME, atomic, manifest_path
from nvd_core.spec.manifest import read_manifest


def change(folder: Path, edit: Callable[[dict], object]) -> None:
    data = json.loads(manifest_path(folder).read_text())
    edit(data)
    manifest_path(folder).write_text(json.dumps(data))


OUTSIDE = ["../../other.exr", "/etc/passwd", "atlas/../../x.exr", "", "frames/../../../x"]


@pytest.mark.parametrize("path", OUTSIDE)
@pytest.mark.parametrize("field", ["atlas_files", "original_files"])
def test_a_manifest_that_names_a_file_outside_is_refused(path: str, field: str, own_folder: Path) -> None:
    change(own_folder, lambda data: data[field].update(sign=path))
    with pytest.raises(InputError, match="outside its folder"):
        read_manifest(own_folder)


def test_a_link_that_leads_outside_is_refused(own_folder: Path, tmp_path: Path) -> None:
    (own_folder / "atlas/sign.exr").rename(tmp_path / "sign.exr")
    (own_folder / "atlas/sign.exr").symlink_to(tmp_path / "sign.exr")
    with pytest.raises(InputError, match="outside its folder"):
        read_manifest(own_folder)


@pytest.mark.parametrize(
    "edit",
    [
        lambda data: data.update(name="../../../frame"),
        lambda data: data.update(name="../frame"),
        lambda data: data.update(layers=[]),
        lambda data: data["source"].update(fps=0),
        lambda data: data["source"].update(fps="many"),
        lambda data: data["source"].update(last=0, first=5),
        lambda data: data.update(layers=["../x", "background"]),
        lambda data: data.update(layers=["sign.uv", "background"]),
        lambda data: data.update(schema_version=2),
        lambda data: data.pop("schema_version"),
        lambda data: data.pop("source"),
        lambda data: data["source"].pop("width"),
        lambda data: data["source"].pop("file"),
        lambda data: data.update(source=[]),
        lambda data: data.update(layers=7),
        lambda data: data.update(layers=[7]),
        lambda data: data.update(atlas_files=[]),
        lambda data: data.update(atlas_files={"sign": 7, "background": 7}),
        lambda data: data.update(original_files={}),
        lambda data: data.update(kinds=[]),
        lambda data: data.update(kinds={"sign": "object"}),
        lambda data: data["kinds"].update(sign="background"),
        lambda data: data["kinds"].update(background="object"),
    ],
)
def test_a_manifest_that_says_something_else_is_refused(edit: Callable[[dict], object], own_folder: Path) -> None:
    change(own_folder, edit)
    with pytest.raises(InputError):
        read_manifest(own_folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"', b"[" * 100_000])
def test_a_damaged_manifest_is_refused(content: bytes, own_folder: Path) -> None:
    manifest_path(own_folder).write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_manifest(own_folder)


def test_a_manifest_of_a_later_version_is_refused_in_a_sentence(own_folder: Path) -> None:
    change(own_folder, lambda data: data.update(schema_version=2, layers=[{"name": "sign"}], settings=3))
    with pytest.raises(InputError, match=r"has version 2, this program reads 1.*newer version of this program"):
        read_manifest(own_folder)


def test_a_layer_of_a_later_kind_is_refused_in_a_sentence(own_folder: Path) -> None:
    assert json.loads(manifest_path(own_folder).read_text())["kinds"] == {"sign": "object", "background": "background"}
    change(own_folder, lambda data: data["kinds"].update(sign="region"))
    with pytest.raises(InputError, match=r"The layer sign is of a kind .*'region'"):
        read_manifest(own_folder)


def test_fields_of_a_later_program_are_passed_over(own_folder: Path) -> None:
    before = read_manifest(own_folder)
    change(own_folder, lambda data: data.update(of_a_later_program=1))
    assert read_manifest(own_folder) == before


@pytest.mark.parametrize(("file", "is_linear"), [("a/shot.0001.EXR", True), ("a/shot.0001.png", False)])
def test_an_early_manifest_is_of_linear_light_where_its_clip_is_an_exr(
    file: str, is_linear: bool, own_folder: Path
) -> None:
    change(own_folder, lambda data: data["source"].update(file=file))
    change(own_folder, lambda data: data["source"].pop("is_linear"))
    assert read_manifest(own_folder).source.is_linear is is_linear


def test_the_manifest_says_what_was_decomposed(own_folder: Path, demo) -> None:
    manifest = read_manifest(own_folder)
    assert (manifest.name, manifest.names) == ("demo", ("sign", "background"))
    assert manifest.source.path == str(demo.frames)
    assert (manifest.source.width, manifest.source.height, manifest.source.numbers) == (200, 112, range(1, 9))
    assert len(manifest.source.sha256) == 64
    frames = {manifest.frame_path(own_folder, number) for number in manifest.source.numbers}
    assert {*(own_folder / "frames").iterdir()} == frames


@pytest.mark.parametrize("name", ["a", "Dog", "left-hand_2", "x" * 41])
def test_names_of_layers(name: str) -> None:
    assert LAYER_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "2nd", "my.dog", "a b", "ä", "_a", "-a", "x" * 42, "a/b", "a\n"])
def test_names_that_no_layer_may_have(name: str) -> None:
    assert not LAYER_NAME.fullmatch(name)


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    with atomic(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with suppress(KeyboardInterrupt), atomic(path) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "first"
    assert [one.name for one in path.parent.iterdir()] == ["file.txt"]


def test_a_failed_write_becomes_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"), atomic(tmp_path / "file" / "below"):
        pass
    with pytest.raises(InputError, match="disk is full"), atomic(tmp_path / "new"), Path("/dev/full").open("w") as full:
        full.write("x")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_checkpoints_come_back_as_they_went_in(tmp_path: Path) -> None:
    checkpoints = Checkpoints.open(tmp_path, "a", resume=False)
    arrays = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1], "empty": np.zeros((0, 2), np.float16)}
    checkpoints.save("part", arrays)
    again = Checkpoints.open(tmp_path, "a", resume=True).load("part")
    assert again.keys() == arrays.keys()
    assert all(
        np.array_equal(again[name], array) and again[name].dtype == array.dtype for name, array in arrays.items()
    )


@pytest.mark.parametrize(("fingerprint", "resume"), [("b", True), ("a", False)])
def test_checkpoints_of_another_job_are_gone(fingerprint: str, resume: bool, tmp_path: Path) -> None:
    Checkpoints.open(tmp_path, "a", resume=False).save("part", {"x": np.zeros(3)})
    assert Checkpoints.open(tmp_path, fingerprint, resume=resume).load("part") is None


@pytest.mark.parametrize("size", [0, 4, 8, 60, 100])
def test_a_truncated_checkpoint_counts_as_none(size: int, tmp_path: Path) -> None:
    checkpoints = Checkpoints.open(tmp_path, "a", resume=False)
    checkpoints.save("part", {"x": np.zeros(30)})
    os.truncate(checkpoints.folder / "part.safetensors", size)
    assert checkpoints.load("part") is None


def test_a_pickle_is_no_checkpoint(tmp_path: Path) -> None:
    checkpoints = Checkpoints.open(tmp_path, "a", resume=False)
    (checkpoints.folder / "part.safetensors").write_bytes(pickle.dumps({"x": np.zeros(3)}))
    assert checkpoints.load("part") is None


def test_a_damaged_note_begins_anew(tmp_path: Path) -> None:
    Checkpoints.open(tmp_path, "a", resume=False).save("part", {"x": np.zeros(3)})
    (tmp_path / "checkpoint/job.json").write_bytes(b"\xff[")
    assert Checkpoints.open(tmp_path, "a", resume=True).load("part") is None


def test_the_solution_is_plain_arrays(own_folder: Path) -> None:
    arrays = load_file(own_folder / "solution.safetensors")
    assert set(arrays) == {
        f"{layer}.{part}" for layer in ("sign", "background") for part in ("nodes", "reference", "canvas")
    } | {"background.light"}
    assert all(np.isfinite(array).all() for array in arrays.values())


def test_files_can_be_read_by_others(tmp_path: Path) -> None:
    """Blender, or a colleague, may run as another user."""
    before = os.umask(0o022)
    try:
        save_arrays(tmp_path / "a.safetensors", {"x": np.zeros(3)})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644
