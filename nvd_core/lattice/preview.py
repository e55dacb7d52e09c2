"""A small picture of an atlas, for whoever watches."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2

from nvd_core.clip.colour import display_from_linear, to_uint8
from nvd_core.clip.pictures import write_png
from nvd_core.lattice.atlas import Atlas
from nvd_core.protocol import Preview

_SIDE_PX: Final = 256
"""Longer side: what an icon in Blender has at most."""


def write_preview(atlas: Atlas, layer: str, folder: Path) -> Preview:
    """Write an atlas, small and as it looks on a screen."""
    height, width = atlas.shape[:2]
    scale = min(1.0, _SIDE_PX / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(atlas[..., :3], size, interpolation=cv2.INTER_AREA)
    path = folder / f"preview-{layer}.png"
    write_png(path, to_uint8(display_from_linear(small)))
    return Preview(path=str(path), layer=layer)
