"""Small pictures of what there is so far, for whoever watches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from nvd_core.clip.pictures import write_png
from nvd_core.errors import InputError
from nvd_core.protocol import Preview
from nvd_core.shot import Shot

_SIDE_PX: Final = 256
"""Longer side: what an icon in Blender has at most."""


_BEHIND: Final = 0.3
"""How bright the background is where objects stand out from it."""


def preview_of_masks(shot: Shot, folder: Path) -> Iterator[Preview]:
    """The first frame with its objects standing out: whether the masks fit is seen before anything is solved."""
    background = shot.alphas[-1][0][..., None] / 255 if len(shot.alphas) > 1 else 0
    yield from write_preview((shot.frames[0] * (1 - (1 - _BEHIND) * background)).astype(np.uint8), "", folder)


def write_preview(picture: UInt8[np.ndarray, "height width 3"], layer: str, folder: Path) -> Iterator[Preview]:
    """Write a picture, made small, and tell of it.

    One that cannot be written, because a viewer holds the last one or the disk is full, is left out: nobody's work
    shall end for a picture to look at.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, _SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    path = folder / f"preview{layer and f'-{layer}'}.png"
    try:
        write_png(path, cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    except (InputError, OSError):
        return
    yield Preview(path=str(path), layer=layer)
