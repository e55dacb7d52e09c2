"""Forecast a decomposition's time, memory and disk space from the clip's size and the settings alone.

The model is linear: a stage's cost is the sum over units of work (frames, plate pixels, texels ...) of a measured cost
per unit. ``benchmarks/forecast.py --fit`` fits the tables below. Seconds are those of clips that are neither easy nor
hard to track; bytes are an upper bound.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from math import ceil, floor, inf
from typing import Final, NamedTuple

from nvd_core.spec.choices import Cost
from nvd_core.spec.conventions import Size, working_size
from nvd_core.spec.errors import MemoryLimitError
from nvd_core.spec.settings import QUALITY, MaskSource, Settings, has_to_find, working_lines

FRAME_BYTES_PX: Final = 6.0
LAYER_BYTES_PX: Final = 12.0
ATLAS_BYTES_PX: Final = 130.0
COPY_BYTES_PX: Final = 16.0
"""Bytes on disk per plate pixel: of a frame, of each layer in a frame, of each atlas with copies, of a plate's copy."""

_FLOW_BYTES_PX: Final = 48.0
"""Bytes on disk per working pixel of the user's flow: at most three pairs of frames, both ways."""

_NODES_BYTES: Final = 0.17e6
"""Bytes of a frame's map with its inverse."""

CPU_S: Final[dict[str, dict[str, float]]] = {
    "start": {"job": 0.88},
    "masks": {"job": 0.0, "plate_px": 1.1e-8},
    "camera": {"small_px": 1.1e-7},
    "mattes": {"plate_px": 8.2e-8},
    "prepare": {"job": 0.0064, "plate_px": 3.6e-9, "mask_px": 1.8e-8},
    "cuts": {"working_px": 2.1e-8},
    "map of an object": {
        "frame": 0.027,
        "pair": 0.0093,
        "compared_px": 3.3e-8,
        "fine_px": 3.5e-7,
        "refined_px": 9.4e-7,
    },
    "map of the background": {"frame": 0.097, "pair": 0.0, "compared_px": 5.0e-7, "refined_px": 2.4e-6},
    "atlas of an object": {"frame": 0.0033, "drawn_px": 2.2e-8},
    "atlas of the background": {"frame": 0.014, "drawn_px": 6.4e-8},
    "frames": {"plate_px": 1.4e-7, "layer_px": 3.6e-7},
    "measure": {"plate_px": 4.1e-7, "layer_px": 4.6e-8},
    "report": {"job": 0.26, "tile_px": 3.1e-7},
}
"""CPU seconds of each stage over all threads, per unit of :meth:`Needs.amounts`.

``fine_px`` is half of what an object that folds takes more than others: whether it does turns out in the job.
"""

ALONE: Final[dict[str, float]] = {
    "start": 0.67,
    "prepare": 0.52,
    "cuts": 0.39,
    "map of an object": 0.57,
    "map of the background": 0.44,
    "atlas of an object": 0.64,
    "atlas of the background": 0.61,
    "frames": 0.18,
    "measure": 0.15,
    "report": 0.67,
    "masks": 0.42,
    "camera": 1.0,
    "carry": 1.0,
    "mattes": 0.11,
    "find": 1.0,
    "regain": 0.34,
    "refine": 0.89,
}
"""Serial fraction of a stage's CPU seconds (Amdahl), 0 to 1; 0.5 for stages not listed."""

BYTES: Final[dict[str, dict[str, float]]] = {
    "masks": {"job": 2.0e8, "plates_px": 40},
    "camera": {"job": 2.2e8},
    "mattes": {"job": 1.9e8, "frame": 3.5e5, "plates_px": 80},
    "prepare": {"job": 2.3e8, "plates_px": 12, "mattes_px": 6.0},
    "cuts": {"job": 2.4e8, "frame_px": 23},
    "map": {"job": 2.8e8, "map": 1.7e5, "match": 295, "solved_frame": 7.0e6, "given_frame": 1.1e7, "frame_px": 709},
    "atlas": {"job": 3.8e8, "map": 1.7e5, "frame": 3.6e5, "texel": 31, "drawing_texel": 48, "plates_px": 14},
    "frames": {"job": 3.8e8, "map": 3.0e5, "texel": 22, "plates_px": 151, "mattes_px": 24},
    "measure": {"job": 4.1e8, "texel": 0.0, "plates_px": 170, "mattes_px": 20},
    "report": {"job": 4.1e8, "texel": 2.8, "plates_px": 175, "mattes_px": 26},
}
"""Peak memory of each stage, bytes per unit of :meth:`Needs.amounts`."""

