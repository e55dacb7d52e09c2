"""Learned models that find or carry masks, for those who have one: opt-in, from a local path, never downloaded.

A model is a module and a line in one of the tables. What a model says is rough, like what motion says: from there on
outlines, pictures and corrections are the same. Nothing here loads torch before a model is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from nvd_core.errors import InputError, SetupError, UsageError
from nvd_core.masks.carry import Follow
from nvd_core.masks.instances import Recognise
from nvd_core.settings import Device, weights_in

Made = TypeVar("Made")
Open = Callable[[Path, Device], Made]


def _sam2(path: Path, device: Device) -> Follow:
    from nvd_core.masks.models.sam2 import Sam2  # noqa: PLC0415 (the chosen model alone is loaded)

    return Sam2.open(path, device).follow


def _mask2former(path: Path, device: Device) -> Recognise:
    from nvd_core.masks.models.mask2former import Mask2Former  # noqa: PLC0415

    return Mask2Former.open(path, device).instances


def _mask_rcnn(path: Path, device: Device) -> Recognise:
    from nvd_core.masks.models.maskrcnn import MaskRcnn  # noqa: PLC0415

    return MaskRcnn.open(path, device).instances


CARRIERS: Final[dict[str, Open[Follow]]] = {"sam2": _sam2}
FINDERS: Final[dict[str, Open[Recognise]]] = {"mask2former": _mask2former, "maskrcnn": _mask_rcnn}

_PACKAGES: Final = ("torch", "transformers", "torchvision")


def check_model(name: str, setting: str, table: Mapping[str, Open[Made]]) -> None:
    """Refuse what names no model.

    Args:
        name: of the setting.
        setting: what it says; none of its plain words.
        table: the models that it could name.

    Raises:
        UsageError: it is not ``MODEL:PATH`` with a model that there is.
    """
    named = weights_in(setting)
    if named is None or named.model not in table or not named.path:
        known = " or ".join(f"{model}:PATH" for model in table)
        raise UsageError(f"{name}: {setting!r} is nothing that there is", hint=f"Of learned models there is {known}.")


def open_model(setting: str, table: Mapping[str, Open[Made]], device: Device) -> Made | None:
    """The model that a checked setting names; None if it names none.

    Raises:
        SetupError: a package is missing, or there is no such device.
        InputError: there is no such model, or it cannot be used.
    """
    named = weights_in(setting)
    if named is None:
        return None
    try:
        return table[named.model](Path(named.path), device)
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _PACKAGES:
            raise
        raise SetupError(
            f"The model {named.model} needs {package}, which cannot be imported",
            hint=f"pip install '{'torchvision' if package == 'torchvision' else 'nvd-blender[models]'}'",
        ) from error


def files_of_model(setting: str) -> list[Path]:
    """The files of the model that a setting names, in order; none if it names none.

    Raises:
        InputError: there is nothing at its path.
    """
    named = weights_in(setting)
    if named is None:
        return []
    path = Path(named.path)
    if not path.exists():
        raise InputError(f"There is no model {named.model}", where=path, hint="Nothing is downloaded: name your own.")
    return sorted(path.glob("*.json")) + sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
