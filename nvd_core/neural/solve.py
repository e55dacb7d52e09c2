"""The neural solver: flow, training, and what has been learnt as a solution."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from typing import Final, final

import numpy as np
import torch
from jaxtyping import Float32

from nvd_core.checkpoints import Checkpoints
from nvd_core.errors import SetupError
from nvd_core.neural.canvas import Canvas, sample_atlas
from nvd_core.neural.encodings import Backend, choose_backend
from nvd_core.neural.footage import prepare_footage
from nvd_core.neural.preview import write_previews
from nvd_core.neural.recipe import Recipe
from nvd_core.neural.solution import NeuralSolution, SolvedLayer
from nvd_core.neural.train import Training
from nvd_core.parallel import WORKERS
from nvd_core.protocol import Caution, Event, Metric, Progress, Stage
from nvd_core.settings import QUALITY, Device, Settings
from nvd_core.shot import Shot
from nvd_core.steps import mapped

_FLOW, _TRAINING = 0.05, 0.85
"""Rough part of the work that flow takes, and training; the atlases take the rest."""

_FIT_SHARE: Final = 0.1
"""Of a budget, the most that fitting the mappings may take."""

_SAVE_EVERY_S: Final = 20.0
_TELL_EVERY_S: Final = 0.5
_SHOW_EVERY_S: Final = 5.0

_LOOK_EVERY: Final = 50
"""Steps from one estimate of PSNR to the next."""

_SEEN_AT: Final = 192
"""Pixels along a frame's longer side at which what a layer shows is looked up: mappings are smooth."""

_LONG_ON_A_CPU: Final = 2e7
"""Pixels seen in training, steps x batch, above which a processor takes hours."""


@final
class _Timer:
    """Is due once in a while."""

    def __init__(self, every_s: float) -> None:
        self._every_s, self._last = every_s, time.monotonic()

    def is_due(self) -> bool:
        """Whether the time has passed since this was last so."""
        now = time.monotonic()
        if now - self._last < self._every_s:
            return False
        self._last = now
        return True


def solve(shot: Shot, settings: Settings, checkpoints: Checkpoints) -> Generator[Event, None, NeuralSolution]:
    """Decompose a shot.

    Yields:
        Stages, progress from 0 to 1, and estimates of PSNR and previews while training goes on.

    Returns:
        The solution.

    Raises:
        SetupError: the device that is asked for is not there.
        NumericsError: training broke down.
    """
    device = choose_device(settings.device)
    backend = choose_backend(device)
    torch.set_num_threads(WORKERS)
    unlimited = settings.budget_s is None and settings.target_psnr is None
    if device.type == "cpu" and unlimited and settings.steps * settings.batch > _LONG_ON_A_CPU:
        yield Caution(
            message="Without a GPU, the published schedule takes days",
            hint="Set --budget-s, or fewer --steps and a smaller --batch.",
        )
    yield Stage(name="flow")
    footage = yield from mapped(prepare_footage(shot, device), lambda done: Progress(done=_FLOW * done))
    training = Training(footage, recipe=Recipe(), batch=settings.batch, seed=settings.seed, backend=backend)
    name = f"training-{device.type}-{backend}"
    show = _Timer(_SHOW_EVERY_S)
    for event in train(training, settings, checkpoints, name):
        yield event
        if isinstance(event, Progress) and show.is_due():
            yield from write_previews(training, shot.layers, checkpoints.folder)
    solved = yield from _lay_out(shot, training, QUALITY[settings.preset].density)
    return NeuralSolution(solved, training.networks, footage, shot.numbers, versions(device, backend))


def choose_device(asked: Device) -> torch.device:
    """The GPU where there is one, unless another is asked for.

    Raises:
        SetupError: the GPU is asked for and there is none.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise SetupError("There is no NVIDIA GPU that torch can use", hint="Use --device cpu, or see nvd doctor.")
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def versions(device: torch.device, backend: Backend) -> dict[str, str]:
    """What the networks are computed with, for the manifest."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"torch": torch.__version__, "device": name, "hash_grid": backend}


def train(training: Training, settings: Settings, checkpoints: Checkpoints, name: str) -> Generator[Event, None, None]:
    """Train to the end of the schedule, the budget, or the target, from where a checkpoint left off.

    Args:
        training: the networks.
        settings: when to end.
        checkpoints: where the state is kept, every few seconds and at the end.
        name: of the state there.
    """
    kept = checkpoints.load(name)
    if kept is not None:
        training.take_up(kept)
    has_ended = kept is not None and bool(kept["has_ended"][0])
    save, tell, stage = _Timer(_SAVE_EVERY_S), _Timer(_TELL_EVERY_S), ""
    while not has_ended:
        fits = training.steps == 0 and not _is_fitted(training, settings)
        if stage != (stage := "fit" if fits else "train"):
            yield Stage(name=stage)
        if fits:
            training.fit()
        else:
            training.step()
            has_ended = yield from _judge(training, settings)
        if has_ended or save.is_due():
            checkpoints.save(name, training.arrays() | {"has_ended": np.array([has_ended])})
        if tell.is_due():
            yield Progress(done=_FLOW + _TRAINING * _share(training, settings))


def _judge(training: Training, settings: Settings) -> Generator[Event, None, bool]:
    """Whether training ends here: steps, budget or target are reached."""
    is_over = training.steps >= settings.steps or training.cpu_seconds >= (settings.budget_s or math.inf)
    if is_over or training.steps % _LOOK_EVERY == 0:
        psnr = training.psnr()
        yield Metric(name="psnr", value=round(psnr, 2))
        is_over |= psnr >= (settings.target_psnr or math.inf)
    return is_over


def _is_fitted(training: Training, settings: Settings) -> bool:
    limit_s = _FIT_SHARE * (settings.budget_s or math.inf)
    return training.fitted >= training.fit_total or training.cpu_seconds >= limit_s


def _share(training: Training, settings: Settings) -> float:
    """How far training is, 0 to 1."""
    by_steps = (training.fitted + training.steps) / (training.fit_total + settings.steps)
    return min(1.0, max(by_steps, training.cpu_seconds / (settings.budget_s or math.inf)))


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
        solved.append(SolvedLayer(name, canvas, atlas.astype(np.float16).astype(np.float32)))
        done = (index + 1) / len(shot.layers)
        yield Progress(done=_FLOW + _TRAINING + (1 - _FLOW - _TRAINING) * done)
    return tuple(solved)


def _seen_uv(training: Training, layers: int, every: int) -> list[Float32[np.ndarray, "point 2"]]:
    """For each layer, uv of pixels that are mostly its own, every so many each way."""
    parts: list[list[np.ndarray]] = [[] for _ in range(layers)]
    with torch.no_grad():
        for points in training.all_pixels(every):
            uv, alpha = training.networks.uv(points).cpu().numpy(), training.networks.alpha(points).cpu().numpy()
            for layer, part in enumerate(parts):
                part.append(uv[layer][alpha[layer] > 0.5])
    return [np.concatenate(part) for part in parts]
