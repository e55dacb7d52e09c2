"""What networks run on: the GPU or the processor."""

from __future__ import annotations

import torch

from nvd_core.errors import SetupError
from nvd_core.settings import Device


def choose_device(asked: Device) -> torch.device:
    """The GPU where there is one, unless another is asked for.

    Raises:
        SetupError: the GPU is asked for and there is none.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise SetupError("There is no NVIDIA GPU that torch can use", hint="Use --device cpu.")
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def versions(device: torch.device) -> dict[str, str]:
    """What it was, for the manifest."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"torch": torch.__version__, "device": name}
