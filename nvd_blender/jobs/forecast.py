"""Forecast a decomposition of the selected footage: time, memory, disk space, and its output folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NamedTuple

import bpy

from nvd_core.spec.choices.mask_origins import MaskOrigin, MaskPath
from nvd_core.spec.disk_space import check_space, free_bytes
from nvd_core.spec.errors import InputError
from nvd_core.spec.forecast import Forecast, Needs
from nvd_core.spec.settings import MaskSource, Settings
from nvd_core.spec.versions import belongs, holds_result, next_version, versions

from ..host import disk
from ..source.footage import Selected, selected
from ..source.key_frames import is_carried
from ..source.objects import row_of
from ..source.properties import chosen_settings
from . import queue

Existing = Literal["AUTO", "NEW", "REPLACE"]
"""Treatment of an existing result: AUTO and NEW keep it, REPLACE overwrites the strip's own."""


class Output(NamedTuple):
    """Output of a job.

    Attributes:
        folder: free folder for the result.
        own: the strip's newest result of these frames and objects; None if it has none.
    """

    folder: Path
    own: Path | None


def named_folder(chosen: Selected) -> Path:
    """Folder in the panel's field, or the default one beside the footage.

    Raises:
        InputError: the path is relative to a .blend that was never saved.
    """
    named = chosen.asked.folder
    folder = Path(bpy.path.abspath(named)) if named else chosen.footage.result_folder
    if not folder.is_absolute():
        raise InputError("The output is relative to a file that was never saved", where=named, hint="Save it first.")
    return folder


def output_of(chosen: Selected) -> Output:
    """Output of the selected footage: a new version if the folder holds a result or belongs to another job.

    Raises:
        InputError: see :func:`named_folder`.
    """
    return _output(*_asked_of(chosen))


def expected_output(chosen: Selected) -> Output:
    """Output by the cached answer of the disk, for panels.

    Raises:
        InputError: see :func:`named_folder`.
    """
    folder, *asked = _asked_of(chosen)
    return disk.known(Output(folder, None), _output, folder, *asked)


def _asked_of(chosen: Selected) -> tuple[Path, Path, int, int, tuple[str, ...], tuple[Path, ...]]:
    used = chosen.footage
    layers = tuple(item.name for item in chosen.asked.masks)
    return named_folder(chosen), used.clip, used.first, used.last, layers, tuple(queue.folders_of_others(used.job))


def _output(
    folder: Path, clip: Path, first: int, last: int, layers: tuple[str, ...], taken: tuple[Path, ...]
) -> Output:
    mine = (one for one in versions(folder) if holds_result(one) and belongs(one, clip, first, last, layers))
    is_free = folder.absolute() not in taken and not holds_result(folder)
    return Output(folder if is_free else next_version(folder, taken), next(mine, None))


def heading(context: bpy.types.Context) -> str:
    """Summary of the selected footage and its output: ``car, 40 frames → car_nvd``.

    Raises:
        InputError: nothing is selected, or it cannot be used.
    """
    chosen = selected(context)
    frames = "1 frame" if chosen.length == 1 else f"{chosen.length} frames"
    return f"{chosen.name}, {frames} \u2192 {expected_output(chosen).folder.name}"


def expected(chosen: Selected) -> Forecast | None:
    """Forecast time, memory and disk space; None if Blender does not know the clip's size.

    Raises:
        UsageError: a setting is out of its range.
    """
    if not all(chosen.size):
        return None
    frames, settings = chosen.length, Settings.of(**chosen_settings(chosen.scene))
    masks = [  # the forecast uses their names, whether they have key frames, and their rows' costs
        MaskSource(
            name=item.name,
            path=MaskOrigin.parse(row.name) if (row := row_of(item)) else MaskPath(""),
            frame=chosen.footage.first if is_carried(item) else None,
        )
        for item in chosen.asked.masks
    ]
    return Needs.of(chosen.size, frames, masks, settings).forecast(os.cpu_count() or 1)


def refuse_without_room(chosen: Selected) -> None:
    """Refuse a job that disk or memory cannot hold.

    Raises:
        InputError: the disk has too little free space.
        MemoryLimitError: the job needs more memory than allowed.
        UsageError: a setting is out of its range.
    """
    if takes := expected(chosen):
        check_space(named_folder(chosen), takes.disk_bytes)
        takes.check_memory()


def check_disk(folder: Path, takes: Forecast) -> None:
    """Refuse a job that the disk cannot hold, by the cached free space, for panels.

    Raises:
        InputError: the disk has too little free space.
    """
    check_space(folder, takes.disk_bytes, free=disk.known(float("inf"), free_bytes, folder))
