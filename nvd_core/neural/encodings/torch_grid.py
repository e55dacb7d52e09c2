"""The hash grid in plain torch, on any device: the same function as tiny-cuda-nn's ``HashGrid``."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nvd_core.neural.encodings.spec import INITIAL, PRIMES, GridSpec


@final
class TorchGrid(nn.Module):
    """Multi-resolution hash encoding of points in [-1, 1].

    A point lies at ``scale * (point / 2 + 0.5) + 0.5`` on a level's grid and gets the linear interpolation of
    the entries at the corners of its cell. Source: Müller et al., 2022, section 3; constants and layout are
    those of tiny-cuda-nn's ``grid.h``.

    Attributes:
        dense: how many levels, the first ones, have an entry for every grid point.
        scales: cells across the unit cube, of each level.
        sizes: entries of each level.
        starts: the first entry of each level.
        strides: what a step along each axis of a level adds to an entry's index, or the factors of its hash.
        table: entries of all levels, one row a feature: look-ups and their gradients are far faster so than
            with one row an entry.
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
        """Features of all levels, coarse to fine; the features of a level lie side by side."""
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
        # Hashed levels have a power of two entries, of which the signed remainder is the unsigned one.
        entries = (entry % self.sizes + self.starts).flatten()
        looked_up = [row.index_select(0, entries).view(weight.shape) for row in self.table]
        return torch.stack([(weight * values).sum(2) for values in looked_up], -1).flatten(1)
