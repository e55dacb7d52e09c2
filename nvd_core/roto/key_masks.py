"""Key-frame masks: read from pictures or segmented from marks, and checked before a job begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from nvd_core.clip import Clip, Plate
from nvd_core.clip.pictures import read_mask
from nvd_core.image.colour import to_display, to_uint8
from nvd_core.image.geometry import size_of
from nvd_core.image.sample import resized
from nvd_core.masks.files import Matte, coverage, faint, fitted, scaling
from nvd_core.roto.window import Cutout
from nvd_core.runtime.picture_store import Pictures
from nvd_core.spec.choices.mask_origins import Marks
from nvd_core.spec.conventions import Size, working_size
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Caution
from nvd_core.spec.settings import MaskSource

_LINES: Final = 480
"""Most lines of the working size."""


def size_for_masks(plate: Size) -> Size:
    """Working size at which masks of plates of this size are made."""
    return working_size(plate, _LINES)


def is_little(masks: Sequence[MaskSource]) -> bool:
    """Whether any object has masks of single frames alone.

    Raises:
        InputError: an object has both, masks for all frames and for single ones.
    """
    whole, single = ({one.name for one in masks if (one.frame is None) == which} for which in (True, False))
    if both := whole & single:
        raise InputError(
            f"{min(both)} has masks for all frames and for single ones",
            hint="Give one kind; of a folder of masks, correct the pictures themselves.",
        )
    return bool(single)


def check_keys(masks: Iterable[MaskSource], clip: Clip, numbers: range) -> list[Caution]:
    """Check the masks of key frames before the job begins.

    Args:
        masks: of the job; those for all frames are skipped.
        clip: the plates.
        numbers: plate numbers of the frames used.

    Returns:
        Cautions about masks that are scaled, or faint.

    Raises:
        InputError: a mask is of an unused frame, cannot be read, is black, or has another aspect ratio than the clip.
        UsageError: marks mark nothing.
    """
    size, cautions = clip.info.size, list[Caution | None]()
    for mask in masks:
        if mask.frame is None:
            continue
        if mask.frame not in numbers:
            raise InputError(
                f"The mask of {mask.name} is of frame {mask.frame}, which is not used",
                hint=f"Frames {numbers[0]}-{numbers[-1]} are.",
            )
        if isinstance(mask.path, Marks):
            (plate,) = clip.frames([mask.frame])
            mask.path.segment(shrunk(plate, size), size)
            continue
        cautions.append(scaling(path := picture_of(mask), size))
        matte = _matte(path, size)
        if _cutout(matte).bounds is None:
            hint = "White marks the object."
            raise InputError(f"The mask of {mask.name} is black (less than half white)", where=path, hint=hint)
        cautions.append(faint(f"The mask of {mask.name} in frame {mask.frame}", float(matte.max())))
    return [caution for caution in cautions if caution]


def key_masks(masks: Mapping[int, MaskSource], numbers: range, size: Size, frames: Pictures) -> dict[int, Cutout]:
    """Read an object's key-frame masks, or segment them from marks.

    Args:
        masks: by plate number.
        numbers: plate numbers of the frames used.
        size: of the plates.
        frames: at working size, display-encoded RGB.

    Returns:
        Masks at working size, by frame index.
    """
    cutouts = {}
    for number, mask in masks.items():
        t = numbers.index(number)
        if isinstance(mask.path, Marks):
            cutouts[t] = Cutout.of(mask.path.segment(frames[t], size))
        else:
            cutouts[t] = key_mask(picture_of(mask), size)
    return cutouts


def key_mask(path: Path, size: Size) -> Cutout:
    """Read a mask picture of plates of this size, at working size and binarised."""
    return _cutout(_matte(path, size))


def picture_of(mask: MaskSource) -> Path:
    """Path of a key frame's mask picture, which must be there."""
    path = Path(str(mask.path))
    if not path.is_file():
        raise InputError("There is no such mask", where=path, hint="Of a single frame, give one picture.")
    return path


def shrunk(plate: Plate, size: Size) -> UInt8[np.ndarray, "rows columns 3"]:
    """Shrink a plate of this size to working size, display-encoded RGB."""
    return to_uint8(resized(to_display(plate), size_for_masks(size)))


def _matte(path: Path, size: Size) -> Matte:
    """Read a mask picture at the plate's size."""
    return fitted(coverage(read_mask(path)), size, path)


def _cutout(matte: Matte) -> Cutout:
    """Shrink a matte at the plate's size to working size and binarise it at 0.5."""
    return Cutout.of((resized(matte, size_for_masks(size_of(matte))) > 0.5).astype(np.float32))
