"""Run the neural solver, from the lattice's maps or from random initialisation."""

from __future__ import annotations

import torch

from nvd_core.runtime.checkpoints import Checkpoints
from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.parallel import WORKERS
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.shot import Shot
from nvd_core.shot.solution import Solution
from nvd_core.spec.errors import MemoryLimitError
from nvd_core.spec.settings import Settings


def solve(shot: Shot, settings: Settings, checkpoints: Checkpoints, progress: Progress = SILENT) -> Solution:
    """Decompose a shot by gradient descent, from the start that the settings name.

    Args:
        shot: frames and masks.
        settings: start, device and limits of training.
        checkpoints: of the maps and of the training.
        progress: hears stages, progress, and estimates of PSNR and previews during training.

    Returns:
        The solution.

    Raises:
        SetupError: the settings name a device that this machine lacks.
        NumericsError: a loss is not finite.
        MemoryLimitError: the GPU has too little memory.
    """
    device = choose_device(settings.device)
    torch.set_num_threads(WORKERS)
    try:
        return settings.starts_from.open()(shot, settings, checkpoints, device, progress)
    except torch.OutOfMemoryError as error:
        raise MemoryLimitError(
            "The GPU has too little memory for this clip", hint="Use a smaller --height, or --device cpu."
        ) from error
