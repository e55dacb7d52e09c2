"""Train the maps' displacements: one frame per step, all its layers at once, at half size first."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import torch
from torch import nn

from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.photometry import Picture
from nvd_core.lattice.register.spline import LayerMap
from nvd_core.refine.level import Level, Patch
from nvd_core.refine.light import Colour
from nvd_core.refine.losses import Way, bending, photometric, relit, steadiness
from nvd_core.refine.surface import Surface
from nvd_core.runtime import training_state
from nvd_core.runtime.checkpoints import Arrays
from nvd_core.runtime.training_loop import Limits
from nvd_core.shot import Shot
from nvd_core.spec.errors import NumericsError

SWEEPS: Final = 24
"""Default number of steps per frame."""

_BENDING: Final = 0.7
_STEADINESS: Final = 0.02
"""Weights against the photometric loss. Measured on edits with known truth: four times stiffer costs cloth 0.3 dB,
three times softer a plane 0.1 dB; with a third of the steadiness still water swims by 0.02 px more."""

_LIGHT: Final = 1 / 256
"""Sigma of the smooth light that colours are matched by before they are compared, as a share of the frame's width."""

_RATE: Final = 0.01
_LAST_RATE: Final = 2e-4
"""Learning rates at the beginning and at the end, cells a step, with cosine decay. Without the decay, steps never
settle: it is worth 0.5 dB."""

_SMALL_UNTIL: Final = 0.4
"""Share of the training that compares frames at half size, which is faster and converges from further away."""

_PROBES: Final = 4
"""Number of frames that PSNR is estimated from."""


@final
@dataclass(frozen=True)
class Start:
    """Initialisation of refinement, per layer, front to back.

    Attributes:
        maps: of the lattice.
        pictures: of the layers, through those maps.
        ways: optical flow of each frame but the last; None where no vector lies in the layer.
    """

    maps: Sequence[LayerMap]
    pictures: Sequence[Picture]
    ways: Sequence[Sequence[Way | None]]


