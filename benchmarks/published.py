"""The published recipe in plain PyTorch: Hashing-NVD (Chan et al., ICCV 2023), networks and training step.

Each layer has a mapping MLP from (x, y, t) to uv, a texture network over a 2D hash grid of uv and a residual
network over a 3D hash grid of (uv, t), which sends no gradient to the mapping; one alpha network over a 3D
hash grid of (x, y, t) serves all layers, front to back. A step of Adam sees 10,000 random pixels.

Losses, with the published weights: reconstruction, gradient, sparsity, alpha bootstrapping, alpha
regularisation, flow of alpha, flow of the mapping, rigidity, global rigidity (its 100 px of a 768 px frame are
taken as a share of the frame) and residual regularisation. Left out is residual consistency: it speaks only of
surface that a frame does not show, so no measured pixel gains by it, and every step would take longer.

What is done in the recipe's favour: neither optical flow nor the fit of the mappings to the identity, which it
starts from, counts as its time, and bootstrapping sees the masks as good as they are.
"""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np

# Threads that wait for each other would spin, and CPU time counts that: with two, a step took 1.3 times as much.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor, nn
from torch.nn import functional

from nvd_core.clip.colour import luma8
from nvd_core.flow.dis import dis_flow
from nvd_core.metrics import PooledPsnr, pull
from nvd_core.shot import Shot

BATCH: Final = 10_000
RATE_GRID, RATE_MLP = 1e-2, 1e-4
UV_SCALE_FRONT, UV_SCALE_BACK = 0.9, 0.6
BOOTSTRAPPING_STEPS, GLOBAL_RIGIDITY_STEPS = 10_000, 5_000
GLOBAL_SHARE: Final = 100 / 768
"""Step of the global rigidity's differences, as a part of the frame's longer side."""

WEIGHTS: Final = {
    "reconstruction": 5.0,
    "gradient": 1.0,
    "sparsity": 1.0,
    "bootstrapping": 2.0,
    "alpha": 0.1,
    "flow_alpha": 0.05,
    "flow_mapping": 0.01,
    "rigidity": 0.001,
    "global_rigidity_front": 0.005,
    "global_rigidity_back": 0.05,
    "residual": 0.5,
}

_LEVELS, _FEATURES, _COARSEST, _GROWTH, _TABLE = 16, 2, 16, 1.25, 2**15
_PRIMES: Final = (1, 2_654_435_761, 805_459_861)
_CHUNK: Final = 16_384
"""Points that are evaluated at a time where no gradient is needed."""


@final
class HashGrid(nn.Module):
    """Multi-resolution hash encoding of points in [-1, 1]: the same function as tiny-cuda-nn's ``HashGrid``."""

    def __init__(self, axes: int) -> None:
        super().__init__()
        scales = [_COARSEST * _GROWTH**level - 1 for level in range(_LEVELS)]
        sides = [math.ceil(scale) + 1 for scale in scales]
        sizes = [min(math.ceil(side**axes / 8) * 8, _TABLE) for side in sides]
        self.dense = sum(side**axes <= _TABLE for side in sides)
        strides = [[side**axis for axis in range(axes)] for side in sides[: self.dense]]
        strides += [list(_PRIMES[:axes])] * (_LEVELS - self.dense)
        self.scales = torch.tensor(scales)[:, None]
        self.sizes, self.strides = torch.tensor(sizes).int()[:, None], torch.tensor(strides).int()
        self.starts = torch.tensor([0, *itertools.accumulate(sizes)][:-1]).int()[:, None]
        # A row a feature: look-ups and their gradients are far faster so than with a row an entry.
        self.table = nn.Parameter(torch.empty(_FEATURES, sum(sizes)).uniform_(-1e-4, 1e-4))

    def forward(self, points: Float[Tensor, "batch axis"]) -> Float[Tensor, "batch feature"]:
        """Features of all levels, each interpolated between the corners of the point's cell."""
        position = (points[:, None] / 2 + 0.5) * self.scales + 0.5
        cell = position.detach().floor()
        first = cell.int() * self.strides
        ends = torch.stack([first, first + self.strides], -1)
        shares = torch.stack([1 + cell - position, position - cell], -1)
        entry, weight = ends[:, :, 0], shares[:, :, 0]
        for axis in range(1, points.shape[1]):
            ours, theirs = entry[..., None], ends[:, :, axis, None]
            summed = ours[:, : self.dense] + theirs[:, : self.dense]
            hashed = ours[:, self.dense :] ^ theirs[:, self.dense :]
            entry = torch.cat([summed, hashed], 1).flatten(2)
            weight = (weight[..., None] * shares[:, :, axis, None]).flatten(2)
        entries = (entry % self.sizes + self.starts).flatten()
        looked_up = [row.index_select(0, entries).view(weight.shape) for row in self.table]
        return torch.stack([(weight * values).sum(2) for values in looked_up], -1).flatten(1)


def mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Four linear layers with ReLU between."""
    sizes = (inputs, width, width, width, outputs)
    layers = [part for pair in itertools.pairwise(sizes) for part in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def encoded(axes: int, outputs: int) -> nn.Sequential:
    """An MLP over a hash grid."""
    return nn.Sequential(HashGrid(axes), mlp(_LEVELS * _FEATURES, 64, outputs))


class View(NamedTuple):
    """What the networks say of some points; the axes are layer, point, channel."""

    uv: Float[Tensor, "layer batch 2"]
    alpha: Float[Tensor, "layer batch"]
    colour: Float[Tensor, "layer batch 3"]
    residual: Float[Tensor, "layer batch 3"]

    def rebuilt(self, *, lit: bool = True) -> Float[Tensor, "batch 3"]:
        """The frame's colour, with or without the residual."""
        return (self.alpha[..., None] * self.colour * (self.residual if lit else 1)).sum(0)

    def of(self, points: slice) -> View:
        """Some of the points."""
        return View(*(part[:, points] for part in self))


@final
class Networks(nn.Module):
    """All networks of a clip. Points are (x, y, t) in [-1, 1]."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.mappings = nn.ModuleList(mlp(3, 256, 2) for _ in range(layers))
        self.textures = nn.ModuleList(encoded(2, 3) for _ in range(layers))
        self.residuals = nn.ModuleList(encoded(3, 3) for _ in range(layers))
        self.opacities = encoded(3, max(1, layers - 1))

    def uv(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch 2"]:
        """Where each layer's texture is seen."""
        return torch.stack([torch.tanh(mapping(points)) for mapping in self.mappings])

    def alpha(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch"]:
        """Visible share of each layer: each takes its part of what the layers before it have left."""
        own = (torch.tanh(self.opacities(points)).T[: len(self.mappings) - 1] + 1) / 2
        left = torch.cat([torch.ones(1, len(points)), torch.cumprod(1 - own, 0)])
        return torch.cat([own * left[:-1], left[-1:]]).clamp(1e-5, 1 - 1e-5)

    def forward(self, points: Float[Tensor, "batch 3"]) -> View:
        """Everything at once."""
        uv = self.uv(points)
        colours = [(torch.tanh(texture(one)) + 1) / 2 for texture, one in zip(self.textures, uv, strict=True)]
        surfaces = [torch.cat([one.detach(), points[:, 2:]], 1) for one in uv]
        lights = [functional.softplus(net(surface)) for net, surface in zip(self.residuals, surfaces, strict=True)]
        return View(uv, self.alpha(points), torch.stack(colours), torch.stack(lights))

    def optimizer(self) -> torch.optim.Adam:
        """Adam with the published rates."""
        grids = [part.table for part in self.modules() if isinstance(part, HashGrid)]
        known = {id(table) for table in grids}
        others = [one for one in self.parameters() if id(one) not in known]
        return torch.optim.Adam([{"params": grids, "lr": RATE_GRID}, {"params": others, "lr": RATE_MLP}])


@final
@dataclass(frozen=True)
class Footage:
    """A shot as tensors.

    Attributes:
        frames: display-encoded.
        masks: visible alpha of each layer.
        flow_px: from each frame to the next, and to the one before.
        is_sure: where that flow, followed there and back, ends within a pixel of its start.
    """

    frames: UInt8[Tensor, "frame height width 3"]
    masks: UInt8[Tensor, "layer frame height width"]
    flow_px: Float32[Tensor, "way frame height width 2"]
    is_sure: Bool[Tensor, "way frame height width"]

    @classmethod
    def of(cls, shot: Shot) -> Footage:
        """With optical flow by dense inverse search."""
        flow_px = np.zeros((2, *shot.frames.shape[:3], 2), np.float32)
        is_sure = np.zeros(flow_px.shape[:-1], bool)
        greys = [luma8(frame) for frame in shot.frames]
        ways = [((0, t), (1, t + 1)) for t in range(len(greys) - 1)]
        for here, there in ways + [(there, here) for here, there in ways]:
            flow_px[here] = dis_flow(greys[here[1]], greys[there[1]])
        for here, there in ways + [(there, here) for here, there in ways]:
            is_sure[here] = np.linalg.norm(flow_px[here] + pull(flow_px[there], flow_px[here]), axis=-1) < 1
        arrays = shot.frames, np.stack(shot.alphas), flow_px, is_sure
        return cls(*(torch.from_numpy(array) for array in arrays))

    def unit(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        """(x, y, t) in pixels and frames to [-1, 1]; the longer side fills it."""
        half = self.side / 2
        return points / torch.tensor([half, half, max(1, len(self.frames)) / 2]) - 1

    @property
    def side(self) -> int:
        """The longer side of a frame."""
        return max(self.frames.shape[1:3])


@final
class Recipe:
    """Networks in training.

    Attributes:
        batch: pixels in a step; 10,000 as published.
        steps: taken so far.
        cpu_seconds: spent on them, over all threads.
        wall_seconds: likewise.
    """

    def __init__(self, shot: Shot, *, seed: int, threads: int, batch: int = BATCH) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(seed)
        self.footage, self.batch = Footage.of(shot), batch
        layers = len(shot.layers)
        self.networks = Networks(layers)
        self.scales = torch.tensor([UV_SCALE_FRONT] * (layers - 1) + [UV_SCALE_BACK])[:, None, None]
        self._fit_identity()
        self.adam = self.networks.optimizer()
        self.steps, self.cpu_seconds, self.wall_seconds = 0, 0.0, 0.0

    def train(self, cpu_seconds: float) -> None:
        """Train on until this much CPU time is spent in all; the last step may reach beyond it."""
        while self.cpu_seconds < cpu_seconds:
            cpu, wall = time.process_time(), time.perf_counter()
            self.adam.zero_grad()
            torch.stack([WEIGHTS[name] * loss for name, loss in self.losses().items()]).sum().backward()
            self.adam.step()
            self.steps += 1
            self.cpu_seconds += time.process_time() - cpu
            self.wall_seconds += time.perf_counter() - wall

    def losses(self) -> dict[str, Tensor]:
        """All losses of a batch, before their weights."""
        footage, networks = self.footage, self.networks
        count, height, width = footage.frames.shape[:3]
        x, y, t = (torch.randint(0, max(1, end), (self.batch,)) for end in (width - 1, height - 1, count))
        here = torch.stack([x, y, t], 1).float()
        moves = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
        seen = networks(footage.unit((here + moves[:, None]).flatten(0, 1)))
        now = seen.of(slice(self.batch))
        truth = torch.stack([footage.frames[t, y + dy, x + dx] for dx, dy in ((0, 0), (1, 0), (0, 1))]) / 255
        rebuilt = seen.rebuilt().unflatten(0, (3, self.batch))
        slopes = (rebuilt[1:] - rebuilt[:1]) - (truth[1:] - truth[:1])
        losses = {
            "reconstruction": (rebuilt[0] - truth[0]).square().sum(-1).mean(),
            "gradient": slopes.square().sum(-1).mean(1).sum(),
            "sparsity": ((1 - now.alpha[:-1, :, None]) * now.colour[:-1]).square().sum(-1).mean(1).sum(),
            "alpha": -now.alpha.amax(0).log().mean(),
            "rigidity": self._unlike_isometry(seen.uv.unflatten(1, (3, self.batch)), 1).sum(),
            "residual": (now.residual - 1).square().mean((1, 2)).sum(),
            **self._flow_losses(here, now, (t, y, x)),
        }
        if self.steps < BOOTSTRAPPING_STEPS:
            mask = footage.masks[:, t, y, x] / 255
            losses["bootstrapping"] = functional.binary_cross_entropy(now.alpha, mask)
        if self.steps < GLOBAL_RIGIDITY_STEPS:
            far = round(GLOBAL_SHARE * footage.side)
            uv = networks.uv(footage.unit((here + far * moves[1:, None]).flatten(0, 1))).unflatten(1, (2, self.batch))
            unlike = self._unlike_isometry(torch.cat([now.uv[:, None], uv], 1), far)
            losses |= {"global_rigidity_front": unlike[:-1].sum(), "global_rigidity_back": unlike[-1]}
        return losses

    def _flow_losses(
        self, here: Float[Tensor, "batch 3"], now: View, pixel: tuple[Int[Tensor, " batch"], ...]
    ) -> dict[str, Tensor]:
        """How far alpha and uv change along optical flow, to the next frame and the one before."""
        chosen, there, weights = [], [], []
        for way, step in enumerate((1, -1)):
            sure = self.footage.is_sure[way][pixel].nonzero()[:, 0]
            flow_px = self.footage.flow_px[way][pixel][sure]
            there.append(here[sure] + functional.pad(flow_px, (0, 1), value=step))
            chosen.append(sure)
            weights.append(torch.full((len(sure),), 0.5 / max(1, len(sure))))
        sure, points, weight = torch.cat(chosen), self.footage.unit(torch.cat(there)), torch.cat(weights)
        alpha = now.alpha[:, sure]
        missed_px = (self.networks.uv(points) - now.uv[:, sure]).norm(dim=-1) * self._pixels()[..., 0]
        changed = (self.networks.alpha(points) - alpha)[:-1].abs()
        return {"flow_mapping": (weight * alpha * missed_px).sum(), "flow_alpha": (weight * changed).sum()}

    def _unlike_isometry(self, uv: Float[Tensor, "layer 3 batch 2"], step_px: int) -> Float[Tensor, " layer"]:
        """Mean of |JᵀJ| + |(JᵀJ + 0.001)⁻¹| of each layer's mapping, from uv here, to the right and below."""
        along = (uv[:, 1:] - uv[:, :1]) * (self._pixels()[..., None] / step_px)
        squared = torch.einsum("lanc,lbnc->lnab", along, along)
        firm = squared + 0.001 * torch.eye(2)
        determinant = firm[..., 0, 0] * firm[..., 1, 1] - firm[..., 0, 1] ** 2
        inverse = firm.flatten(2).norm(dim=-1) / determinant  # the adjugate of a 2x2 matrix has its norm
        return (squared.flatten(2).norm(dim=-1) + inverse).mean(1)

    def _pixels(self) -> Float[Tensor, "layer 1 1"]:
        """Pixels in a unit of uv."""
        return self.footage.side / (2 * self.scales)

    def _fit_identity(self) -> None:
        """Start the mappings at scale * (x, y), as published."""
        adam = torch.optim.Adam(self.networks.mappings.parameters(), lr=1e-3)
        for _ in range(400):
            points = torch.rand(1000, 3) * 2 - 1
            adam.zero_grad()
            (self.networks.uv(points) - self.scales * points[:, :2]).norm(dim=-1).mean().backward()
            adam.step()

    def psnr(self) -> tuple[PooledPsnr, PooledPsnr]:
        """Of the rebuilt frames, with the residual and without."""
        lit, flat = PooledPsnr(), PooledPsnr()
        for truth, rebuilt, bare in self._frames():
            lit.add(rebuilt, truth)
            flat.add(bare, truth)
        return lit, flat

    @torch.no_grad()
    def _frames(self) -> Iterator[tuple[Float32[np.ndarray, "pixel 3"], ...]]:
        """Chunks of frames: the truth, rebuilt, rebuilt without the residual."""
        _, height, width, _ = self.footage.frames.shape
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        for t, frame in enumerate(self.footage.frames):
            points = self.footage.unit(torch.stack([x, y, torch.full_like(x, t)], -1).flatten(0, 1).float())
            for some, truth in zip(points.split(_CHUNK), frame.flatten(0, 1).split(_CHUNK), strict=True):
                seen = self.networks(some)
                yield (truth / 255).numpy(), seen.rebuilt().numpy(), seen.rebuilt(lit=False).numpy()
