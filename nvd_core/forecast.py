"""What a decomposition will take: time, memory and disk, from the clip's size and the settings alone.

Measured with the lattice solver on clips of two layers; another clip may take half or twice of it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from nvd_core.conventions import Size, working_size
from nvd_core.errors import MemoryLimitError, UsageError
from nvd_core.settings import QUALITY, MaskSource, Settings, has_to_find, starts_from, weights_in, working_lines

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

_CARRY_S_FRAME: Final = 0.45
_LEARNED_S_FRAME: Final = 11.0
"""CPU seconds to carry an object's mask to a frame, with nothing learned and by the smallest SAM 2."""

_REGAIN_S_FRAME: Final = 0.7
"""CPU seconds a frame for what the mask of a found object misses: its layers are solved twice at a small size."""

_LOOKS: Final = 8
"""Frames that a learned model looks for objects in, each for about as long as one carries to a frame."""

_RAFT_S_PX: Final = 4.2e-4
_RAFT_MOST_PX: Final = 512 * 288
"""CPU seconds of RAFT for a pixel of a frame, at three distances, there and back; a frame has so many at most."""

_FLOW_BYTES_PX: Final = 48.0
"""Space on disk for given flow at a working pixel: at most three pairs of frames, there and back."""

_BASE_BYTES: Final = 0.2e9
_MATCHES_BYTES: Final = 0.45e9
_EQUATIONS_BYTES_FRAME: Final = 7e6
_PICTURE_BYTES_PX: Final = 300.0
"""Memory: for nothing at all; for a layer's matches; for the equations of each frame that is solved at once; for the
layer's picture, for each pixel of a working frame."""

_BELIEVING: Final = 2.0
"""So many times as much memory solving takes where flow is given: its maps have more nodes."""

_UNREFINED_BYTES: Final = 0.3
"""Part of that which is left where the preset refines nothing."""

_NODES_BYTES: Final = 0.17e6
"""A frame's map, and that map turned around."""

_ATLAS_BYTES: Final = 40.0
_WRITTEN_BYTES: Final = 20.0
"""Memory for a texel: of the atlas that is made, and of all that are looked up when frames are written."""

_PLATE_BYTES_PX: Final = 60.0
_LAYER_BYTES_PX: Final = 45.0
"""Memory for each pixel of a plate that is worked on, and again for each of its layers."""

_TORCH_BYTES: Final = 0.6e9
_MODEL_BYTES: Final = 1.5e9
_REFINED_BYTES_PX: Final = 20.0
_TRAINED_BYTES_PX: Final = 32.0
"""Memory for torch, for a learned model as well, and for a working pixel of every frame, which a training holds."""

_MOST_TEXELS: Final = 48e6
_ROOM: Final = 2.0
"""An atlas may show so many times what one frame does."""

_SHARE: Final = 0.75
"""Part of the machine's memory that may be used if nothing is said."""

_ALONE: Final = 0.2
"""Part of the time in which one core works alone."""

_MOST_CORES: Final = 8
"""More are not used."""

_MEMORY: Final = re.compile(r"(\d+(?:\.\d+)?) ?([MGT])B?", re.IGNORECASE)
_UNITS: Final = {"M": 1e6, "G": 1e9, "T": 1e12}


class Forecast(NamedTuple):
    """What a job takes, roughly.

    Attributes:
        seconds: from start to end; None where that hangs on what cannot be foreseen.
        memory_bytes: at its peak.
        disk_bytes: of the result, and of what is kept while it is made.
        budget_bytes: of memory that may be used.
    """

    seconds: float | None
    memory_bytes: float
    disk_bytes: float
    budget_bytes: float = inf

    def __str__(self) -> str:
        room = f"{_gigabytes(self.memory_bytes)} of memory, {_gigabytes(self.disk_bytes)} on disk"
        return room if self.seconds is None else f"{spoken(self.seconds)}, {room}"

    def check_memory(self) -> None:
        """Refuse to begin what takes more memory than may be used.

        Raises:
            MemoryLimitError: it does.
        """
        if self.memory_bytes > self.budget_bytes:
            raise MemoryLimitError(
                f"The job needs about {_gigabytes(self.memory_bytes)} of memory,"
                f" and {_gigabytes(self.budget_bytes)} may be used",
                hint="Allow more memory if the machine has it, or use fewer frames, a smaller height or window.",
            )


