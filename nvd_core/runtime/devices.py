"""Choose the device that networks run on: GPU or CPU."""

from __future__ import annotations

import torch

from nvd_core.spec.errors import SetupError
from nvd_core.spec.settings import Device


def choose_device(asked: Device) -> torch.device:
    """Choose the GPU if there is one, unless the settings name a device.

    Raises:
        SetupError: the settings name the GPU, and torch finds none.
    """
    if asked == "cuda" and not torch.cuda.is_available():
        raise SetupError("There is no NVIDIA GPU that torch can use", hint="Use --device cpu.")
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def versions(device: torch.device) -> dict[str, str]:
    """Version of torch and name of the device, for the manifest."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"torch": torch.__version__, "device": name}
