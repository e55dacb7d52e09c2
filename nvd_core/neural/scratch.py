"""From nothing: flow, training of the published networks, and what they have learnt as a solution."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

import numpy as np
import torch
from jaxtyping import Float32

from nvd_core.checkpoints import Checkpoints
from nvd_core.devices import versions
from nvd_core.neural.canvas import Canvas, sample_atlas
from nvd_core.neural.encodings import choose_backend
from nvd_core.neural.footage import prepare_footage
from nvd_core.neural.loop import Limits, train
from nvd_core.neural.preview import write_previews
from nvd_core.neural.recipe import Recipe
from nvd_core.neural.solution import NeuralSolution, SolvedLayer
from nvd_core.neural.train import Training
from nvd_core.protocol import Caution, Event, Progress, Stage
from nvd_core.settings import QUALITY, Settings
from nvd_core.shot import Shot
from nvd_core.steps import mapped, part_of

_FLOW, _TRAINING = 0.05, 0.85
"""Rough part of the work that flow takes, and training; the atlases take the rest."""

STEPS: Final = 50_000
_BATCH: Final = {"cuda": 10_000, "cpu": 1_000}
"""Published are 50,000 steps of 10,000 pixels; a CPU gets further in the same time with smaller ones."""

_SEEN_AT: Final = 192
"""Pixels along a frame's longer side at which what a layer shows is looked up: mappings are smooth."""

_LONG_ON_A_CPU: Final = 2e7
"""Pixels seen in training, steps x batch, above which a processor takes hours."""


def solve_from_nothing(
    shot: Shot, settings: Settings, checkpoints: Checkpoints, device: torch.device
) -> Generator[Event, None, NeuralSolution]:
    """Train the published networks on a shot; see :func:`nvd_core.neural.solve.solve`."""
    backend = choose_backend(device)
    is_published = settings.preset == "paper"
    batch = settings.batch or _BATCH["cuda" if is_published else device.type]
    limits = Limits.of(settings, STEPS)
    if device.type == "cpu" and not limits.ends_early and limits.steps * batch > _LONG_ON_A_CPU:
        yield Caution(
            message="Without a GPU, so many steps take hours or days",
            hint="Set --budget-s, or fewer --steps and a smaller --batch.",
        )
    yield Stage(name="flow")
    footage = yield from mapped(prepare_footage(shot, device), lambda done: Progress(done=_FLOW * done))
    training = Training(footage, recipe=Recipe(), batch=batch, seed=settings.seed, backend=backend)
    steps = train(
        training,
        limits,
        checkpoints,
        name=f"training-{device.type}-{backend}",
        show=lambda: write_previews(training, shot.layers, checkpoints.folder),
    )
    yield from part_of(steps, _FLOW, _TRAINING)
    training.networks.halves = False  # what is written is computed in full
    solved = yield from _lay_out(shot, training, QUALITY[settings.preset].density)
    return NeuralSolution(solved, training.networks, footage, shot.numbers, versions(device) | {"hash_grid": backend})


def _lay_out(shot: Shot, training: Training, density: float) -> Generator[Event, None, tuple[SolvedLayer, ...]]:
    """Every layer's canvas and atlas."""
    plate_per_working = shot.clip.info.size.width / shot.size.width
    scales = training.recipe.scales(len(shot.layers))
    every = max(1, training.footage.side_px // _SEEN_AT)
    seen_uv = _seen_uv(training, len(shot.layers), every)
    solved = []
    for index, name in enumerate(shot.layers):
        yield Stage(name="atlas", layer=name)
        px_per_uv = training.footage.side_px / (2 * scales[index])
        seen = seen_uv[index]
        everywhere = np.float32(scales[index]) * np.array([[-1, -1], [1, 1]], np.float32)
        canvas = Canvas.around(seen if len(seen) else everywhere, px_per_uv, density * plate_per_working)
        covered = canvas.covered(seen, every * canvas.density / px_per_uv)
        atlas = sample_atlas(training.networks, index, canvas, covered)
        solved.append(SolvedLayer(name, canvas, atlas.astype(np.float16)))
        done = (index + 1) / len(shot.layers)
        yield Progress(done=_FLOW + _TRAINING + (1 - _FLOW - _TRAINING) * done)
    return tuple(solved)


def _seen_uv(training: Training, layers: int, every: int) -> list[Float32[np.ndarray, "point 2"]]:
    """For each layer, uv of pixels that are mostly its own, every so many each way."""
    parts: list[list[np.ndarray]] = [[] for _ in range(layers)]
    with torch.no_grad():
        for points in training.all_pixels(every):
            uv, alpha = training.fields.uv(points).cpu().numpy(), training.fields.alpha(points).cpu().numpy()
            for layer, part in enumerate(parts):
                part.append(uv[layer][alpha[layer] > 0.5])
    return [np.concatenate(part) for part in parts]
