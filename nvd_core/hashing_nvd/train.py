"""Train the published networks; an interrupted training continues with the same steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Final, final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from nvd_core.hashing_nvd.encodings import Backend
from nvd_core.hashing_nvd.fields import Fields, Networks
from nvd_core.hashing_nvd.footage import Footage
from nvd_core.hashing_nvd.locks import LockedFields
from nvd_core.hashing_nvd.losses import weighted_losses
from nvd_core.hashing_nvd.losses.context import LossContext
from nvd_core.hashing_nvd.recipe import Recipe
from nvd_core.runtime import training_state
from nvd_core.runtime.checkpoints import Arrays
from nvd_core.runtime.training_loop import Limits
from nvd_core.spec.errors import NumericsError

CHUNK: Final = 16_384
"""Points evaluated at a time where no gradient is needed, which bounds memory."""

_FIT_SHARE: Final = 0.1
"""Largest share of the budget for fitting the mappings to their initial layout."""

_PROBE: Final = 4_096
"""Pixels that PSNR is estimated from during training."""


@final
class Training:
    """Networks in training on one clip.

    Args:
        footage: the clip; the networks live on its device.
        recipe: sizes of the networks, learning rates and losses.
        batch: pixels per step.
        seed: of initial values and batches.
        backend: implementation of the hash grids.

    Attributes:
        networks: in their current state.
        fields: the same, with the alpha of locked layers replaced by their mattes.
        fitted: steps taken to fit the mappings to their initial layout.
        steps: steps taken since, on all losses.
        cpu_seconds: spent on both, summed over all threads, interrupted runs included.
    """

    def __init__(self, footage: Footage, *, recipe: Recipe, batch: int, seed: int, backend: Backend) -> None:
        self.footage, self.recipe, self.batch = footage, recipe, batch
        self._generator = torch.Generator().manual_seed(seed)
        device, layers = footage.frames.device, len(footage.masks)
        # Half precision on a GPU alone: on a CPU, results must stay reproducible to the bit.
        self.networks = Networks(layers, recipe, backend, self._generator, half=device.type == "cuda").to(device)
        self.fields: Fields = LockedFields(self.networks, footage) if footage.locked else self.networks
        self._scales = torch.tensor(recipe.scales(layers), device=device)
        self.fitted, self.steps, self.cpu_seconds = 0, 0, 0.0
        self._adam = self._fitting_optimizer()

    @property
    def fit_total(self) -> int:
        """Number of steps that fit the mappings to their initial layout, as published."""
        return self.recipe.fit_steps * len(self.footage.frames)

    def advance(self, limits: Limits) -> str:
        """Take one step: first to fit the initial layout, for at most a tenth of the budget, then on all losses."""
        lays_out = self.steps == 0 and self.fitted < self.fit_total
        if lays_out and self.cpu_seconds < _FIT_SHARE * limits.budget_s:
            self.fit()
            return "fit"
        self.step()
        return "train"

    def share(self, limits: Limits) -> float:
        """Progress of training, 0 to 1, fitting included."""
        steps = (self.fitted + self.steps) * limits.steps / (self.fit_total + limits.steps)
        return limits.share(int(steps), self.cpu_seconds)

    def fit(self) -> None:
        """Take one step that fits every mapping to ``scale * (x, y)``: a flat layout without motion."""
        began = time.process_time()
        draws = torch.rand(self.batch, 3, generator=self._generator).to(self._scales.device)
        count, height, width = self.footage.frames.shape[:3]
        points = self.footage.unit(draws * torch.tensor([width, height, count], device=draws.device))
        missed = self.networks.uv(points) - self._scales[:, None, None] * points[:, :2]
        self._descend({"fit": missed.norm(dim=-1).mean(1).sum()})
        self.fitted += 1
        self.cpu_seconds += time.process_time() - began

    def step(self) -> None:
        """Take one step on all losses.

        Raises:
            NumericsError: a loss is not finite; the networks stay as before the step.
        """
        began = time.process_time()
        if self.steps == 0:
            self._adam = self.networks.optimizer(self.recipe)
        batch = self.footage.draw(self.batch, self._generator)
        ctx = LossContext(self.fields, self.footage, batch, self._scales)
        self._descend(weighted_losses(ctx, self.recipe.terms, self.steps))
        self.steps += 1
        self.cpu_seconds += time.process_time() - began

    def psnr(self) -> float:
        """Estimate the PSNR of the reconstruction, dB, from the same random pixels at every call."""
        pixels = self.footage.draw(_PROBE, torch.Generator().manual_seed(0)).pixels
        with torch.no_grad():
            rebuilt = self.fields.sample(self.footage.unit(pixels)).rebuilt().clamp(0, 1)
            error = float((rebuilt - self.footage.colours(pixels)).square().mean())
        return min(99.0, -10 * math.log10(max(error, 1e-12)))

    def all_pixels(self, every: int = 1) -> Iterator[Float[Tensor, "point 3"]]:
        """Normalised points of all frames' pixels, subsampled by ``every``, in chunks of at most :data:`CHUNK`."""
        count, height, width = self.footage.frames.shape[:3]
        y, x = torch.meshgrid(torch.arange(0, height, every), torch.arange(0, width, every), indexing="ij")
        for t in range(count):
            pixels = torch.stack([x, y, torch.full_like(x, t)], -1).flatten(0, 1)
            yield from self.footage.unit(pixels.to(self.footage.frames.device)).split(CHUNK)

    def arrays(self) -> Arrays:
        """State as arrays, complete enough that the next step is the same as without interruption."""
        own: Arrays = {
            "generator": self._generator.get_state().numpy(),
            "counts": np.array([self.fitted, self.steps]),
            "cpu_seconds": np.array([self.cpu_seconds]),
        }
        return own | training_state.arrays_of(self.networks, self._adam)

    def take_up(self, arrays: Arrays) -> None:
        """Restore the state that :meth:`arrays` returned."""
        self._generator.set_state(torch.from_numpy(arrays["generator"]))
        self.fitted, self.steps = (int(count) for count in arrays["counts"])
        self.cpu_seconds = float(arrays["cpu_seconds"][0])
        self._adam = self.networks.optimizer(self.recipe) if self.steps else self._fitting_optimizer()
        training_state.take_up(self.networks, self._adam, arrays)

    def _fitting_optimizer(self) -> torch.optim.Adam:
        return torch.optim.Adam(self.networks.mappings.parameters(), lr=self.recipe.rate_mlp)

    def _descend(self, losses: dict[str, Tensor]) -> None:
        """Take one step of Adam on the sum of the losses."""
        values = torch.stack(list(losses.values()))
        if not bool(torch.isfinite(values).all()):
            bad = [name for name, value in losses.items() if not math.isfinite(value.item())]
            raise NumericsError(
                f"Training broke down: not a finite number, the loss {', '.join(bad)}",
                where=f"step {self.steps}",
                hint="Try another --seed.",
            )
        self._adam.zero_grad()
        values.sum().backward()
        self._adam.step()
