"""Hash grid encodings and their two implementations. One is chosen per job, and recorded with its result."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Final, Literal

import torch
from torch import nn

from nvd_core.hashing_nvd.encodings.spec import GridSpec
from nvd_core.hashing_nvd.encodings.tcnn_grid import TcnnGrid
from nvd_core.hashing_nvd.encodings.torch_grid import TorchGrid
from nvd_core.spec.errors import SetupError

Backend = Literal["torch", "tinycudann"]
Grid = Callable[[int, GridSpec, torch.Generator], nn.Module]

GRIDS: Final[dict[Backend, Grid]] = {"torch": TorchGrid, "tinycudann": TcnnGrid}
"""Constructors of a grid, from its number of axes, its specification and the generator of its initial values."""


def choose_backend(device: torch.device) -> Backend:
    """Choose tiny-cuda-nn where it is installed and training runs on a GPU, else plain torch."""
    return "tinycudann" if device.type == "cuda" and find_spec("tinycudann") else "torch"


def available(backend: str) -> Backend:
    """The same implementation, as the parameters of one do not fit another.

    Raises:
        SetupError: this machine lacks it.
    """
    if backend == "tinycudann" and find_spec("tinycudann"):
        return "tinycudann"
    if backend == "torch":
        return "torch"
    raise SetupError(f"The networks were trained with {backend[:40]}, which is not installed here")
