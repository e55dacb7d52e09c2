"""Each loss against a slow twin that is written from the papers one sample at a time, and its gradient."""

from __future__ import annotations

import math
from dataclasses import fields

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the neural solver needs torch")

from torch import nn  # noqa: E402

from nvd_core.hashing_nvd.fields import Networks, Sample  # noqa: E402
from nvd_core.hashing_nvd.footage import Batch, Footage  # noqa: E402
from nvd_core.hashing_nvd.losses import LOSSES, weighted_losses  # noqa: E402
from nvd_core.hashing_nvd.losses.context import LossContext  # noqa: E402
from nvd_core.hashing_nvd.recipe import Recipe, Term, Terms  # noqa: E402

LAYERS, COUNT, HEIGHT, WIDTH = 3, 4, 14, 18
SCALES = (0.9, 0.9, 0.6)


class TinyFields(nn.Module):
    """Smooth fields with few parameters, double precision."""

    def __init__(self, *, lit_by_place: bool) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(0.3 * torch.randn(*shape, generator=generator, dtype=torch.float64))

        self.map, self.map_bias = drawn(LAYERS, 3, 2), drawn(LAYERS, 1, 2)
        self.paint, self.paint_bias = drawn(LAYERS, 2, 3), drawn(LAYERS, 1, 3)
        self.light, self.light_bias = drawn(LAYERS, 3, 3), drawn(LAYERS, 1, 3)
        self.cover, self.cover_bias = drawn(3, LAYERS - 1), drawn(1, LAYERS - 1)
        with torch.no_grad():
            self.map[:, :2] += 0.6 * torch.eye(2, dtype=torch.float64)
        self.place = 1.0 if lit_by_place else 0.0
        self.held_light = self.light.detach().clone(), self.light_bias.detach().clone()

    def uv(self, points):
        return torch.tanh(points @ self.map + self.map_bias)

    def alpha(self, points):
        first, second = torch.sigmoid(points @ self.cover + self.cover_bias).T
        return torch.stack([first, second * (1 - first), (1 - first) * (1 - second)])

    def residual(self, uv, t_unit):
        times = t_unit[None, :, None].expand(len(uv), -1, 1)
        surface = torch.cat([(self.place * uv * 6).sin().detach(), times], -1)
        # What gets no gradient shall not change under finite differences, either.
        light, bias = (self.light, self.light_bias) if torch.is_grad_enabled() else self.held_light
        return nn.functional.softplus(surface @ light + bias)

    def sample(self, points):
        uv = self.uv(points)
        colour = torch.sigmoid(uv @ self.paint + self.paint_bias)
        return Sample(uv, self.alpha(points), colour, self.residual(uv, points[:, 2]))


@pytest.fixture(scope="module")
def footage() -> Footage:
    rng = np.random.default_rng(2)
    shape = (COUNT, HEIGHT, WIDTH)
    frames = rng.integers(0, 256, (*shape, 3), np.uint8)
    front, middle = rng.integers(0, 128, (2, *shape), np.uint8)
    masks = np.stack([front, middle, 255 - front - middle])
    flow = rng.uniform(-2, 2, (2, *shape, 2)).astype(np.float32)
    sure = rng.random((2, *shape)) < 0.5
    return Footage(*map(torch.from_numpy, (frames, masks, flow, sure)), dtype=torch.float64)


@pytest.fixture(scope="module")
def batch(footage: Footage) -> Batch:
    drawn = footage.draw(12, torch.Generator().manual_seed(4))
    more = footage.draw(600, torch.Generator().manual_seed(4))
    return Batch(drawn.pixels, more.patches, more.others[:4])


def context(footage: Footage, batch: Batch, *, lit_by_place: bool = False) -> LossContext:
    scales = torch.tensor(SCALES, dtype=torch.float64)
    return LossContext(TinyFields(lit_by_place=lit_by_place), footage, batch, scales)


