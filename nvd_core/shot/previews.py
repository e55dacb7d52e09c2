"""Write small pictures of unfinished work, and tell of them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from nvd_core.clip.pictures import write_png
from nvd_core.runtime.progress import Tell
from nvd_core.shot import Shot
from nvd_core.spec.errors import InputError
from nvd_core.spec.protocol import Preview

_SIDE_PX: Final = 256
"""Longer side of a preview, px: the largest icon that Blender shows."""

_BEHIND: Final = 0.3
"""Factor that darkens the background in the preview of masks."""


def preview_masks(shot: Shot, folder: Path, tell: Tell) -> None:
    """Preview the first frame with a darkened background, so that wrong masks are noticed before solving."""
    background = shot.alphas[-1][0][..., None] / 255 if len(shot.alphas) > 1 else 0
    write_preview((shot.frames[0] * (1 - (1 - _BEHIND) * background)).astype(np.uint8), "", folder, tell)


def write_preview(picture: UInt8[np.ndarray, "height width 3"], layer: str, folder: Path, tell: Tell) -> None:
    """Write a picture at preview size, and tell of it.

    A preview that cannot be written, because a viewer holds the file or the disk is full, is skipped: it must not end
    the job.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, _SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    path = folder / f"preview{layer and f'-{layer}'}.png"
    try:
        write_png(path, cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    except (InputError, OSError):
        return
    tell(Preview(path=str(path), layer=layer))