@dataclass(frozen=True)
class Needs:
    """What a job needs.

    Attributes:
        plate: size of the clip.
        frames: how many are used.
        layers: objects and the background.
        settings: of the job.
        carried: how many of the objects have masks on a few frames alone, or none.
        is_found: whether objects have no mask at all.
    """

    plate: Size
    frames: int
    layers: int
    settings: Settings
    carried: int = 0
    is_found: bool = False

    @classmethod
    def of(cls, plate: Size, frames: int, masks: Collection[MaskSource], settings: Settings) -> Needs:
        """Those of a job with such masks; where objects have to be found, one is expected."""
        names, carried = {one.name for one in masks}, {one.name for one in masks if one.frame is not None}
        if has_to_find(masks, frames, settings):
            return cls(plate, frames, 2, settings, 1, is_found=True)
        return cls(plate, frames, len(names) + 1, settings, len(carried))

    @property
    def disk_bytes(self) -> float:
        """Space for the result, and for frames and maps that are kept while it is made."""
        area = self.plate.width * self.plate.height
        result = area * (self.frames * (FRAME_BYTES_PX + self.layers * LAYER_BYTES_PX) + self.layers * ATLAS_BYTES_PX)
        each = 3 + self.layers + (_FLOW_BYTES_PX if self.settings.flow != "dis" else 0)
        return result + self._working_px * each + 3 * _NODES_BYTES * self.frames * self.layers

    def cpu_seconds(self) -> float:
        """Over all threads."""
        solve_s = _SOLVE_S_FRAME * self.frames + _SOLVE_S_PX * self._working_px
        solve_s *= _BY_GRADIENTS if self.settings.solver == "neural" else 1
        solve_s *= 1 if QUALITY[self.settings.preset].refines else _UNREFINED
        carry_s = _LEARNED_S_FRAME if weights_in(self.settings.carry) else _CARRY_S_FRAME
        solve_s += carry_s * self.frames * self.carried
        if weights_in(self.settings.find):
            solve_s += _LEARNED_S_FRAME * min(_LOOKS, self.frames)
        elif self.is_found:
            solve_s += _REGAIN_S_FRAME * self.frames
        if self._asks_raft:
            solve_s += _RAFT_S_PX * min(self._working_px, _RAFT_MOST_PX * self.frames)
        return solve_s + _EXPORT_S_PX * self.plate.width * self.plate.height * self.frames

    def memory_bytes(self, at_once: int) -> float:
        """At its peak, when so many plates are worked on at a time."""
        area = self.plate.width * self.plate.height
        quality = QUALITY[self.settings.preset]
        texels = min(_MOST_TEXELS, _ROOM * area * quality.density**2)
        one_frame_px = self._working_px / self.frames
        kept = _BASE_BYTES + _NODES_BYTES * self.frames * self.layers
        solving = _MATCHES_BYTES + _EQUATIONS_BYTES_FRAME * min(self.frames, self.settings.window)
        solving *= 1 if self.settings.flow == "dis" else _BELIEVING
        solving *= 1 if quality.refines else _UNREFINED_BYTES
        solving += _PICTURE_BYTES_PX * one_frame_px
        if self.settings.solver == "neural":
            each = _TRAINED_BYTES_PX if starts_from(self.settings) == "none" else _REFINED_BYTES_PX
            solving = max(solving, _TORCH_BYTES + each * self._working_px)
        if weights_in(self.settings.find) or weights_in(self.settings.carry):
            solving = max(solving, _MODEL_BYTES)
        if self._asks_raft:
            solving += _TORCH_BYTES
        drawing = _NODES_BYTES * self.frames + _ATLAS_BYTES * texels
        plates = area * (_PLATE_BYTES_PX + _LAYER_BYTES_PX * self.layers) * at_once
        return kept + max(solving, max(drawing, _WRITTEN_BYTES * texels) + plates)

    def plates_at_once(self, most: int) -> int:
        """So many plates may be worked on at a time; one, if even that takes more memory than may be used.

        Args:
            most: that there are cores for.

        Raises:
            UsageError: the setting is not an amount of memory.
        """
        budget = memory_budget(self.settings)
        return max((count for count in range(1, most + 1) if self.memory_bytes(count) <= budget), default=1)

    def forecast(self, cores: int) -> Forecast:
        """What it takes on so many cores, from the lattice on.

        Raises:
            UsageError: a setting is not an amount of memory.
        """
        cores = max(1, min(cores, _MOST_CORES))
        memory_bytes = self.memory_bytes(self.plates_at_once(cores))
        is_trained = self.settings.solver == "neural" and starts_from(self.settings) == "none"  # minutes, or days
        seconds = None if is_trained else self.cpu_seconds() * (_ALONE + (1 - _ALONE) / cores)
        return Forecast(seconds, memory_bytes, self.disk_bytes, memory_budget(self.settings))

    @property
    def _asks_raft(self) -> bool:
        return self.settings.flow.startswith("raft:")

    @property
    def _working_px(self) -> int:
        size = working_size(self.plate, working_lines(self.settings))
        return size.width * size.height * self.frames


def memory_budget(settings: Settings) -> float:
    """Bytes of memory that may be used.

    Raises:
        UsageError: what is set is not an amount of memory.
    """
    if not settings.memory:
        return _SHARE * machine_bytes()
    found = _MEMORY.fullmatch(settings.memory.strip())
    if found is None or not float(found[1]):
        raise UsageError(f"{settings.memory!r} is not an amount of memory", hint="Write it as 4G or 800M.")
    return float(found[1]) * _UNITS[found[2].upper()]


def machine_bytes() -> float:
    """Memory that the machine has."""
    if sys.platform != "win32":
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    import ctypes  # noqa: PLC0415 (there alone)

    total = ctypes.c_ulonglong()
    ctypes.windll.kernel32.GetPhysicallyInstalledSystemMemory(ctypes.byref(total))
    return total.value * 1024.0 or float("inf")


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