class Slow:
    """The fields at one point at a time, in numpy, and the losses' formulas."""

    def __init__(self, ctx: LossContext) -> None:
        self.ctx = ctx
        self.pixels = ctx.batch.pixels.numpy()

    def unit(self, x: float, y: float, t: float) -> torch.Tensor:
        side = max(WIDTH, HEIGHT) / 2
        return torch.tensor([[x / side - 1, y / side - 1, t / (COUNT / 2) - 1]], dtype=torch.float64)

    def at(self, x: float, y: float, t: float) -> dict[str, np.ndarray]:
        sample = self.ctx.fields.sample(self.unit(x, y, t))
        return {name: value[:, 0].detach().numpy() for name, value in sample._asdict().items()}

    def rebuilt(self, x: int, y: int, t: int) -> np.ndarray:
        now = self.at(x, y, t)
        return sum(now["alpha"][i] * now["residual"][i] * now["colour"][i] for i in range(LAYERS))

    def colour(self, x: int, y: int, t: int) -> np.ndarray:
        return self.ctx.footage.frames[t, y, x].numpy() / 255

    def rgb(self, x: int, y: int, t: int) -> float:
        return sum((self.rebuilt(x, y, t) - self.colour(x, y, t)) ** 2)

    def gradient(self, x: int, y: int, t: int) -> float:
        total = 0.0
        for there in ((x + 1, y, t), (x, y + 1, t)):
            ours = self.rebuilt(*there) - self.rebuilt(x, y, t)
            theirs = self.colour(*there) - self.colour(x, y, t)
            total += sum((ours - theirs) ** 2)
        return total

    def sparsity(self, x: int, y: int, t: int) -> float:
        now = self.at(x, y, t)
        return sum(sum(((1 - now["alpha"][i]) * now["colour"][i]) ** 2) for i in range(LAYERS - 1))

    def bootstrapping(self, x: int, y: int, t: int) -> float:
        alpha, mask = self.at(x, y, t)["alpha"], self.ctx.footage.masks[:, t, y, x].numpy() / 255
        return -sum(m * math.log(a) + (1 - m) * math.log(1 - a) for a, m in zip(alpha, mask, strict=True)) / LAYERS

    def ownership(self, x: int, y: int, t: int) -> float:
        return -math.log(max(self.at(x, y, t)["alpha"]))

    def matches(self, x: int, y: int, t: int):
        """Where flow leads, with a weight such that each way is averaged over its sure pixels."""
        for way, step in ((0, 1), (1, -1)):
            sure = self.ctx.footage.is_sure[way].numpy()
            count = sum(sure[k, j, i] for i, j, k in self.pixels)
            if sure[t, y, x]:
                dx, dy = self.ctx.footage.flow_px[way, t, y, x].numpy().astype(float)
                yield self.at(x + dx, y + dy, t + step), len(self.pixels) / count / 2

    def flow_alpha(self, x: int, y: int, t: int) -> float:
        now = self.at(x, y, t)["alpha"][:-1]
        return sum(weight * sum(abs(there["alpha"][:-1] - now)) for there, weight in self.matches(x, y, t))

    def flow_mapping(self, x: int, y: int, t: int) -> float:
        now, total = self.at(x, y, t), 0.0
        for there, weight in self.matches(x, y, t):
            for i in range(LAYERS):
                missed = math.dist(there["uv"][i], now["uv"][i]) * max(WIDTH, HEIGHT) / (2 * SCALES[i])
                total += weight * now["alpha"][i] * missed
        return total

    def unlike(self, x: int, y: int, t: int, step: int) -> list[float]:
        here, right, below = (self.at(*one)["uv"] for one in ((x, y, t), (x + step, y, t), (x, y + step, t)))
        found = []
        for i in range(LAYERS):
            pixels = max(WIDTH, HEIGHT) / (2 * SCALES[i]) / step
            jacobian = np.column_stack([right[i] - here[i], below[i] - here[i]]) * pixels
            squared = jacobian.T @ jacobian
            inverse = np.linalg.inv(squared + 1e-3 * np.eye(2))
            found.append(np.linalg.norm(squared) + np.linalg.norm(inverse))
        return found

    def rigidity(self, x: int, y: int, t: int) -> float:
        return sum(self.unlike(x, y, t, 1))

    def global_rigidity(self, x: int, y: int, t: int) -> float:
        *front, back = self.unlike(x, y, t, round(100 / 768 * max(WIDTH, HEIGHT)))
        return sum(front) + back * 0.05 / 0.005

    def residual(self, x: int, y: int, t: int) -> float:
        return sum(np.mean((light - 1) ** 2) for light in self.at(x, y, t)["residual"])

    def residual_consistency(self) -> float:
        """The mean over unseen patches, summed over the layers."""
        total = 0.0
        for layer in range(LAYERS):
            found = []
            for cx, cy, t1 in self.ctx.batch.patches.numpy():
                around = [(cx + dx, cy + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)]
                uv = [self.at(x, y, t1)["uv"][layer] for x, y in around]
                for t2 in self.ctx.batch.others.numpy():
                    outline = self.outline(layer, t2)
                    if all(cv2.pointPolygonTest(outline, tuple(map(float, one)), False) < 0 for one in uv):
                        found.append(self.unlike_patch(layer, uv, t1, t2))
            total += np.mean(found) if found else 0
        return total

    def outline(self, layer: int, t: int) -> np.ndarray:
        right, bottom, part = WIDTH - 1, HEIGHT - 1, np.arange(16) / 16
        corners = [(a * right, 0) for a in part] + [(right, a * bottom) for a in part]
        corners += [((1 - a) * right, bottom) for a in part] + [(0, (1 - a) * bottom) for a in part]
        return np.array([self.at(x, y, t)["uv"][layer] for x, y in corners], np.float32)

    def unlike_patch(self, layer: int, uv: list[np.ndarray], t1: int, t2: int) -> float:
        lights = []
        for t in (t1, t2):
            every = np.zeros((LAYERS, 9, 2))
            every[layer] = uv
            time = torch.full((9,), t / (COUNT / 2) - 1, dtype=torch.float64)
            lights.append(self.ctx.fields.residual(torch.from_numpy(every), time)[layer].detach().numpy())
        likeness = []
        for a, b in zip(*(light.T for light in lights), strict=True):
            covariance = np.mean((a - a.mean()) * (b - b.mean()))
            likeness.append(covariance / math.sqrt((np.var(a) + 1e-6) * (np.var(b) + 1e-6)))
        return 1 - np.mean(likeness) + 16 * np.mean([np.var(one) for one in lights[1].T])


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "residual_consistency"])
def test_a_loss_is_its_slow_twin_at_every_sample(name: str, footage: Footage, batch: Batch) -> None:
    ctx = context(footage, batch, lit_by_place=True)
    slow = Slow(ctx)
    twin = [getattr(slow, name)(*map(int, pixel)) for pixel in batch.pixels]
    np.testing.assert_allclose(LOSSES[name](ctx).detach().numpy(), twin, rtol=1e-9)


