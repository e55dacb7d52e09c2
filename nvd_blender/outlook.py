"""What a decomposition of what is selected will take, where it will go, and whether there is room for it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Final

import bpy

from nvd_core.errors import InputError, NvdError
from nvd_core.folder import check_space, free_bytes
from nvd_core.forecast import Forecast, Needs
from nvd_core.settings import MaskSource, Settings

from .footage import Selected
from .objects import is_carried
from .properties import chosen_settings

_FRESH_S: Final = 5.0

_free: dict[Path, int] = {}
"""Bytes that were free when a folder's disk was looked at last."""

_looked: dict[Path, float] = {}
"""When that was; infinite while somebody looks."""


def folder_of(chosen: Selected) -> Path:
    """Where its result goes.

    Raises:
        InputError: that depends on a .blend that was never saved.
    """
    named = chosen.scene.nvd.folder
    folder = Path(bpy.path.abspath(named)) if named else chosen.footage.result_folder
    if not folder.is_absolute():
        raise InputError("The output is relative to a file that was never saved", where=named, hint="Save it first.")
    return folder


def expected(chosen: Selected) -> Forecast | None:
    """What it will take; None where the clip's size is not known.

    Raises:
        UsageError: a setting is out of its bounds.
    """
    if not all(chosen.size):
        return None
    frames, settings = chosen.footage.last - chosen.footage.first + 1, Settings(**chosen_settings(chosen.scene))
    masks = [  # of which only the names count, and that there is a frame
        MaskSource(name=item.name, path=item.source, frame=chosen.footage.first if is_carried(item) else None)
        for item in chosen.scene.nvd.masks
    ]
    return Needs.of(chosen.size, frames, masks, settings).forecast(os.cpu_count() or 1)


def refuse_without_room(chosen: Selected) -> None:
    """Nothing is begun that disk or memory cannot hold.

    Raises:
        InputError: the disk cannot.
        MemoryLimitError: the memory that may be used cannot.
        UsageError: a setting is out of its bounds.
    """
    if takes := expected(chosen):
        check_space(folder_of(chosen), takes.disk_bytes)
        takes.check_memory()


def shortage(folder: Path, takes: Forecast) -> str:
    """What to say where there is too little room on the disk or in memory.

    Of the disk that is said by what is known of it: one that sleeps keeps nobody waiting.
    """
    if time.monotonic() - _looked.get(folder, -_FRESH_S) >= _FRESH_S:
        _looked[folder] = float("inf")
        threading.Thread(target=_look, args=(folder,), daemon=True).start()
    try:
        check_space(folder, takes.disk_bytes, free=_free.get(folder, float("inf")))
        takes.check_memory()
    except NvdError as error:
        return str(error)
    return ""


def _look(folder: Path) -> None:
    try:
        _free[folder] = free_bytes(folder)
    except (OSError, InputError):
        _free.pop(folder, None)  # whoever writes there will say it
    finally:
        _looked[folder] = time.monotonic()
