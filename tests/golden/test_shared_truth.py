"""Cloth under moving light, rendered with known truth, beside the repository: what refining is worth to an edit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import command, nvd

from nvd_core.image.colour import to_linear
from nvd_core.image.exr import read_exr
from nvd_core.result.decomposition import Decomposition

TRUTH = Path(__file__).parents[2].parent / "shared" / "truth"
FLAG = TRUTH / "data" / "flag"
FRAMES = range(14, 34)
"""Of the clip: half of them tells the solvers apart as all of them do."""

PAINTED = 24 - FRAMES.start
"""The frame in which the edit was painted."""

GRID = 192
"""Places on the cloth, each way, at which light is followed over time."""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scene's folder, shortened to some frames, numbered from 0."""
    folder = tmp_path_factory.mktemp("flag")
    for path in FLAG.rglob("*"):
        place = folder / path.relative_to(FLAG)
        if path.is_file() and path.stem.isdecimal():
            if int(path.stem) not in FRAMES:
                continue
            place = place.with_stem(f"{int(path.stem) - FRAMES.start:05}")
        if path.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    known = json.loads((FLAG / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(known | {"frames": len(FRAMES), "reference_frame": PAINTED}))
    return folder


def decomposed(solver: str, scene: Path, folder: Path) -> Decomposition:
    masks = [f"--mask={name}={scene / 'masks' / name}" for name in ("flag", "pole")]
    subprocess.run(command("decompose", scene / "rgb", *masks, f"--solver={solver}", "-o", folder), check=True)
    return Decomposition.open(folder)


def edit_score(scene: Path, folder: Path, work: Path) -> float:
    """PSNR of the edited cloth against the truth, dB."""
    work.mkdir()
    painted, frames = work / "painted.exr", work / "frames"
    edit = ["edited/edit_ref.png", f"edited/region/{PAINTED:05}.png"]
    picture, coverage = (scene / name for name in edit)
    run([TRUTH / "carry_edit.py", folder, "flag", PAINTED, picture, painted, "--coverage", coverage])
    assert nvd("render", folder, "--atlas", f"flag={painted}", "-o", frames).returncode == 0
    return score(scene, frames)


def score(scene: Path, frames: Path) -> float:
    return json.loads(run([TRUTH / "score.py", "edit", scene, frames]))["prediction"]["psnr_region"]


def run(arguments: list[object]) -> str:
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=True).stdout


def light_correlation(scene: Path, decomposition: Decomposition) -> float:
    """Of the residual's change over time with the true light's, at places of the cloth that the true UV pass names.

    There the cloth's own colour is the same in every frame, so whatever changes is light.
    """
    true, found = [], []
    for t, frame in enumerate(decomposition.frames()):
        channels = read_exr(scene / "uv" / "flag" / f"{t:05}.exr")[1]
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
def lattice(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Decomposition:
    return decomposed("lattice", scene, tmp_path_factory.mktemp("lattice") / "out")


@pytest.mark.shared
@pytest.mark.skipif(not FLAG.is_dir(), reason=f"no clips with known truth at {TRUTH}")
def test_paint_on_the_shot_is_worth_as_much_as_the_edit_carried_by_its_true_coverage(
    scene: Path, lattice: Decomposition, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(lattice.folder, tmp_path / "out"))
    done = nvd("paint", folder, scene / "edited/edit_ref.png", f"--frame={PAINTED}", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [*told["texels"]] == ["flag"]
    assert told["off"] < 0.001 * told["pixels"]
    assert nvd("render", folder, "-o", tmp_path / "frames").returncode == 0
    assert score(scene, tmp_path / "frames") > edit_score(scene, lattice.folder, tmp_path / "carried") - 0.3


@pytest.mark.shared
@pytest.mark.skipif(not FLAG.is_dir(), reason=f"no clips with known truth at {TRUTH}")
def test_refining_carries_an_edit_and_the_light_on_cloth_better(
    scene: Path, lattice: Decomposition, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="the neural solver needs torch")
    scores, lights = {}, {}
    for solver, found in (("lattice", lattice), ("neural", decomposed("neural", scene, tmp_path / "neural"))):
        lights[solver] = light_correlation(scene, found)
        scores[solver] = edit_score(scene, found.folder, tmp_path / f"{solver}-edit")
    assert scores["lattice"] > 24
    assert scores["neural"] > scores["lattice"] + 0.4
    assert lights["neural"] > lights["lattice"]
