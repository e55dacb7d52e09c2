"""Train the published networks from random initialisation: optical flow, training, atlases."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from jaxtyping import Float32

from nvd_core.hashing_nvd.canvas import Canvas, sample_atlas
from nvd_core.hashing_nvd.encodings import choose_backend
from nvd_core.hashing_nvd.footage import prepare_footage
from nvd_core.hashing_nvd.preview import write_previews
from nvd_core.hashing_nvd.recipe import Recipe
from nvd_core.hashing_nvd.solution import NeuralSolution, SolvedLayer
from nvd_core.hashing_nvd.train import Training
from nvd_core.image.exr import to_half
from nvd_core.runtime.checkpoints import Checkpoints
from nvd_core.runtime.devices import versions
from nvd_core.runtime.progress import Progress
from nvd_core.runtime.training_loop import Limits, train
from nvd_core.shot import Shot
from nvd_core.spec.protocol import Caution
from nvd_core.spec.settings import QUALITY, Settings

_FLOW, _TRAINING = 0.05, 0.85
"""Rough share of the work that optical flow and training take; the atlases take the rest."""

STEPS: Final = 50_000
_BATCH: Final = {"cuda": 10_000, "cpu": 1_000}
"""Published are 50,000 steps of 10,000 pixels; a CPU gets further in the same time with smaller batches."""

_VISIBLE_SIDE_PX: Final = 192
"""Longer side of the subsampled frames at which a layer's visible uv is evaluated: mappings are smooth."""

_LONG_ON_A_CPU: Final = 2e7
"""Pixels sampled in training, steps x batch, above which a CPU takes hours."""


def solve_from_nothing(
    shot: Shot, settings: Settings, checkpoints: Checkpoints, device: torch.device, progress: Progress
) -> NeuralSolution:
    """Train the published networks on a shot from random initialisation; see :func:`nvd_core.solvers.neural.solve`."""
    backend = choose_backend(device)
    is_published = settings.preset == "paper"
    batch = settings.batch or _BATCH["cuda" if is_published else device.type]
    limits = Limits.of(settings, STEPS)
    if device.type == "cpu" and not limits.ends_early and limits.steps * batch > _LONG_ON_A_CPU:
        hint = "Set --budget-s, or fewer --steps and a smaller --batch."
        progress.tell(Caution(message="Without a GPU, so many steps take hours or days", hint=hint))
    comparing, descending, sampling = progress.split(_FLOW, _TRAINING, 1 - _FLOW - _TRAINING)
    footage = prepare_footage(shot, device, comparing.stage("flow"))
    training = Training(footage, recipe=Recipe(), batch=batch, seed=settings.seed, backend=backend)
    train(
        training,
        limits,
        checkpoints,
        descending,
        name=f"training-{device.type}-{backend}",
        show=lambda: write_previews(training, shot.names, checkpoints.folder, progress.tell),
    )
    training.networks.halves = False  # results are evaluated in single precision
    solved = _lay_out(shot, training, QUALITY[settings.preset].density, sampling)
    told = versions(device) | {"hash_grid": backend}
    return NeuralSolution(solved, training.networks, footage.extent, footage.locked, backend, shot.numbers, told)


def _lay_out(shot: Shot, training: Training, density: float, progress: Progress) -> tuple[SolvedLayer, ...]:
    """Choose every layer's canvas from its visible uv, and sample its atlas."""
    plate_per_working = shot.clip.info.size.width / shot.size.width
    scales = training.recipe.scales(len(shot.names))
    every = max(1, training.footage.side_px // _VISIBLE_SIDE_PX)
    seen_uv = _seen_uv(training, len(shot.names), every)
    solved = []
    for index, name in enumerate(shot.names):
        progress.stage("atlas", name)
        px_per_uv = training.footage.side_px / (2 * scales[index])
        seen = seen_uv[index]
        everywhere = np.float32(scales[index]) * np.array([[-1, -1], [1, 1]], np.float32)
        canvas = Canvas.around(seen if len(seen) else everywhere, px_per_uv, density * plate_per_working)
        covered = canvas.covered(seen, every * canvas.density / px_per_uv)
        atlas = sample_atlas(training.networks, index, canvas, covered)
        solved.append(SolvedLayer(name, canvas, to_half(atlas)))
        progress((index + 1) / len(shot.names))
    return tuple(solved)


def _seen_uv(training: Training, layers: int, every: int) -> list[Float32[np.ndarray, "point 2"]]:
    """For each layer, uv of the pixels in which its alpha exceeds 0.5, at every ``every``-th row and column."""
    parts: list[list[np.ndarray]] = [[] for _ in range(layers)]
    with torch.no_grad():
        for points in training.all_pixels(every):
            uv, alpha = training.fields.uv(points).cpu().numpy(), training.fields.alpha(points).cpu().numpy()
            for layer, part in enumerate(parts):
                part.append(uv[layer][alpha[layer] > 0.5])
    return [np.concatenate(part) for part in parts]
