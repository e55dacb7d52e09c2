"""What a decomposition will take: time, memory and disk, from the clip's size and the preset alone.

Measured with the lattice solver on clips of two layers; another clip may take half or twice of it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nvd_core.conventions import Size, working_size
from nvd_core.settings import QUALITY, Settings, working_lines

FRAME_BYTES_PX: Final = 6.0
LAYER_BYTES_PX: Final = 12.0
ATLAS_BYTES_PX: Final = 130.0
"""Space on disk for a plate pixel: in a frame, in each layer of a frame, and in each atlas and its copies."""

_SOLVE_S_FRAME: Final = 0.9
_SOLVE_S_PX: Final = 4.4e-6
_EXPORT_S_PX: Final = 0.76e-6
"""CPU seconds: for a frame to solve, for each of its working pixels, and for each plate pixel to write and measure."""

_BY_GRADIENTS: Final = 2.1
"""The neural solver, which refines the lattice by gradients, takes so many times as long."""

_UNREFINED: Final = 0.21
"""Part of that solving which is left where the preset refines nothing."""

_BASE_BYTES: Final = 0.3e9
_SOLVE_BYTES_PX: Final = 40.0
_PLATE_BYTES_PX: Final = 120.0
"""Memory for nothing at all, for a working pixel of every frame, and for a plate pixel, however many frames."""

_ALONE: Final = 0.2
"""Part of the time in which one core works alone."""

_MOST_CORES: Final = 8
"""More are not used."""


class Forecast(NamedTuple):
    """What a job takes, roughly.

    Attributes:
        seconds: from start to end.
        memory_bytes: at its peak.
        disk_bytes: of the result.
    """

    seconds: float
    memory_bytes: float
    disk_bytes: float

    def __str__(self) -> str:
        return (
            f"{spoken(self.seconds)}, {_gigabytes(self.memory_bytes)} of memory, {_gigabytes(self.disk_bytes)} on disk"
        )


def forecast(plate: Size, frames: int, layers: int, settings: Settings, cores: int) -> Forecast:
    """What a clip takes, from the lattice on.

    Args:
        plate: size of the clip.
        frames: how many are used.
        layers: objects and the background.
        settings: of the job.
        cores: of the machine.
    """
    size = working_size(plate, working_lines(settings))
    working, written = (one.width * one.height * frames for one in (size, plate))
    solve_s = _SOLVE_S_FRAME * frames + _SOLVE_S_PX * working
    solve_s *= _BY_GRADIENTS if settings.solver == "neural" else 1
    cpu_s = solve_s * (1 if QUALITY[settings.preset].refines else _UNREFINED) + _EXPORT_S_PX * written
    memory = _BASE_BYTES + _SOLVE_BYTES_PX * working + _PLATE_BYTES_PX * plate.width * plate.height
    seconds = cpu_s * (_ALONE + (1 - _ALONE) / max(1, min(cores, _MOST_CORES)))
    return Forecast(seconds, memory, disk_bytes(plate, frames, layers))


def disk_bytes(plate: Size, frames: int, layers: int) -> float:
    """Space that a result takes."""
    area = plate.width * plate.height
    return area * (frames * (FRAME_BYTES_PX + layers * LAYER_BYTES_PX) + layers * ATLAS_BYTES_PX)


def spoken(seconds: float) -> str:
    """A time, as coarsely as it is known."""
    if seconds < 55:
        return f"about {max(10, round(seconds, -1)):.0f} s"
    minutes = seconds / 60
    if minutes < 10:
        return f"about {minutes:.0f} min"
    return f"about {5 * round(minutes / 5)} min" if minutes < 90 else f"about {minutes / 60:.0f} h"


def _gigabytes(size: float) -> str:
    size = max(size, 0.1e9)
    return f"{size / 1e9:.1f} GB" if size < 10e9 else f"{size / 1e9:.0f} GB"
