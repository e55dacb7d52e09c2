"""Load a model's weights from a file: tensors only, no code in the file is run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nvd_core.spec.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def check_file(path: Path) -> None:
    """Refuse a path that no weights can come from, before torch is asked for.

    Raises:
        InputError: there is nothing, or no file.
    """
    if not path.exists():
        raise InputError("There is no such file of weights", where=path, hint="Nothing is downloaded: name your own.")
    if not path.is_file():  # a device or a pipe, which may never end
        raise InputError("The weights are no file", where=path, hint="Name a file.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read tensors by name, from safetensors or from a state dictionary as torchvision publishes them.

    Raises:
        InputError: the file is missing or damaged, or holds no weights.
    """
    import torch  # noqa: PLC0415 (whoever checks a path need not have it)
    from safetensors.torch import load_file  # noqa: PLC0415

    check_file(path)
    try:
        is_safe = path.suffix == ".safetensors"
        weights = load_file(path) if is_safe else torch.load(path, map_location="cpu", weights_only=True)
        tensors = {str(name): value for name, value in weights.items() if isinstance(value, torch.Tensor)}
    except MemoryError:
        raise
    except Exception as error:  # torch raises all kinds on other files
        raise InputError(
            "The file of weights is damaged, or holds something else", where=path, hint="Save the weights again."
        ) from error
    check_weights(tensors, path)
    return tensors


def check_weights(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that are not finite.

    Raises:
        InputError: a value is not finite.
    """
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise InputError(f"The weights {name} hold values that are not numbers", where=path, hint="Name others.")
