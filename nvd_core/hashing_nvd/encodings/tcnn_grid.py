"""The hash grid by tiny-cuda-nn, on an NVIDIA GPU; its twin is :mod:`nvd_core.hashing_nvd.encodings.torch_grid`."""

from __future__ import annotations

from importlib import import_module
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nvd_core.hashing_nvd.encodings.spec import INITIAL, GridSpec


@final
class TcnnGrid(nn.Module):
    """Multi-resolution hash encoding of points in [-1, 1], in single precision like :class:`TorchGrid`."""

    def __init__(self, axes: int, spec: GridSpec, generator: torch.Generator) -> None:
        super().__init__()
        config = {
            "otype": "HashGrid",
            "n_levels": spec.levels,
            "n_features_per_level": spec.features,
            "log2_hashmap_size": spec.table.bit_length() - 1,
            "base_resolution": spec.coarsest,
            "per_level_scale": spec.growth,
            "interpolation": "Linear",
        }
        # By name: it is built by hand for one GPU and one torch, and no package registry has it.
        self.native = import_module("tinycudann").Encoding(axes, config, dtype=torch.float32)
        table = torch.empty(spec.features, spec.starts(axes)[-1]).uniform_(-INITIAL, INITIAL, generator=generator)
        self.set_table(table)

    def set_table(self, table: Float[Tensor, "feature entry"]) -> None:
        """Copy the entries of a :class:`TorchGrid`; tiny-cuda-nn stores the features of an entry side by side."""
        with torch.no_grad():
            self.native.params.copy_(table.T.flatten())

    def forward(self, points: Float[Tensor, "batch axis"]) -> Float[Tensor, "batch feature"]:
        """Encode points: features of all levels, coarse to fine; those of a level lie side by side."""
        return self.native(points / 2 + 0.5)
