"""A solution that a folder holds is restored without solving: exported again, it gives the same bytes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import job_of, solve, tree

from nvd_core.export.exporters import run_exporter
from nvd_core.export.frames import write_frames
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.image.exr import rgba_channels, write_exr
from nvd_core.masks import open_mattes
from nvd_core.result.decomposition import Decomposition
from nvd_core.runtime.checkpoints import load_arrays, save_arrays
from nvd_core.shot import prepare
from nvd_core.shot.solution import Solution
from nvd_core.spec.conventions import HIDDEN_BELOW, Size
from nvd_core.spec.settings import Job, Settings


def neural(job: Job, start: str) -> Job:
    pytest.importorskip("torch", reason="the neural solver needs torch")
    chosen = {"solver": "neural", "start": start, "steps": 3, "height": 128, "frames": "2-3"}
    chosen |= {"batch": 64} if start == "none" else {}
    locked = tuple(replace(mask, locked=True) for mask in job.masks)
    return replace(job, masks=locked, settings=Settings.of(preset=job.settings.preset, device="cpu", **chosen))


SOLVERS = {
    "lattice": lambda job: job,
    "refined": lambda job: neural(job, "lattice"),
    "hashing_nvd": lambda job: neural(job, "none"),
}


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_restored_solution_gives_the_same_bytes(solver: str, demo: DemoClip, tmp_path: Path) -> None:
    job = SOLVERS[solver](job_of(demo))
    solve(job, tmp_path / "out")
    first = Decomposition.open(tmp_path / "out")
    again = tmp_path / "again"
    export_again(first, first.solution(), job, again)
    assert tree(again / "frames") == tree(first.folder / "frames")
    for layer in first.manifest.names:
        name = first.manifest.original_files[layer]
        assert (again / name).read_bytes() == (first.folder / name).read_bytes()
    list(run_exporter(first, "stmap"))
    assert tree(again / "stmap") == tree(first.folder / "stmap")


def export_again(first: Decomposition, solution: Solution, job: Job, folder: Path) -> None:
    """Write frames, atlases and STMaps of a restored solution, with its clip and its masks."""
    numbers = first.manifest.source.numbers
    mattes = open_mattes(job.masks, first.clip.info, numbers)
    shot = prepare(first.clip, mattes, numbers, first.manifest.solution.height)
    write_frames(shot, solution, folder, first.manifest.name)
    for layer in solution.layers:
        write_exr(folder / first.manifest.original_files[layer], rgba_channels(solution.atlas(layer)))
    shutil.copy(first.folder / "manifest.json", folder)
    list(run_exporter(Decomposition.open(folder), "stmap"))


def test_a_restored_solution_is_seen_at_any_size(solved: Decomposition) -> None:
    frame, solution = solved.frame(3), solved.solution()
    height, width = frame.plate.shape[:2]
    doubled = [
        np.repeat(np.repeat(one, 2, 0), 2, 1) for one in (frame.plate, *(x.alpha for x in frame.layers.values()))
    ]
    for small, large in zip(frame.layers.values(), solution.frame(3, doubled[0], tuple(doubled[1:])), strict=True):
        assert large.uv_atlas.shape == (2 * height, 2 * width, 2)
        mean = large.uv_atlas.reshape(height, 2, width, 2, 2).mean((1, 3))
        np.testing.assert_allclose(mean[1:-1, 1:-1], small.uv[1:-1, 1:-1], atol=1e-3)
    assert solved.size == Size(width, height)


@pytest.fixture
def early(own_folder: Path) -> Path:
    """A folder whose manifest is as version 0.1.0 has written it, by its very bytes."""
    shutil.copy(Path(__file__).parents[1] / "blender" / "saved" / "manifest.json", own_folder)
    return own_folder


def test_a_manifest_of_the_first_version_opens(early: Path, solved: Decomposition) -> None:
    assert "solution" not in json.loads((early / "manifest.json").read_text())
    decomposition = Decomposition.open(early)
    assert decomposition.manifest.names == solved.manifest.names
    assert decomposition.manifest.solution == solved.manifest.solution
    one, other = (each.solution().arrays() for each in (decomposition, solved))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_solution_without_light_under_objects_opens(own_folder: Path, solved: Decomposition) -> None:
    """As versions before the clean plate have written it: light is then continued from around."""
    path = own_folder / "solution.safetensors"
    arrays = load_arrays(path)
    assert arrays.pop("background.light").any()
    save_arrays(path, arrays)
    frame = solved.frame(3)
    alphas = tuple(layer.alpha for layer in frame.layers.values())
    now, then = (one.solution().frame(3, frame.plate, alphas) for one in (solved, Decomposition.open(own_folder)))
    (_, lit), (_, continued) = now, then
    seen = lit.alpha >= HIDDEN_BELOW
    assert np.array_equal(lit.residual[seen], continued.residual[seen])
    assert not np.array_equal(lit.residual, continued.residual)
