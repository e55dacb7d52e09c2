"""A learned model's weights from a file: tensors alone, nothing in it is run."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from nvd_core.errors import InputError


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name, from safetensors or from the state dictionaries that torchvision publishes.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    if not path.is_file():
        raise InputError("There is no such file of weights", where=path, hint="Nothing is downloaded: name your own.")
    try:
        is_safe = path.suffix == ".safetensors"
        weights = load_file(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
        return {str(name): value for name, value in weights.items() if isinstance(value, Tensor)}
    except MemoryError:
        raise
    except Exception as error:  # whatever torch makes of another file
        raise InputError(
            "The file of weights is damaged, or holds something else", where=path, hint="Save the weights again."
        ) from error