_SAMPLES: Final = 8
"""Frames that a learned finder segments at most."""

_SWEEPS: Final = 24
"""Refinement steps of the neural solver per frame."""

_SMALL_LINES, _LOOKED_AT = 240, 64
"""Height at which masks are propagated; frames in which objects are discovered, about."""

_COMPARED_PX, _MOST_MATCHES = 512 * 288, 700_000
"""Most pixels of a frame that optical flow matches with another; most matches of a layer, about."""

_MOST_TEXELS, _BAND_TEXELS, _ROOM = 48e6, 1 << 20, 2.0
"""Most texels of an atlas; texels of a band, one per core; area of all atlases together, in areas of a frame."""

_MOST_CORES: Final = 8
"""Most cores in use."""


class Forecast(NamedTuple):
    """Forecast of a job's time, memory and disk space.

    Attributes:
        seconds: from start to end; None for a training from scratch.
        memory_bytes: peak.
        disk_bytes: of the result and of temporary files together.
        budget_bytes: memory that may be used.
        savings: changes that would lower the peak, as phrases for a hint.
    """

    seconds: float | None
    memory_bytes: float
    disk_bytes: float
    budget_bytes: float = inf
    savings: tuple[str, ...] = ()

    def __str__(self) -> str:
        room = f"{_gigabytes(self.memory_bytes)} of memory, {_gigabytes(self.disk_bytes)} on disk"
        return room if self.seconds is None else f"{spoken(self.seconds)}, {room}"

    def check_memory(self) -> None:
        """Refuse a job whose peak memory exceeds the budget.

        Raises:
            MemoryLimitError: it does.
        """
        if self.memory_bytes > self.budget_bytes:
            raise MemoryLimitError(
                f"The job needs about {_gigabytes(self.memory_bytes)} of memory,"
                f" and {_gigabytes(self.budget_bytes, floor)} may be used",
                hint=f"{' or '.join(('Allow more memory', *self.savings))}.",
            )


