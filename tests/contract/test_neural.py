"""The neural solver from the command line: it learns, it can be interrupted, and says what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from support import command, differing, disc, job_of, results, solve, stop, write_masks

from nvd_core.clip.pictures import read_rgb
from nvd_core.faces.demo_clip import DemoClip
from nvd_core.pipeline import decompose
from nvd_core.result.decomposition import Decomposition
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import UsageError
from nvd_core.spec.protocol import Caution, Event, Preview, Stage
from nvd_core.spec.settings import Job, MaskSource, Settings

TORCH = "the neural solver needs torch"

WITHOUT_TORCH = """
import sys

class Without:
    def find_spec(name, path=None, target=None):
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")

sys.meta_path.insert(0, Without)
"""


def neural_job(demo: DemoClip, steps: int) -> Job:
    return job_of(demo, solver="neural", start="none", steps=steps, batch=256, height=128, frames="1-4", device="cpu")


def test_it_learns_from_the_command_line(demo: DemoClip, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason=TORCH)
    found = {}
    for steps in (5, 90):
        flags = ["--preset=preview", "--height=128", "--frames=1-2", "--solver=neural", "--start=none", "--batch=256"]
        masks = [f"--mask={name}={path}" for name, path in demo.masks.items()]
        run = command(
            "decompose", demo.frames, *masks, *flags, f"--steps={steps}", "-o", tmp_path / str(steps), "--json"
        )
        done = subprocess.run(run, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[steps] = json.loads(done.stdout)

    assert found[90]["metrics"]["psnr"] > found[5]["metrics"]["psnr"] + 1
    assert found[90]["versions"].keys() == {"nvd_core", "torch", "device", "hash_grid"}
    assert found[90]["settings"]["solver"] == "neural"
    check_frames(Decomposition.open(tmp_path / "90"))


def check_frames(decomposition: Decomposition) -> None:
    """What every solver owes: coordinates and light everywhere, shares that sum to one."""
    for frame in decomposition.frames():
        layers = frame.layers.values()
        assert all(np.isfinite(layer.uv_atlas).all() for layer in layers)
        assert all((layer.residual > 0).all() and np.isfinite(layer.residual).all() for layer in layers)
        np.testing.assert_allclose(sum(layer.alpha for layer in layers), 1, atol=1e-3)
        assert frame.rebuilt.shape == frame.plate.shape
    for name in decomposition.manifest.names:
        assert 0 <= decomposition.covered(name).mean() <= 1


def test_a_cancelled_job_resumes_to_the_same_bytes(
    demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason=TORCH)
    from nvd_core.hashing_nvd import from_random
    from nvd_core.runtime import training_loop

    for timer in ("_SAVE_EVERY_S", "_TELL_EVERY_S", "_SHOW_EVERY_S"):
        monkeypatch.setattr(training_loop, timer, 0.0)
    monkeypatch.setattr(from_random, "Recipe", neural_recipe)
    job = neural_job(demo, steps=6)
    solve(job, tmp_path / "undisturbed")
    shown = set()

    def is_laid_out(event: Event) -> bool:
        if isinstance(event, Preview):
            assert read_rgb(Path(event.path)).ndim == 3
            shown.add(event.layer)
        return isinstance(event, Stage) and event.name == "atlas"

    stop(partial(decompose, job, tmp_path / "out"), is_laid_out)
    assert shown == {"", "sign", "background"}
    (state,) = (tmp_path / "out/checkpoint").glob("*.safetensors")
    assert state.name == "training-cpu-torch.safetensors"
    solve(job, tmp_path / "out", resume=True)
    assert differing(results(tmp_path / "out"), results(tmp_path / "undisturbed")) == []


def neural_recipe():
    from nvd_core.hashing_nvd.encodings.spec import GridSpec
    from nvd_core.hashing_nvd.recipe import Recipe

    return Recipe(grid=GridSpec(levels=4, table=2**10), mapping_width=32, width=16, fit_steps=5)


def test_a_clip_without_masks_is_one_layer(demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason=TORCH)
    from nvd_core.hashing_nvd import from_random

    monkeypatch.setattr(from_random, "Recipe", neural_recipe)
    job = neural_job(demo, steps=3)
    solve(Job(clip=job.clip, settings=job.settings), tmp_path / "out")
    decomposition = Decomposition.open(tmp_path / "out")
    assert decomposition.manifest.names == ("background",)
    assert all((frame.layers["background"].alpha == 1).all() for frame in decomposition.frames())


def test_objects_are_layers_front_to_back(demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason=TORCH)
    from nvd_core.hashing_nvd import from_random

    monkeypatch.setattr(from_random, "Recipe", neural_recipe)
    job = neural_job(demo, steps=3)
    poster = write_masks(tmp_path / "poster", [disc((160, 50), 20, Size(200, 112))] * 8)
    masks = (*job.masks, MaskSource.of(name="poster", path=str(poster)))
    solve(Job(clip=job.clip, masks=masks, settings=job.settings), tmp_path / "out")
    decomposition = Decomposition.open(tmp_path / "out")
    assert decomposition.manifest.names == ("sign", "poster", "background")
    check_frames(decomposition)


def test_the_lattice_refined_is_better_than_the_lattice(demo: DemoClip, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason=TORCH)
    found = {}
    for solver in ("lattice", "neural"):
        solve(job_of(demo, solver=solver, preset="standard", height=112), tmp_path / solver)
        found[solver] = Decomposition.open(tmp_path / solver).manifest
    lattice, refined = (found[solver].metrics for solver in ("lattice", "neural"))
    assert refined["psnr"] > lattice["psnr"] + 0.5
    assert refined["psnr_atlas_only"] > lattice["psnr_atlas_only"] - 0.1
    assert all(one["folded_share"] == 0 for one in refined["layers"].values())
    assert found["neural"].versions.keys() == {"nvd_core", "torch", "device"}
    check_frames(Decomposition.open(tmp_path / "neural"))


def test_a_cancelled_refining_resumes_to_the_same_bytes(
    demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason=TORCH)
    from nvd_core.runtime import training_loop

    for timer in ("_SAVE_EVERY_S", "_TELL_EVERY_S", "_SHOW_EVERY_S"):
        monkeypatch.setattr(training_loop, timer, 0.0)
    job = job_of(demo, solver="neural", steps=12, height=112, frames="1-4", device="cpu")
    solve(job, tmp_path / "undisturbed")
    shown = count(1)
    stop(partial(decompose, job, tmp_path / "out"), lambda event: isinstance(event, Preview) and next(shown) > 8)
    solve(job, tmp_path / "out", resume=True)
    assert differing(results(tmp_path / "out"), results(tmp_path / "undisturbed")) == []


def test_atlases_go_with_the_maps_they_were_made_through(
    demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that goes on on another device does not refine again what finished atlases rest on."""
    pytest.importorskip("torch", reason=TORCH)
    from nvd_core.refine import solve as refining

    job = job_of(demo, solver="neural", steps=8, height=112, frames="1-4", device="cpu")
    solve(job, tmp_path / "undisturbed")
    stop(partial(decompose, job, tmp_path / "out"), lambda event: event == Stage(name="atlas", layer="background"))
    monkeypatch.setattr(refining, "Refinement", None)
    solve(job, tmp_path / "out", resume=True)
    assert differing(results(tmp_path / "out"), results(tmp_path / "undisturbed")) == []


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"preset": "paper"}, "preset paper"),
        ({"batch": 1000}, "batch"),
        ({"budget_s": 5.0}, "budget_s"),
        ({"solver": "neural", "batch": 1000}, "batch"),
    ],
)
def test_what_would_be_ignored_is_refused(
    settings: dict[str, object], named: str, demo: DemoClip, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=named):
        solve(job_of(demo, **settings), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_preset_paper_is_the_published_schedule_from_nothing(
    demo: DemoClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason=TORCH)
    from nvd_core.hashing_nvd import from_random

    seen = {}
    whole = from_random.Training
    monkeypatch.setattr(from_random, "Training", lambda footage, **given: seen.update(given) or whole(footage, **given))
    limits = from_random.Limits.of(Settings.of(preset="paper", solver="neural"), from_random.STEPS)
    job = job_of(demo, solver="neural", preset="paper", device="cpu", frames="1-2")
    stop(partial(decompose, job, tmp_path / "out"), lambda event: event == Stage(name="fit"))
    assert (limits.steps, limits.ends_early) == (50_000, False)
    assert seen["batch"] == 10_000
    assert seen["recipe"] == from_random.Recipe()


def test_days_on_a_processor_are_not_begun_without_a_word(demo: DemoClip, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason=TORCH)
    job = job_of(demo, solver="neural", preset="paper", device="cpu")
    *_, caution = stop(partial(decompose, job, tmp_path / "out"), lambda event: isinstance(event, Caution))
    assert "days" in caution.message
    assert "--budget" in caution.hint


def test_without_torch_it_says_what_to_install_and_leaves_nothing(demo: DemoClip, tmp_path: Path) -> None:
    arguments = ["nvd", "decompose", str(demo.frames), "--solver=neural", "-o", str(tmp_path / "out")]
    code = WITHOUT_TORCH + f"sys.argv = {arguments!r}\nfrom nvd_core.__main__ import main\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "sys.exit(main())"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4, done.stderr
    assert "pip install 'nvd-blender[neural]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_lattice_never_loads_torch(demo: DemoClip, tmp_path: Path) -> None:
    arguments = ["nvd", "decompose", str(demo.frames), "--preset=preview", "--frames=1-2", "-o", str(tmp_path / "out")]
    code = f"import sys; sys.argv = {arguments!r}\nfrom nvd_core.__main__ import main\nassert main() == 0\n"
    check = "assert not {'torch', 'transformers', 'nvd_core.hashing_nvd'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code + check], check=True, capture_output=True)
