"""The hash grid in plain torch, on any device: the same function as tiny-cuda-nn's ``HashGrid``."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nvd_core.hashing_nvd.encodings.spec import INITIAL, PRIMES, GridSpec


@final
class TorchGrid(nn.Module):
    """Multi-resolution hash encoding of points in [-1, 1].

    A point lies at ``scale * (point / 2 + 0.5) + 0.5`` on a level's grid and gets the linear interpolation of
    the entries at the corners of its cell. Source: Müller et al., 2022, section 3; constants and layout are
    those of tiny-cuda-nn's ``grid.h``.

    Attributes:
        dense: number of levels, counted from the first, that have an entry for every grid point.
        scales: cells across the unit cube, of each level.
        sizes: entries of each level.
        starts: offset of each level's first entry in the table.
        strides: strides of a dense level's index along each axis, or the factors of a hashed level's hash.
        table: entries of all levels, one row per feature: look-ups and their gradients are far faster than with
            one row per entry.
    """

    scales: Float[Tensor, "level 1"]
    sizes: Int[Tensor, "level 1"]
    starts: Int[Tensor, "level 1"]
    strides: Int[Tensor, "level axis"]

    def __init__(self, axes: int, spec: GridSpec, generator: torch.Generator) -> None:
        super().__init__()
        levels = spec.level_list(axes)
        self.dense = sum(level.is_dense for level in levels)
        strides = [
            [level.side**axis for axis in range(axes)] if level.is_dense else list(PRIMES[:axes]) for level in levels
        ]
        *starts, count = spec.starts(axes)
        for name, values in {
            "scales": torch.tensor([level.scale for level in levels])[:, None],
            "sizes": torch.tensor([level.size for level in levels]).int()[:, None],
            "starts": torch.tensor(starts).int()[:, None],
            "strides": torch.tensor(strides).int(),  # wraps as unsigned 32-bit factors do
        }.items():
            self.register_buffer(name, values, persistent=False)
        table = torch.empty(spec.features, count).uniform_(-INITIAL, INITIAL, generator=generator)
        self.table = nn.Parameter(table)

    def forward(self, points: Float[Tensor, "batch axis"]) -> Float[Tensor, "batch feature"]:
        """Encode points: features of all levels, coarse to fine; those of a level lie side by side."""
        position = (points[:, None] / 2 + 0.5) * self.scales + 0.5
        cell = position.detach().floor()
        first = cell.int() * self.strides
        ends = torch.stack([first, first + self.strides], -1)
        shares = torch.stack([1 + cell - position, position - cell], -1)
        entry, weight = ends[:, :, 0], shares[:, :, 0]
        for axis in range(1, points.shape[1]):
            ours, theirs = entry[..., None], ends[:, :, axis, None]
            summed = ours[:, : self.dense] + theirs[:, : self.dense]
            hashed = ours[:, self.dense :] ^ theirs[:, self.dense :]
            entry = torch.cat([summed, hashed], 1).flatten(2)
            weight = (weight[..., None] * shares[:, :, axis, None]).flatten(2)
        # A hashed level's size is a power of two: there, the remainder is the same for signed and unsigned numbers.
        entries = (entry % self.sizes + self.starts).flatten()
        looked_up = [row.index_select(0, entries).view(weight.shape) for row in self.table]
        return torch.stack([(weight * values).sum(2) for values in looked_up], -1).flatten(1)
