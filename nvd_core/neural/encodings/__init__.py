"""Encodings of points: who computes the hash grid is chosen here, once a job, and recorded with its result."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final, Literal

import torch
from torch import nn

from nvd_core.neural.encodings.spec import GridSpec
from nvd_core.neural.encodings.tcnn_grid import TcnnGrid
from nvd_core.neural.encodings.torch_grid import TorchGrid

Backend = Literal["torch", "tinycudann"]
Grid = Callable[[int, GridSpec, torch.Generator], nn.Module]

GRIDS: Final[dict[Backend, Grid]] = {"torch": TorchGrid, "tinycudann": TcnnGrid}
"""Axes, specification and the source of its first values make a grid."""


def choose_backend(device: torch.device) -> Backend:
    """tiny-cuda-nn where it is installed and there is a GPU for it."""
    return "tinycudann" if device.type == "cuda" and find_spec("tinycudann") else "torch"
