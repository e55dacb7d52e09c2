"""Specification of a multi-resolution hash grid, shared by both implementations."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple, final

PRIMES = (1, 2_654_435_761, 805_459_861)
"""Factors of the spatial hash, one per axis (Müller et al., Instant Neural Graphics Primitives, 2022, eq. 4)."""

INITIAL = 1e-4
"""Entries are initialised uniformly between minus and plus this."""


class Level(NamedTuple):
    """One resolution of a grid.

    Attributes:
        scale: cells across the unit cube.
        side: grid points along an axis.
        size: entries in its table.
        is_dense: whether every grid point has an entry of its own; else grid points share entries by hashing.
    """

    scale: float
    side: int
    size: int
    is_dense: bool


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class GridSpec:
    """Sizes of a multi-resolution hash grid; the defaults are those of Hashing-NVD's code.

    Attributes:
        levels: number of resolutions.
        features: numbers in an entry.
        coarsest: grid points along an axis at the first level.
        growth: factor of that number from level to level.
        table: largest number of entries of a level.
    """

    levels: int = 16
    features: int = 2
    coarsest: int = 16
    growth: float = 1.25
    table: int = 2**15

    @property
    def outputs(self) -> int:
        """Length of the feature vector of a point."""
        return self.levels * self.features

    def level_list(self, axes: int) -> list[Level]:
        """The levels of a grid over this many axes, coarse to fine, as tiny-cuda-nn lays them out."""
        return [self._level(number, axes) for number in range(self.levels)]

    def starts(self, axes: int) -> list[int]:
        """Offset of each level in the concatenated tables, and last the total number of entries."""
        return [0, *itertools.accumulate(level.size for level in self.level_list(axes))]

    def _level(self, number: int, axes: int) -> Level:
        scale = self.coarsest * self.growth**number - 1
        side = math.ceil(scale) + 1
        size = min(math.ceil(side**axes / 8) * 8, self.table)
        return Level(scale, side, size, is_dense=side**axes <= size)
