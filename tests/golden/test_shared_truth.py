"""Cloth under moving light, rendered with known truth, beside the repository: what refining is worth to an edit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import nvd, solve

from nvd_core.image.colour import to_linear
from nvd_core.image.exr import read_exr
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.settings import Job, MaskSource, Settings, Solver

TRUTH = Path(__file__).parents[2].parent / "shared" / "truth"
FLAG = TRUTH / "data" / "flag"
PAINTED = 24
"""The frame in which the edit was painted."""

GRID = 192
"""Places on the cloth, each way, at which light is followed over time."""


def decomposed(solver: Solver, folder: Path) -> Decomposition:
    masks = tuple(MaskSource.of(name=name, path=str(FLAG / "masks" / name)) for name in ("flag", "pole"))
    solve(Job(clip=str(FLAG / "rgb"), masks=masks, settings=Settings.of(solver=solver)), folder)
    return Decomposition.open(folder)


def edit_score(folder: Path, work: Path) -> float:
    """PSNR of the edited cloth against the truth, dB."""
    work.mkdir()
    painted, frames = work / "painted.exr", work / "frames"
    edit = ["edited/edit_ref.png", f"edited/region/{PAINTED:05}.png"]
    picture, coverage = (FLAG / name for name in edit)
    run([TRUTH / "carry_edit.py", folder, "flag", PAINTED, picture, painted, "--coverage", coverage])
    assert nvd("render", folder, "--atlas", f"flag={painted}", "-o", frames).returncode == 0
    return json.loads(run([TRUTH / "score.py", "edit", FLAG, frames]))["prediction"]["psnr_region"]


def run(arguments: list[object]) -> str:
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def light_correlation(decomposition: Decomposition) -> float:
    """Of the residual's change over time with the true light's, at places of the cloth that the true UV pass names.

    There the cloth's own colour is the same in every frame, so whatever changes is light.
    """
    true, found = [], []
    for t, frame in enumerate(decomposition.frames()):
        channels = read_exr(FLAG / "uv" / "flag" / f"{t:05}.exr")[1]
        layer = frame.layers["flag"]
        shown = (channels["B"] > 0.5) & (layer.alpha > 0.99)
        places = [np.clip(channels[name][shown] * GRID, 0, GRID - 1).astype(int) for name in "RG"]
        cell = places[1] * GRID + places[0]
        for means, light in ((true, to_linear(frame.plate)), (found, layer.residual)):
            log = np.log(np.maximum(light[shown].mean(axis=-1), 1e-3))
            with np.errstate(invalid="ignore"):
                means.append(np.bincount(cell, log, GRID**2) / np.bincount(cell, minlength=GRID**2))
    often = np.isfinite(true).sum(axis=0) > len(true) / 2
    changes = [np.array(means)[:, often] for means in (true, found)]
    changes = [one - np.nanmean(one, axis=0) for one in changes]
    known = np.isfinite(changes[0])
    return float(np.corrcoef(changes[0][known], changes[1][known])[0, 1])


@pytest.fixture(scope="module")
def lattice(tmp_path_factory: pytest.TempPathFactory) -> Decomposition:
    return decomposed("lattice", tmp_path_factory.mktemp("lattice") / "out")


@pytest.mark.shared
@pytest.mark.skipif(not FLAG.is_dir(), reason=f"no clips with known truth at {TRUTH}")
def test_paint_on_the_shot_is_worth_as_much_as_the_edit_carried_by_its_true_coverage(
    lattice: Decomposition, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(lattice.folder, tmp_path / "out"))
    done = nvd("paint", folder, FLAG / "edited/edit_ref.png", f"--frame={PAINTED}", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [*told["texels"]] == ["flag"]
    assert told["off"] < 0.001 * told["pixels"]
    assert nvd("render", folder, "-o", tmp_path / "frames").returncode == 0
    score = json.loads(run([TRUTH / "score.py", "edit", FLAG, tmp_path / "frames"]))["prediction"]["psnr_region"]
    assert score > edit_score(lattice.folder, tmp_path / "carried") - 0.3


@pytest.mark.shared
@pytest.mark.skipif(not FLAG.is_dir(), reason=f"no clips with known truth at {TRUTH}")
def test_refining_carries_an_edit_and_the_light_on_cloth_better(lattice: Decomposition, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the neural solver needs torch")
    scores, lights = {}, {}
    for solver, decomposition in (("lattice", lattice), ("neural", decomposed("neural", tmp_path / "neural"))):
        lights[solver] = light_correlation(decomposition)
        scores[solver] = edit_score(decomposition.folder, tmp_path / f"{solver}-edit")
    assert scores["lattice"] > 24
    assert scores["neural"] > scores["lattice"] + 0.4
    assert lights["neural"] > lights["lattice"]
