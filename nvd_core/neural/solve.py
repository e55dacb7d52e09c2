"""The neural solver: what a job says of where it starts."""

from __future__ import annotations

from collections.abc import Generator

import torch

from nvd_core.checkpoints import Checkpoints
from nvd_core.devices import choose_device
from nvd_core.errors import MemoryLimitError
from nvd_core.neural.refine.solve import solve_from_lattice
from nvd_core.neural.scratch import solve_from_nothing
from nvd_core.parallel import WORKERS
from nvd_core.protocol import Event
from nvd_core.settings import Settings, starts_from
from nvd_core.shot import Shot
from nvd_core.solution import Solution


def solve(shot: Shot, settings: Settings, checkpoints: Checkpoints) -> Generator[Event, None, Solution]:
    """Decompose a shot.

    Yields:
        Stages, progress from 0 to 1, and estimates of PSNR and previews while training goes on.

    Returns:
        The solution.

    Raises:
        SetupError: the device that is asked for is not there.
        NumericsError: training broke down.
        MemoryLimitError: the GPU has too little memory.
    """
    device = choose_device(settings.device)
    torch.set_num_threads(WORKERS)
    begin = solve_from_lattice if starts_from(settings) == "lattice" else solve_from_nothing
    try:
        return (yield from begin(shot, settings, checkpoints, device))
    except torch.OutOfMemoryError as error:
        raise MemoryLimitError(
            "The GPU has too little memory for this clip", hint="Use a smaller --height, or --device cpu."
        ) from error
