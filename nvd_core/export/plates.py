"""Copy plates that Blender shows differently from other programs: EXRs whose data window is not their display window.

The display window is decomposed. Blender takes the data window for the whole picture and puts it in the middle, or
elsewhere, depending on its version; so the result's node tree reads copies, cropped or padded to the display window.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from nvd_core.clip import ClipInfo
from nvd_core.clip.pictures import Picture, has_own_window, read_picture
from nvd_core.clip.sequence import is_sequence
from nvd_core.image.exr import to_half, write_exr
from nvd_core.runtime.parallel import map_ordered
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.shot import files_of
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import copy_path
from nvd_core.spec.protocol import Caution
from nvd_core.spec.settings import MaskSource


def need_copies(info: ClipInfo, numbers: range) -> bool:
    """Whether Blender shows one of these frames differently from how it is decoded."""
    return is_sequence(info.path) and any(map(_has_own_window, files_of(info, numbers)))


def _has_own_window(path: Path) -> bool:
    with suppress(InputError):  # raised again when the frame is read
        return has_own_window(path)
    return False


def copying(info: ClipInfo, numbers: range, masks: Sequence[MaskSource]) -> list[Caution]:
    """Caution that frames have to be copied; none if they do not.

    Raises:
        InputError: a mask was drawn over the data window, which lies elsewhere in the frame.
    """
    if not need_copies(info, numbers):
        return []
    shown = "Blender shows the data window of the EXRs, which is not their display window"
    for mask in masks:
        if mask.drawn:
            hint = f"Give the object {mask.name} a mask of files, or export the clip without overscan and cropping."
            raise InputError(f"{shown}, and {mask.name} was drawn over it", where=info.path, hint=hint)
    hint = "The result's scene shows copies of it."
    return [Caution(message=f"{shown}: the display window is decomposed, as Nuke shows it", hint=hint)]


def write_copies(info: ClipInfo, numbers: range, folder: Path, at_once: int, progress: Progress = SILENT) -> None:
    """Write the copies that do not exist yet."""

    def write(item: tuple[Path, Picture]) -> None:
        path, picture = item
        halves = to_half(picture)
        stored = halves if np.array_equal(halves, picture) else picture
        names = "RGBA" if picture.shape[2] > 1 else "Y"
        write_exr(path, {name: stored[..., index] for index, name in enumerate(names[: picture.shape[2]])})

    def read(number: int) -> Picture:
        with info.unchanged.reading(file := info.file(number)):
            return read_picture(file)

    paths = {number: copy_path(folder, info.name, number) for number in numbers}
    missing = [number for number in numbers if not paths[number].is_file()]
    copies = ((paths[number], read(number)) for number in missing)
    for _ in progress.track(map_ordered(write, copies, at_once), len(missing)):
        pass
