"""What is read from a folder, a job or a checkpoint is of its kind, or refused, or computed again."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from support import differing, job_of, results, solve, stop

import nvd_core
from nvd_core.faces.cli import run
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.job_files import read_job
from nvd_core.pipeline import decompose
from nvd_core.result.decomposition import Decomposition
from nvd_core.runtime.checkpoints import load_arrays, save_arrays
from nvd_core.spec.errors import InputError, UsageError
from nvd_core.spec.folder import manifest_path
from nvd_core.spec.manifest import read_manifest
from nvd_core.spec.mask_record import Record


@pytest.fixture
def own_manifest(solved_folder: Path, tmp_path: Path) -> Path:
    """A folder with a copy of the manifest alone."""
    shutil.copy(manifest_path(solved_folder), tmp_path)
    return tmp_path


def change(folder: Path, *keys: str, value: object) -> None:
    """Change one value of a manifest."""
    path = manifest_path(folder)
    data = owner = json.loads(path.read_text())
    for key in keys[:-1]:
        owner = owner[key]
    owner[keys[-1]] = value
    path.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("preset", "best"), ("height", "tall"), ("flow", "\0"), ("find", {"model": "hyper", "weights": "x" * 5000}),
        ("solver", ["x", 1e400, None]),
    ],
)  # fmt: skip
def test_whatever_the_settings_say_the_result_is_read(
    name: str, value: object, solved_folder: Path, own_folder: Path, tmp_path: Path
) -> None:
    change(own_folder, "settings", name, value=value)
    assert Decomposition.open(own_folder).solution().layers == ("sign", "background")
    assert run(["render", str(own_folder), "-o", str(tmp_path / "edited")]) == 0
    assert nvd_core.score(Decomposition.open(own_folder))["size"] == read_manifest(solved_folder).metrics["size"]


def test_settings_of_a_later_version_are_kept_and_passed_over(own_manifest: Path) -> None:
    change(own_manifest, "settings", "of_a_later_version", value={"x": 1})
    change(own_manifest, "of_a_later_version", value=1)
    change(own_manifest, "source", "of_a_later_version", value=1)
    decomposition = Decomposition.open(own_manifest)
    assert decomposition.manifest.settings["of_a_later_version"] == {"x": 1}


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (["name"], "x" * 4000), (["name"], 3), (["layers"], []), (["layers"], ["a", "a"]), (["layers"], "ab"),
        (["layers"], [["sign"]]), (["atlas_files"], []), (["atlas_files", "sign"], 1), (["warnings"], [1]),
        (["versions"], {"nvd_core": 1}), (["metrics"], None), (["masks"], ["sign"]), (["settings"], []),
        (["source", "width"], 10**12), (["source", "width"], 0), (["source", "height"], True),
        (["source", "height"], 1.5), (["source", "fps"], float("inf")), (["source", "fps"], "24"),
        (["source", "fps"], 1e-300), (["source", "first"], -1), (["source", "first"], 10**400), (["source", "last"], 0),
        (["source", "last"], 10**9), (["source", "path"], "a\0b"), (["source", "file"], None),
        (["source", "path"], "a\ud800b"), (["name"], "é" * 119), (["source", "is_linear"], 1),
        (["source"], []), (["solution"], [1]), (["solution", "width"], 0), (["solution", "kind"], 3),
        (["solution"], {"width": 1, "height": 1}), (["schema_version"], "\x1b[31m" * 9), (["schema_version"], []),
    ],
)  # fmt: skip
def test_a_value_that_is_none_is_refused_in_a_sentence(keys: list[str], value: object, own_manifest: Path) -> None:
    change(own_manifest, *keys, value=value)
    with pytest.raises(InputError, match=r"manifest|version"):
        read_manifest(own_manifest)


@pytest.mark.parametrize("depth", ["[", '{"a":'])
def test_a_manifest_of_endless_depth_is_refused(depth: str, own_manifest: Path) -> None:
    manifest_path(own_manifest).write_text(depth * 200_000)
    with pytest.raises(InputError, match="damaged"):
        read_manifest(own_manifest)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("plates", {"1": 2}), ("layers", ["../x"]), ("layers", "ab"), ("files", {"../../x.png": ""}), ("files", []),
        ("told", [{"message": 1, "hint": ""}]), ("told", ["x"]), ("kept", [1]), ("asked", None), ("asked", "\0"),
    ],
)  # fmt: skip
def test_a_list_of_masks_with_a_value_that_is_none_is_refused(key: str, value: object, tmp_path: Path) -> None:
    Record(tmp_path).write()
    assert Record.read(tmp_path) == Record(tmp_path)
    data = json.loads((tmp_path / "masks.json").read_text())
    (tmp_path / "masks.json").write_text(json.dumps(data | {key: value}))
    with pytest.raises(InputError, match="list of masks is damaged"):
        Record.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("job.json", "[" * 100_000, "nested too deeply"),
        ("job.toml", "a=" + "[" * 100_000, "nested too deeply"),
        ("job.toml", "a" + ".b" * 50_000 + "=1", "nested too deeply"),
        ("job.json", '{"clip": "a\\u0000b"}', "NUL"),
        ("job.json", '{"clip": "\\ud800"}', "JSON"),
        ("job.json", '{"settings": {"fps": 1e999}}', "settings.fps"),
        ("job.toml", "[settings]\nseed = " + "9" * 5000, "TOML"),
        ("job", "clip = 1979-05-27", "TOML"),
        ("job.toml", "x" * 2_000_000, "bytes"),
    ],
)
def test_jobs_that_are_none_are_refused_in_a_sentence(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=words):
        read_job(tmp_path / name)


def other_shape(path: Path) -> None:
    save_arrays(path, {name: array[None] for name, array in load_arrays(path).items()})


def other_kind(path: Path) -> None:
    save_arrays(path, {name: array.astype(np.float64) for name, array in load_arrays(path).items()})


def lacking(path: Path) -> None:
    save_arrays(path, dict(list(load_arrays(path).items())[1:]))


def not_numbers(path: Path) -> None:
    save_arrays(path, {n: a * np.nan if a.dtype.kind == "f" else a for n, a in load_arrays(path).items()})


def huge(path: Path) -> None:
    save_arrays(path, {n: a * 0 + a.dtype.type(3e38) if a.dtype == "f4" else a for n, a in load_arrays(path).items()})


def flipped(path: Path) -> None:
    """One bit of the values, as a disk may lose it."""
    data = bytearray(path.read_bytes())
    data[-7] ^= 1
    path.write_bytes(data)


def written_by_others(path: Path) -> None:
    save_file(load_arrays(path), path)


def of_a_kind_that_numpy_lacks(path: Path, kind: str = "BF16") -> None:
    size = 2 if kind == "BF16" else 1
    header = json.dumps({"nodes": {"dtype": kind, "shape": [2], "data_offsets": [0, 2 * size]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(2 * size))


def of_eight_bits(path: Path) -> None:
    of_a_kind_that_numpy_lacks(path, "F8_E4M3")


def with_a_deep_header(path: Path) -> None:
    header = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    path.write_bytes(struct.pack("<Q", len(header)) + header)


def with_a_header_without_end(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1 << 62) + b"{}")


DAMAGES = [
    other_shape, other_kind, lacking, not_numbers, huge, flipped, written_by_others, of_a_kind_that_numpy_lacks,
    of_eight_bits, with_a_deep_header, with_a_header_without_end,
]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_a_damaged_part_counts_as_none(damage: Callable[[Path], None], tmp_path: Path) -> None:
    from jaxtyping import Float32, Int64

    path = tmp_path / "a.safetensors"
    arrays = {"reference": np.array([3]), "nodes": np.ones((4, 3, 2), np.float32)}
    kinds = {"nodes": Float32[np.ndarray, "4 3 2"], "reference": Int64[np.ndarray, "1"]}
    save_arrays(path, arrays)
    assert load_arrays(path, **kinds).keys() == arrays.keys()
    damage(path)
    assert load_arrays(path, **kinds) is None


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_a_damaged_solution_is_refused_in_a_sentence(damage: Callable[[Path], None], own_folder: Path) -> None:
    damage(own_folder / "solution.safetensors")
    with pytest.raises(InputError, match=r"damaged|of another decomposition"):
        Decomposition.open(own_folder).solution()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("kind", "hyper", "does not know"), ("residual", "physical", "residual"), ("width", 64, "does not fit")],
)
def test_a_solution_of_a_later_version_is_refused_and_the_result_is_not(
    name: str, value: object, words: str, own_folder: Path, tmp_path: Path
) -> None:
    change(own_folder, "solution", name, value=value)
    with pytest.raises(InputError, match=words):
        Decomposition.open(own_folder).solution()
    assert run(["render", str(own_folder), "-o", str(tmp_path / "edited")]) == 0


def test_a_solution_that_is_gone_is_told(own_folder: Path) -> None:
    (own_folder / "solution.safetensors").unlink()
    with pytest.raises(InputError, match=r"missing or damaged.*solution\.safetensors"):
        Decomposition.open(own_folder).solution()


@pytest.fixture(scope="module")
def cut_off(demo: DemoClip, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A job that was ended when its atlases were finished."""
    folder = tmp_path_factory.mktemp("cut off") / "out"
    kept = folder / "checkpoint" / "background.atlas.safetensors"
    stop(partial(decompose, job_of(demo, window=16), folder), lambda _: kept.is_file())
    return folder