def test_residual_consistency_is_its_slow_twin(footage: Footage, batch: Batch) -> None:
    ctx = context(footage, batch, lit_by_place=True)
    samples = LOSSES["residual_consistency"](ctx)
    assert samples.shape == (len(batch.patches) * len(batch.others),)
    assert 0 < int((samples == 0).sum()) < len(samples), "some patches must be seen, and some not"
    assert samples.mean().item() == pytest.approx(Slow(ctx).residual_consistency(), rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_of_a_loss_is_that_of_differences(name: str, footage: Footage, batch: Batch) -> None:
    """Light depends on the place only where nothing else is varied: its uv is held, which differences are not."""
    is_light = name == "residual_consistency"
    ctx = context(footage, batch, lit_by_place=is_light)
    parts = [one for key, one in ctx.fields.named_parameters() if not is_light or key.startswith("light")]

    def loss(*_: torch.Tensor) -> torch.Tensor:
        return LOSSES[name](LossContext(ctx.fields, footage, batch, ctx.scales)).mean()

    assert torch.autograd.gradcheck(loss, tuple(parts), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_a_clip_without_masks_has_no_loss_that_fails(name: str, footage: Footage) -> None:
    alone = Footage(footage.frames, footage.masks[-1:], footage.flow_px, footage.is_sure)
    networks = Networks(1, Recipe(), "torch", torch.Generator().manual_seed(0))
    ctx = LossContext(networks, alone, alone.draw(20, torch.Generator().manual_seed(0)), torch.tensor([0.6]))
    assert torch.isfinite(LOSSES[name](ctx)).all()


def test_the_table_and_the_weights_name_the_same_losses() -> None:
    assert [field.name for field in fields(Terms)] == list(LOSSES)
    assert len(LOSSES) == 11


def test_bootstrapping_and_global_rigidity_end_as_published(footage: Footage, batch: Batch) -> None:
    ctx = context(footage, batch)
    counting = {step: set(weighted_losses(ctx, Terms(), step)) for step in (4_999, 5_000, 9_999, 10_000)}
    assert counting[4_999] == set(LOSSES)
    assert set(LOSSES) - counting[5_000] == set(LOSSES) - counting[9_999] == {"global_rigidity"}
    assert set(LOSSES) - counting[10_000] == {"global_rigidity", "bootstrapping"}


def test_a_loss_counts_by_its_weight(footage: Footage, batch: Batch) -> None:
    ctx = context(footage, batch)
    weighted = weighted_losses(ctx, Terms(rgb=Term(3.0)), 0)["rgb"]
    assert weighted.item() == pytest.approx(3 * LOSSES["rgb"](ctx).mean().item())
    assert "rgb" not in weighted_losses(ctx, Terms(rgb=Term(0.0)), 0)


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_alpha_sums_to_one(layers: int) -> None:
    networks = Networks(layers, Recipe(), "torch", torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in networks.parameters():
            parameter.mul_(30)  # so that some layers are all there and some not at all
        alpha = networks.alpha(torch.rand(500, 3) * 2 - 1)
    torch.testing.assert_close(alpha.sum(0), torch.ones(500), rtol=0, atol=1e-6)
    assert float(alpha.min()) > 0


def test_no_gradient_goes_from_the_residual_to_the_mapping(footage: Footage) -> None:
    networks = Networks(LAYERS, Recipe(), "torch", torch.Generator().manual_seed(0))
    sample = networks.sample(torch.rand(50, 3) * 2 - 1)
    sample.residual.sum().backward()
    assert all(one.grad is None or not one.grad.any() for one in networks.mappings.parameters())
    assert any(one.grad is not None and one.grad.any() for one in networks.residuals.parameters())


def test_patches_lie_along_the_border_and_pixels_have_neighbours(footage: Footage) -> None:
    drawn = footage.draw(50_000, torch.Generator().manual_seed(0))
    x, y, t = drawn.patches.T
    on_edge = (x == 1) | (x == WIDTH - 2) | (y == 1) | (y == HEIGHT - 2)
    assert on_edge.all()
    assert (x.min(), x.max(), y.min(), y.max()) == (1, WIDTH - 2, 1, HEIGHT - 2)
    assert set(t.tolist()) == set(range(COUNT))
    assert drawn.pixels.amax(0).tolist() == [WIDTH - 2, HEIGHT - 2, COUNT - 1]
    assert drawn.pixels.amin(0).tolist() == [0, 0, 0]