@dataclass(frozen=True)
class Needs:
    """Parameters of a job that its costs follow from.

    Attributes:
        plate: size of the clip.
        frames: number of frames used.
        layers: number of layers, the background included.
        settings: of the job.
        propagated: number of objects whose masks are propagated from a few frames or discovered.
        is_discovered: whether objects are discovered, without any mask.
        has_copies: whether the result holds copies of the plates.
        mask_costs: costs of the origins of its masks.
    """

    plate: Size
    frames: int
    layers: int
    settings: Settings
    propagated: int = 0
    is_discovered: bool = False
    has_copies: bool = False
    mask_costs: tuple[Cost, ...] = ()

    @classmethod
    def of(
        cls, plate: Size, frames: int, masks: Collection[MaskSource], settings: Settings, *, has_copies: bool = False
    ) -> Needs:
        """Parameters of a job with these masks; one object is assumed where objects are discovered."""
        names, propagated = {one.name for one in masks}, {one.name for one in masks if one.frame is not None}
        if has_to_find(masks, frames, settings):
            return cls(plate, frames, 2, settings, 1, is_discovered=True, has_copies=has_copies)
        costs = tuple(one.path.cost for one in masks)
        return cls(plate, frames, len(names) + 1, settings, len(propagated), has_copies=has_copies, mask_costs=costs)

    @property
    def disk_bytes(self) -> float:
        """Disk space of the result, and of working frames, flow and maps meanwhile."""
        area = self.plate.width * self.plate.height
        frame = FRAME_BYTES_PX + self.layers * LAYER_BYTES_PX + self.has_copies * COPY_BYTES_PX
        result = area * (self.frames * frame + self.layers * ATLAS_BYTES_PX)
        each = 3 + self.layers + _FLOW_BYTES_PX * self.settings.flow.is_given
        return (
            result
            + self._px(working_lines(self.settings)) * self.frames * each
            + 3 * _NODES_BYTES * self.frames * self.layers
        )

    def amounts(self, at_once: int = 1, cores: int = 1, texels: float | None = None) -> dict[str, float]:
        """Amount of work by unit, the factors of the cost tables.

        Args:
            at_once: plates in work at a time.
            cores: that work on an atlas.
            texels: of all atlases; estimated from the plate if not known.
        """
        count, area, quality = self.frames, self.plate.width * self.plate.height, QUALITY[self.settings.preset]
        working, small = self._px(working_lines(self.settings)), self._px(_SMALL_LINES)
        pairs = sum(max(0, count - offset) for offset in quality.offsets)
        texels = texels or min(_MOST_TEXELS, _ROOM * area * quality.density**2)
        together, refined = min(count, self.settings.window), quality.refines
        return {
            "job": 1,
            "frame": count,
            "plate_px": area * count,
            "mask_px": area * count * (self.layers - 1),
            "layer_px": area * count * self.layers,
            "drawn_px": area * count * quality.density**2 * quality.atlas_rounds,
            "tile_px": area * min(3, count) * self.layers,
            "working_px": working * count,
            "small_px": small * count,
            "sample": min(_SAMPLES, count),
            "look_px": small * min(count, _LOOKED_AT),
            "pair": pairs,
            "flow_px": count * min(working, _COMPARED_PX),
            "compared_px": pairs * min(working, _COMPARED_PX),
            "fine_px": pairs * min(working, _COMPARED_PX) * refined,
            "refined_px": working * count * refined,
            "trained_px": working * (self.settings.steps or _SWEEPS * count) * self.layers,
            "map": count * self.layers,
            "match": min(_MOST_MATCHES, sum(max(0, together - offset) for offset in quality.offsets) * working / 4),
            "solved_frame": together * (1 if refined else 0.3),
            "given_frame": together * self.settings.flow.is_given,
            "frame_px": working,
            "small_frame_px": small,
            "plates_px": area * min(count, at_once),
            "mattes_px": area * min(count, at_once) * self.layers,
            "texel": texels,
            "drawing_texel": min(texels, _BAND_TEXELS) * cores,
        }

    @property
    def costs(self) -> list[Cost]:
        """Costs of the choices that the job makes."""
        settings = self.settings
        makers = [settings.find.cost] * self.is_discovered + [settings.carry.cost] * bool(self.propagated)
        return [*self.mask_costs, *makers, settings.flow.cost, settings.solver.costs(settings)]

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds of each row of the table, over all threads."""
        amounts = self.amounts()
        costs = {row: _total(units, amounts) for row, units in CPU_S.items()}
        for cost in self.costs:
            for row, units in cost.cpu_s.items():
                costs[row] = costs.get(row, 0.0) + _total(units, amounts)
        for row in self.settings.solver.costs(self.settings).cpu_s:
            costs[row] = min(costs[row], self.settings.budget_s or inf)
        return costs

    @property
    def rows(self) -> list[str]:
        """Rows of the cost table that the job passes, in order; the stage is the part before ``of``."""
        names = []
        if self.propagated:
            finds, regains = self.is_discovered, self.is_discovered and self.settings.find.is_by_motion
            names += [
                "masks",
                "camera",
                *["find"] * finds,
                *["carry"] * self.propagated,
                *["regain"] * regains,
                "mattes",
            ]
        layers = [*["an object"] * (self.layers - 1), "the background"]
        solving = self.settings.solver.stages(layers, self.settings)
        return [*names, "prepare", "cuts", *solving, "frames", "measure", "report"]

    def steps(self, cores: int) -> list[tuple[str, float]]:
        """Stages in order with the seconds of each on this number of cores, by Amdahl's law."""
        cores, costs = max(1, min(cores, _MOST_CORES)), self.cpu_seconds()
        shares = {row: ALONE.get(row, 0.5) for row in self.rows}
        seconds = {row: costs.get(row, 0.0) * (share + (1 - share) / cores) for row, share in shares.items()}
        return [(row.partition(" of ")[0], seconds[row]) for row in self.rows]

    def memory_bytes(self, at_once: int, cores: int = 1, texels: float | None = None) -> float:
        """Peak memory over the stages, bytes; arguments as of :meth:`amounts`."""
        # Up to three objects are discovered, and memory must do for all of them.
        most = replace(self, layers=self.layers + 2) if self.is_discovered else self
        amounts = most.amounts(at_once, min(cores, _MOST_CORES), texels)
        needed = {stage: _total(units, amounts) for stage, units in BYTES.items()}
        for cost in self.costs:
            for stage, units in cost.peak_bytes.items():
                needed[stage] = max(needed.get(stage, 0.0), _total(units, amounts))
        passed = {stage for stage, _ in self.steps(1)}
        return max(needed.get(stage, 0.0) for stage in passed) + self.loaded_bytes

    @property
    def loaded_bytes(self) -> float:
        """Memory that stays loaded through all stages, such as torch's."""
        return sum(cost.loaded_bytes for cost in self.costs)

    def check_atlases(self, at_once: int, cores: int, texels: float) -> None:
        """Refuse to continue if atlases of this size do not fit into memory, as after a long pan.

        Raises:
            MemoryLimitError: the peak exceeds the budget.
        """
        needed, budget = self.memory_bytes(at_once, cores, texels), self.settings.memory.bytes
        if needed > budget:
            raise MemoryLimitError(
                f"The atlases of all that the camera sees need about {_gigabytes(needed)} of memory,"
                f" and {_gigabytes(budget, floor)} may be used",
                hint="Allow more memory and resume, or use fewer frames.",
            )

    def plates_at_once(self, most: int) -> int:
        """Largest number of plates in work at a time that fits the memory budget; 1 if none fits, ``most`` if all."""
        budget = self.settings.memory.bytes
        return max((count for count in range(1, most + 1) if self.memory_bytes(count, most) <= budget), default=1)

    def forecast(self, cores: int) -> Forecast:
        """Forecast the job on this number of cores."""
        cores = max(1, min(cores, _MOST_CORES))
        memory_bytes = self.memory_bytes(self.plates_at_once(cores), cores)
        seconds = CPU_S["start"]["job"] + sum(seconds for _, seconds in self.steps(cores))
        is_known = all(cost.is_known for cost in self.costs)
        return Forecast(
            seconds if is_known else None,
            memory_bytes,
            self.disk_bytes,
            self.settings.memory.bytes,
            self._savings(memory_bytes),
        )

    def _savings(self, memory_bytes: float) -> tuple[str, ...]:
        """Changes to the job that lower its peak memory by a tenth or more, as phrases for a hint."""
        lines = min(self.plate.height, working_lines(self.settings)) // 2
        less = {
            "use fewer frames": replace(self, frames=max(1, self.frames // 2)),
            "a smaller window": replace(
                self, settings=replace(self.settings, window=min(self.settings.window, max(16, self.frames // 2)))
            ),
            "a smaller height": replace(self, settings=replace(self.settings, height=max(64, lines))),
            "the preset preview": replace(self, settings=replace(self.settings, preset="preview", height=None)),
        }
        return tuple(words for words, needs in less.items() if needs.memory_bytes(1) < 0.9 * memory_bytes)

    def _px(self, lines: int) -> int:
        """Pixels of a frame at a working height."""
        size = working_size(self.plate, lines)
        return size.width * size.height


def _total(costs: Mapping[str, float], amounts: Mapping[str, float]) -> float:
    return sum(cost * amounts[unit] for unit, cost in costs.items())


def spoken(seconds: float) -> str:
    """Write a duration as people do, rounded to a forecast's precision."""
    if seconds < 55:
        return f"about {max(10, round(seconds, -1)):.0f} s"
    minutes = seconds / 60
    if minutes < 10:
        return f"about {minutes:.0f} min"
    return f"about {5 * round(minutes / 5)} min" if minutes < 90 else f"about {minutes / 60:.0f} h"


def _gigabytes(size: float, rounded: Callable[[float], int] = ceil) -> str:
    tenths = max(1, rounded(size / 1e8))
    return f"{tenths / 10:.1f} GB" if tenths < 100 else f"{round(tenths / 10)} GB"