@pytest.mark.parametrize("damage", [other_shape, lacking, not_numbers, of_a_kind_that_numpy_lacks])
def test_a_job_computes_damaged_parts_again(
    damage: Callable[[Path], None], cut_off: Path, demo: DemoClip, solved_folder: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(cut_off, tmp_path / "out"))
    parts = sorted((folder / "checkpoint").glob("*.*.safetensors"))
    assert {path.name.split(".")[1] for path in parts} >= {"map", "atlas"}
    for path in parts:
        damage(path)
    solve(job_of(demo, window=16), folder, resume=True)
    ours, theirs = (
        {name: data for name, data in results(one).items() if name != "manifest.json"}
        for one in (folder, solved_folder)
    )
    assert differing(ours, theirs) == []


def test_a_job_takes_up_parts_that_are_whole(
    cut_off: Path, demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nvd_core.lattice import solve as lattice

    for name in ("solve_map", "build_atlas"):
        monkeypatch.setattr(lattice, name, lambda *_, **__: pytest.fail("it is kept"))
    folder = Path(shutil.copytree(cut_off, tmp_path / "out"))
    solve(job_of(demo, window=16), folder, resume=True)
    assert read_manifest(folder).names == ("sign", "background")


def test_outlines_that_are_damaged_are_found_again(tmp_path: Path) -> None:
    from nvd_core.roto.cache import Kept
    from nvd_core.roto.window import Cutout

    mask = np.zeros((20, 30), np.float32)
    mask[5:9, 5:9] = 1
    kept = Kept(tmp_path, "box")
    kept.outlined(0, 1, lambda: (Cutout.of(mask), None))
    kept._save()
    assert Kept(tmp_path, "box").outlined(0, 1, lambda: pytest.fail("it is kept"))
    other_shape(next(tmp_path.iterdir()))
    asked = []
    Kept(tmp_path, "box").outlined(0, 1, lambda: asked.append(1) or (Cutout.of(mask), None))
    assert asked
