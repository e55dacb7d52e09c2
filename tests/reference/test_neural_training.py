"""Training: the same steps whether or not it was interrupted, ends where it should, and says what broke."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support import stop

from nvd_core.runtime.progress import SILENT, Progress, Tell

torch = pytest.importorskip("torch", reason="the neural solver needs torch")

from nvd_core.clip import frames_used, open_clip  # noqa: E402
from nvd_core.faces.demo_clip import DemoClip  # noqa: E402
from nvd_core.hashing_nvd import train  # noqa: E402
from nvd_core.hashing_nvd.encodings.spec import INITIAL, GridSpec  # noqa: E402
from nvd_core.hashing_nvd.fields import Networks  # noqa: E402
from nvd_core.hashing_nvd.footage import Footage, prepare_footage  # noqa: E402
from nvd_core.hashing_nvd.losses.context import LossContext  # noqa: E402
from nvd_core.hashing_nvd.recipe import Recipe  # noqa: E402
from nvd_core.hashing_nvd.solution import linear_residual  # noqa: E402
from nvd_core.hashing_nvd.train import Training  # noqa: E402
from nvd_core.masks import open_mattes  # noqa: E402
from nvd_core.runtime import training_loop  # noqa: E402
from nvd_core.runtime.checkpoints import Arrays, Checkpoints  # noqa: E402
from nvd_core.runtime.devices import choose_device  # noqa: E402
from nvd_core.shot import Shot, prepare  # noqa: E402
from nvd_core.spec.choices.amounts import FrameRange  # noqa: E402
from nvd_core.spec.errors import NumericsError, SetupError  # noqa: E402
from nvd_core.spec.protocol import Metric, Stage  # noqa: E402
from nvd_core.spec.settings import MaskSource, Settings  # noqa: E402

SMALL = Recipe(grid=GridSpec(levels=4, table=2**10), mapping_width=16, width=16, fit_steps=2)


@pytest.fixture(scope="module")
def shot(demo: DemoClip) -> Shot:
    clip = open_clip(demo.frames)
    masks = [MaskSource.of(name=name, path=str(path)) for name, path in demo.masks.items()]
    return prepare(clip, open_mattes(masks, clip.info), frames_used(FrameRange(1, 5), clip.info), 64)


@pytest.fixture(scope="module")
def footage(shot: Shot) -> Footage:
    return prepare_footage(shot, torch.device("cpu"))


def training_of(footage: Footage, *, seed: int = 0) -> Training:
    return Training(footage, recipe=SMALL, batch=64, seed=seed, backend="torch")


def kept(folder: Path) -> Checkpoints:
    return Checkpoints.open(folder, "job", resume=True)


def trained(footage: Footage, folder: Path, settings: Settings) -> Training:
    training = training_of(footage)
    run(training, settings, folder)
    return training


def run(training: Training, settings: Settings, folder: Path, tell: Tell = SILENT.tell) -> None:
    limits = training_loop.Limits.of(settings, 50_000)
    training_loop.train(training, limits, kept(folder), Progress(tell), name="training", show=lambda: None)


def differing(a: Arrays, b: Arrays) -> list[str]:
    """Time that was spent is never the same."""
    return [name for name in a | b if name != "cpu_seconds" and not np.array_equal(a[name], b[name])]


@pytest.mark.parametrize("interrupted_after", [4, 10, 17, 30])
def test_an_interrupted_training_ends_in_the_same_bits(
    interrupted_after: int, footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(steps=20)
    undisturbed = trained(footage, tmp_path / "a", settings)
    monkeypatch.setattr(training_loop, "_SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(training_loop, "_TELL_EVERY_S", 0.0)
    begun = training_of(footage)
    stop(partial(run, begun, settings, tmp_path / "b"), lambda _: begun.fitted + begun.steps >= interrupted_after)
    resumed = trained(footage, tmp_path / "b", settings)
    assert (resumed.fitted, resumed.steps) == (10, 20)
    assert resumed.cpu_seconds > 0
    assert differing(resumed.arrays(), undisturbed.arrays()) == []


def test_a_finished_training_is_not_trained_again(
    footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = trained(footage, tmp_path, Settings(steps=3))
    monkeypatch.setattr(Training, "step", None)
    assert differing(trained(footage, tmp_path, Settings(steps=3)).arrays(), first.arrays()) == []


def test_the_seed_alone_decides(footage: Footage, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = trained(footage, tmp_path / "a", Settings(steps=3))
    before = torch.random.get_rng_state()
    second = trained(footage, tmp_path / "b", Settings(steps=3))
    assert torch.equal(before, torch.random.get_rng_state()), "torch's own generator was used"
    assert differing(first.arrays(), second.arrays()) == []
    tables = [training_of(footage, seed=seed).arrays()["model.textures.0.0.table"] for seed in (0, 0, 1)]
    assert np.array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])


def test_training_ends_at_its_budget_and_keeps_most_of_it_for_the_losses(footage: Footage, tmp_path: Path) -> None:
    patient = Recipe(grid=SMALL.grid, mapping_width=16, width=16, fit_steps=100_000)
    training = Training(footage, recipe=patient, batch=64, seed=0, backend="torch")
    run(training, Settings(budget_s=1.0), tmp_path)
    assert 1.0 <= training.cpu_seconds < 2.0
    assert training.steps > 3


def test_training_ends_at_its_target(footage: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_loop, "_LOOK_EVERY", 5)
    training, events = training_of(footage), []
    run(training, Settings(target_psnr=5.0), tmp_path, events.append)
    psnrs = [event.value for event in events if isinstance(event, Metric)]
    assert training.steps == 5 * len(psnrs)
    assert all(psnr < 5 for psnr in psnrs[:-1])
    assert psnrs[-1] >= 5
    assert [event.name for event in events if isinstance(event, Stage)] == ["fit", "train"]


@pytest.mark.parametrize("name", ["sparsity", "flow_mapping"])
def test_a_loss_that_is_no_number_is_named_and_nothing_is_spoilt(
    name: str, footage: Footage, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = training_of(footage)
    training.step()
    before = {key: value.copy() for key, value in training.arrays().items()}
    whole = train.weighted_losses
    monkeypatch.setattr(
        train, "weighted_losses", lambda *some: {k: v * (np.nan if k == name else 1) for k, v in whole(*some).items()}
    )
    with pytest.raises(NumericsError) as broke:
        training.step()
    assert broke.value.message.endswith(f"the loss {name}")
    assert broke.value.where == "step 1"
    assert {"generator"} >= set(differing(training.arrays(), before))


def test_fitting_lays_the_mappings_flat(footage: Footage) -> None:
    recipe = Recipe(grid=SMALL.grid, width=16, rate_mlp=2e-3)
    training = Training(footage, recipe=recipe, batch=500, seed=0, backend="torch")
    for _ in range(250):
        training.fit()
    points = footage.unit(footage.draw(300, torch.Generator().manual_seed(0)).pixels)
    uv = training.networks.uv(points)
    for layer, scale in enumerate((0.9, 0.6)):
        assert float((uv[layer] - scale * points[:, :2]).norm(dim=-1).mean().detach()) < 0.03


def networks_of(footage: Footage, *, half: bool) -> Networks:
    """As in training, but with grids whose entries are not all next to nothing, as they are at first."""
    networks = Networks(len(footage.masks), SMALL, "torch", torch.Generator().manual_seed(0), half=half)
    with torch.no_grad():
        for net in (*networks.textures, *networks.residuals, networks.opacity):
            net[0].table.mul_(1 / INITIAL)
    return networks


def test_half_precision_is_near_and_never_that_of_the_mappings(footage: Footage) -> None:
    points = footage.unit(footage.draw(2000, torch.Generator().manual_seed(0)).pixels)
    with torch.no_grad():
        full, half = (networks_of(footage, half=half).sample(points) for half in (False, True))
    assert torch.equal(half.uv, full.uv)
    for name in ("alpha", "colour", "residual"):
        ours, theirs = getattr(half, name), getattr(full, name)
        assert ours.dtype == torch.float32
        assert 0 < float((ours - theirs).abs().max()) < 0.004, f"{name}: more than one step of 8-bit colour"
        assert float(theirs.std()) > 0.03


def test_losses_and_gradients_of_half_precision_are_in_full(footage: Footage) -> None:
    networks, batch = networks_of(footage, half=True), footage.draw(500, torch.Generator().manual_seed(0))
    losses = train.weighted_losses(LossContext(networks, footage, batch, torch.tensor([0.9, 0.6])), SMALL.terms, 0)
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    sum(losses.values()).backward()
    for parameter in networks.parameters():
        assert parameter.grad.dtype == torch.float32
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.any()


def test_a_cpu_trains_in_full_precision(footage: Footage) -> None:
    points = footage.unit(footage.draw(2000, torch.Generator().manual_seed(0)).pixels)
    training, full = training_of(footage), networks_of(footage, half=False)
    full.load_state_dict(training.networks.state_dict())
    assert all(
        torch.equal(ours, same)
        for ours, same in zip(training.networks.sample(points), full.sample(points), strict=True)
    )


def test_flow_is_sure_where_it_ends_in_the_frame_and_comes_back(shot: Shot, footage: Footage) -> None:
    count, height, width = footage.frames.shape[:3]
    assert not footage.is_sure[0, -1].any(), "no frame follows the last"
    assert not footage.is_sure[1, 0].any(), "no frame precedes the first"
    assert float(footage.is_sure[0, :-1].float().mean()) > 0.6
    matches = footage.matches(footage.draw(2000, torch.Generator().manual_seed(0)).pixels)
    x, y, t = matches.points_px.T
    assert min(x.min(), y.min()) >= 0
    assert x.max() <= width - 1
    assert y.max() <= height - 1
    assert set(t.tolist()) == set(range(count))


def test_a_residual_does_in_linear_light_what_it_does_to_the_display() -> None:
    from nvd_core.image.colour import display_from_linear, linear_from_display

    rng = np.random.default_rng(0)
    colour, light = rng.uniform(0.02, 1, (2, 100, 3)).astype(np.float32)
    lit = linear_from_display(colour) * linear_residual(colour, 2 * light)
    np.testing.assert_allclose(display_from_linear(lit), 2 * light * colour, rtol=1e-4, atol=1e-5)
    dark = linear_residual(np.zeros((1, 3), np.float32), np.array([[0, 1, 1e9]], np.float32))
    assert np.isfinite(dark).all()
    assert (dark > 0).all()
    assert dark[0, 1] == pytest.approx(1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_an_error_and_never_a_silent_change() -> None:
    with pytest.raises(SetupError):
        choose_device("cuda")
    assert choose_device("auto") == torch.device("cpu")
