"""Whatever stands in a manifest, a job, a list of masks, a checkpoint or an EXR is read, or refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any
from unicodedata import category

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nvd_core.image.exr import HALF_MOST, read_exr, to_half, write_exr
from nvd_core.job_files import read_job
from nvd_core.runtime.checkpoints import load_arrays, save_arrays
from nvd_core.spec.errors import InputError, NvdError, UsageError
from nvd_core.spec.folder import manifest_path
from nvd_core.spec.manifest import Layer, Manifest, SolutionRecord, Source, as_json, read_manifest
from nvd_core.spec.mask_record import Record
from nvd_core.spec.settings import Settings, plain
from nvd_core.spec.validation import fits, misfit

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
SOURCE = Source(
    path="/clips/car", file="/clips/car/car.0001.png", sha256="0" * 64, width=64, height=48, fps=24.0, first=1, last=3,
    is_linear=False,
)  # fmt: skip
MANIFEST = Manifest(
    name="car", source=SOURCE, layers=(Layer("car", "object"), Layer("background", "background")),
    atlas_files={"car": "atlas/car.exr", "background": "atlas/background.exr"},
    original_files={"car": "atlas/car.orig.exr", "background": "atlas/background.orig.exr"},
    settings=plain(Settings()), solution=SolutionRecord(kind="lattice", width=64, height=48),
    masks=({"name": "car", "path": "masks/car"},), versions={"nvd_core": "0"},
    warnings=("one",),
)  # fmt: skip
JOB = {
    "clip": "car.mov",
    "masks": [{"name": "car", "path": "masks", "first": None, "frame": None, "locked": False, "drawn": True}],
    "settings": plain(Settings()),
    "shown": {"width": 64, "height": 48, "frames": 3, "turns": True, "colour": "sRGB"},
}
many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def places(data: Any, *before: Any) -> list[tuple[Any, ...]]:
    """Ways to every value."""
    here = data.items() if isinstance(data, dict) else enumerate(data)
    found = []
    for key, value in here:
        found.append((*before, key))
        if isinstance(value, dict | list | tuple) and value:
            found += places(value, *before, key)
    return found


def with_value(data: Any, way: tuple[Any, ...], value: object) -> Any:
    changed = owner = json.loads(json.dumps(data))
    for key in way[:-1]:
        owner = owner[key]
    owner[way[-1]] = value
    return changed


def written(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data))
    return path


def damaged(whole: bytes, at: int, other: bytes, *, is_cut: bool) -> bytes:
    at %= len(whole)
    return whole[:at] + other + (b"" if is_cut else whole[at + len(other) :])


def check_sentence(error: NvdError) -> None:
    """What is refused is told as it may be shown, and where it is."""
    assert str(error).endswith(".")
    assert all(one.isprintable() or one == "\n" or category(one) == "Zs" for one in str(error))
    assert error.where


def test_the_manifest_and_the_job_are_read_as_they_are(tmp_path: Path) -> None:
    written(manifest_path(tmp_path), as_json(MANIFEST))
    assert read_manifest(tmp_path) == MANIFEST
    assert read_job(written(tmp_path / "job.json", JOB)).clip == str(tmp_path / "car.mov")


@many
@given(way=st.sampled_from(places(as_json(MANIFEST))), value=ANYTHING)
def test_any_value_in_a_manifest(way: tuple[Any, ...], value: object, tmp_path: Path) -> None:
    written(manifest_path(tmp_path), with_value(as_json(MANIFEST), way, value))
    try:
        manifest = read_manifest(tmp_path)
    except InputError as error:
        check_sentence(error)
        return
    for one in (manifest, manifest.source):
        assert misfit({field.name: getattr(one, field.name) for field in fields(one)}, type(one)) in {"", "source"}
    for number in (manifest.source.first, manifest.source.last):
        assert manifest.frame_path(tmp_path, number).resolve().is_relative_to(tmp_path.resolve())


@many
@given(way=st.sampled_from(places(JOB)), value=ANYTHING)
def test_any_value_in_a_job(way: tuple[Any, ...], value: object, tmp_path: Path) -> None:
    try:
        job = read_job(written(tmp_path / "job.json", with_value(JOB, way, value)))
    except (UsageError, InputError) as error:
        check_sentence(error)
        return
    assert misfit(plain(job.settings), Settings) == ""


@many
@given(junk=st.binary(max_size=60) | st.text(max_size=60).map(str.encode), suffix=st.sampled_from([".json", ".toml"]))
def test_any_bytes_as_a_job(junk: bytes, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"job{suffix}"
    path.write_bytes(junk)
    try:
        read_job(path)
    except UsageError as error:
        check_sentence(error)


@many
@given(key=st.sampled_from(["plates", "asked", "layers", "files", "told", "kept"]), value=ANYTHING)
def test_any_value_in_a_list_of_masks(key: str, value: object, tmp_path: Path) -> None:
    Record(tmp_path).write()
    data = json.loads((tmp_path / "masks.json").read_text())
    written(tmp_path / "masks.json", data | {key: value})
    try:
        record = Record.read(tmp_path)
    except InputError:
        return
    record.painted()
    assert all(name.count("/") == 1 and ".." not in name for name in record.files)


@many
@given(at=st.integers(0, 10**6), other=st.binary(max_size=12), is_cut=st.booleans())
def test_a_damaged_checkpoint_is_none_or_what_it_was(at: int, other: bytes, is_cut: bool, tmp_path: Path) -> None:
    path = tmp_path / "part.safetensors"
    arrays = {"nodes": np.arange(12, dtype=np.float32).reshape(3, 4), "reference": np.array([2])}
    save_arrays(path, arrays)
    path.write_bytes(damaged(path.read_bytes(), at, other, is_cut=is_cut))
    kept = load_arrays(path)
    assert kept is None or all(np.array_equal(kept[name], array) for name, array in arrays.items())


@many
@given(at=st.integers(0, 10**6), other=st.binary(max_size=12), is_cut=st.booleans(), in_header=st.booleans())
def test_a_damaged_exr_is_read_or_refused(at: int, other: bytes, is_cut: bool, in_header: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    write_exr(path, {name: np.full((6, 5), 0.5, np.float16) for name in ("R", "G", "box.uv.X")})
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, at % 320 if in_header else at, other, is_cut=is_cut and not in_header))
    try:
        read_exr(path)
    except InputError as error:
        check_sentence(error)


@given(values=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=20))
def test_half_floats_are_finite_and_near(values: list[float]) -> None:
    halves = to_half(np.array(values, np.float32)).astype(np.float64)
    assert np.isfinite(halves).all()
    assert np.allclose(halves, np.clip(np.array(values, np.float64), -HALF_MOST, HALF_MOST), rtol=2**-11, atol=2**-24)


@given(value=ANYTHING)
def test_kinds_are_told_apart(value: object) -> None:
    assert not (fits(value, int) and isinstance(value, bool))
    assert fits(value, int | str | None) == (fits(value, int) or fits(value, str) or value is None)
    assert fits(value, Any)


@pytest.mark.parametrize("value", [True, "1", None, float("nan"), float("inf"), 10**400])
def test_what_no_number_is(value: object) -> None:
    assert not fits(value, float)