@final
class Refinement:
    """Maps of all layers in training on one clip.

    Args:
        shot: the clip.
        start: maps, pictures and flow that training starts from.
        seed: of the order of frames.
        device: training device.

    Attributes:
        surfaces: the layers, front to back.
        steps: taken so far.
        cpu_seconds: spent so far, summed over all threads, interrupted runs included.
    """

    def __init__(self, shot: Shot, start: Start, *, seed: int, device: torch.device) -> None:
        self._seed = seed
        self._views = [LayerView(shot.frames, alpha) for alpha in shot.alphas]
        pairs = zip(start.maps, start.pictures, strict=True)
        self.surfaces = [Surface(mapping, picture).to(device) for mapping, picture in pairs]
        self._model = nn.ModuleList(self.surfaces)
        lattice = start.maps[0].lattice
        self._levels = {shrink: Level(shot, lattice, shrink, device) for shrink in (2, 1)}
        self._ways = [[way and Way(*(part.to(device) for part in way)) for way in ways] for ways in start.ways]
        self._adam = torch.optim.Adam(self._model.parameters(), lr=_RATE, betas=(0.8, 0.98))
        self.steps, self.cpu_seconds = 0, 0.0

    @property
    def count(self) -> int:
        """Number of frames."""
        return self._views[0].count

    def share(self, limits: Limits) -> float:
        """Progress of training, 0 to 1."""
        return limits.share(self.steps, self.cpu_seconds)

    def advance(self, limits: Limits) -> str:
        """Take one step, on one frame.

        Raises:
            NumericsError: a loss is not finite; the maps stay as before the step.
        """
        began, done = time.process_time(), self.share(limits)
        shrink = 2 if done < _SMALL_UNTIL else 1
        for group in self._adam.param_groups:
            group["lr"] = _LAST_RATE + (_RATE - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2
        self._descend(self._losses(self._frame(self.steps), self._levels[shrink]))
        self.steps += 1
        self.cpu_seconds += time.process_time() - began
        return "refine"

    @torch.no_grad()
    def drawn(self, layer: int, t: int) -> Colour | None:
        """Render a layer's box in a frame in the current state, display-encoded; None where the layer is hidden."""
        box = self._views[layer].boxes[t]
        return None if box is None else self._draw(layer, t, self._levels[1], self._levels[1].patch(layer, t, box))

    def psnr(self) -> float:
        """Estimate the PSNR of the reconstruction, dB, from pixels of a few frames that show one layer alone."""
        squares, count = 0.0, 0.0
        for t in np.linspace(0, self.count - 1, min(self.count, _PROBES)).astype(int).tolist():
            for layer, view in enumerate(self._views):
                drawn = self.drawn(layer, t)
                if drawn is not None:
                    patch = self._levels[1].patch(layer, t, view.box(t))
                    squares += float(((drawn - patch.plate).square() * patch.weight).sum())
                    count += 3 * float(patch.weight.sum())
        return min(99.0, -10 * math.log10(max(squares / max(count, 1), 1e-12)))

    def arrays(self) -> Arrays:
        """State as arrays, complete enough that the next step is the same as without interruption."""
        counts = {"steps": np.array([self.steps]), "cpu_seconds": np.array([self.cpu_seconds])}
        return counts | training_state.arrays_of(self._model, self._adam)

    def take_up(self, arrays: Arrays) -> None:
        """Restore the state that :meth:`arrays` returned."""
        self.steps, self.cpu_seconds = int(arrays["steps"][0]), float(arrays["cpu_seconds"][0])
        training_state.take_up(self._model, self._adam, arrays)

    def _frame(self, step: int) -> int:
        """Frame of a step: every sweep takes all frames in a new random order."""
        sweep, place = divmod(step, self.count)
        return int(np.random.default_rng([self._seed, sweep]).permutation(self.count)[place])

    def _draw(self, layer: int, t: int, level: Level, patch: Patch) -> Colour:
        surface = self.surfaces[layer]
        seen = surface.look_up(surface.reference_px(t, patch), level.shrink)
        return relit(seen, patch, self._sigma_px(level.shrink))

    def _sigma_px(self, shrink: int) -> float:
        return _LIGHT * self._views[0].size.width / shrink

    def _losses(self, t: int, level: Level) -> dict[str, torch.Tensor]:
        """Losses of a frame by name, each summed over the layers."""
        losses: dict[str, list[torch.Tensor]] = {"photometric": [], "bending": [], "steadiness": []}
        margin_px = 3 * self._sigma_px(1)
        for index, (view, surface) in enumerate(zip(self._views, self.surfaces, strict=True)):
            if (box := view.boxes[t]) is not None:
                patch = level.patch(index, t, box.pixels_within(view.size, margin_px))
                drawn = self._draw(index, t, level, patch)
                losses["photometric"].append(photometric(drawn, patch, surface.cell_px / level.shrink))
            losses["bending"].append(_BENDING * bending(surface.moves(t)))
            for before in (t - 1, t):
                if 0 <= before < self.count - 1 and (way := self._ways[index][before]) is not None:
                    moved = surface.moved_at(before + 1, way.there_px) - surface.moved_at(before, way.here_px)
                    losses["steadiness"].append(_STEADINESS * steadiness(way.missed_px + moved, surface.cell_px))
        return {name: torch.stack(parts).sum() for name, parts in losses.items() if parts}

    def _descend(self, losses: dict[str, torch.Tensor]) -> None:
        values = torch.stack(list(losses.values()))
        if not bool(torch.isfinite(values).all()):
            bad = ", ".join(name for name, value in losses.items() if not math.isfinite(value.item()))
            raise NumericsError(f"Refining broke down: not a finite number, the loss {bad}", where=f"step {self.steps}")
        self._adam.zero_grad()
        values.sum().backward()
        self._adam.step()
