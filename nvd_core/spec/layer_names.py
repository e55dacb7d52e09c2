"""Check and suggest names of layers: valid in every compositing program and on every file system."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from nvd_core.spec.conventions import BACKGROUND
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import LAYER_NAME

_LONGEST: Final = 41
_DEVICE: Final = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
"""Names of devices, which no file on Windows can have, whatever its suffix."""

_NOT_APART: Final = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "oe", "Ø": "Oe"})
_DIAERESIS: Final = "\u0308"


def spelled(name: str) -> str:
    """Convert a name to a valid one: ``grünes Auto`` to ``gruenes_Auto``; empty if no valid character is left."""
    plain = unicodedata.normalize("NFKD", name.translate(_NOT_APART)).replace(_DIAERESIS, "e")
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", plain.encode("ascii", "ignore").decode()).strip("_-")
    if plain and not plain[0].isalpha():
        plain = f"object_{plain}"
    return f"object_{plain}" if _DEVICE.fullmatch(plain) else plain[:_LONGEST]


def check_names(names: Sequence[str]) -> None:
    """Refuse invalid and repeated names of layers.

    Raises:
        InputError: a name is invalid, or occurs twice.
    """
    for index in range(len(names)):
        check_name(names, index)


def check_name(names: Sequence[str], index: int) -> None:
    """Refuse one of several names if it is invalid or repeated.

    Raises:
        InputError: the name is invalid, or occurs twice.
    """
    name = names[index]
    if not LAYER_NAME.fullmatch(name):
        better = spelled(name)
        raise InputError(
            f"{name!r} cannot be the name of a layer",
            hint=(f"Write it as {better}. " if better else "") + "Use letters, digits, _ and -; a letter first.",
        )
    if _DEVICE.fullmatch(name):
        raise InputError(
            f"{name!r} cannot be the name of a layer: Windows has a device of that name",
            hint=f"Write it as {spelled(name)}.",
        )
    if name.casefold() == BACKGROUND:
        raise InputError(f"{name!r} is what the rest of the clip is called", hint="Give the object another name.")
    if [one.casefold() for one in names].count(name.casefold()) > 1:  # most file systems ignore case
        raise InputError(f"There is more than one layer {name!r}", hint="Give every object a name of its own.")
