"""The part of a layer's uv plane that its atlas shows, and the atlas itself: the texture field, sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32
from scipy.ndimage import distance_transform_edt

from nvd_core.clip.colour import linear_from_display
from nvd_core.conventions import Size, u_from_x, v_from_y
from nvd_core.neural.fields import Networks
from nvd_core.neural.train import CHUNK

SIDE_LIMIT: Final = 8192
"""Longest side of an atlas, in texels: larger ones are a burden to paint on."""

_MARGIN_PX: Final = 3
"""Room around what the frames show, in their pixels."""

_STRAY_PERCENT: Final = 0.5
"""So many of the points may lie outside on each side, so that a few stray ones do not blow the atlas up."""

Points = Float32[np.ndarray, "point 2"]


@final
@dataclass(frozen=True)
class Canvas:
    """A rectangle of the uv plane.

    Attributes:
        origin_uv: its upper left corner; v is down, as the mappings have it.
        density: texels a unit of uv.
        size: in texels.
    """

    origin_uv: tuple[float, float]
    density: float
    size: Size

    @classmethod
    def around(cls, seen_uv: Points, px_per_uv: float, texels_per_px: float) -> Canvas:
        """The rectangle that holds points; its density falls where a side would exceed the limit.

        Args:
            seen_uv: where the clip shows the layer.
            px_per_uv: the frame's pixels in a unit of uv.
            texels_per_px: wanted density.
        """
        low, high = np.percentile(seen_uv, (_STRAY_PERCENT, 100 - _STRAY_PERCENT), axis=0)
        margin = _MARGIN_PX / px_per_uv
        sides = high - low + 2 * margin
        density = min(px_per_uv * texels_per_px, SIDE_LIMIT / float(sides.max()))
        size = Size(*(int(np.ceil(side * density)) for side in sides))
        return cls((float(low[0] - margin), float(low[1] - margin)), density, size)

    def texels(self, uv: Float32[np.ndarray, "*point 2"]) -> Float32[np.ndarray, "*point 2"]:
        """Texel positions (x, y) of points of the uv plane."""
        return (uv - np.array(self.origin_uv, np.float32)) * np.float32(self.density) - np.float32(0.5)

    def uv_atlas(self, uv: Float32[np.ndarray, "*point 2"]) -> Float32[np.ndarray, "*point 2"]:
        """STMap coordinates in the atlas of points of the uv plane."""
        texels = self.texels(uv)
        width, height = self.size
        return np.stack([u_from_x(texels[..., 0], width), v_from_y(texels[..., 1], height)], axis=-1)

    def centres(self) -> Points:
        """Positions (u, v) of the texels, row by row."""
        x, y = np.meshgrid(np.arange(self.size.width) + 0.5, np.arange(self.size.height) + 0.5)
        texels = np.stack([x, y], axis=-1).reshape(-1, 2)
        return (np.array(self.origin_uv) + texels / self.density).astype(np.float32)

    def covered(self, seen_uv: Points, texels_apart: float) -> Bool[np.ndarray, "height width"]:
        """Texels that the clip shows: those between points that it shows, which are about so far apart."""
        texels = np.rint(self.texels(seen_uv)).astype(int)
        inside = ((texels >= 0) & (texels < self.size)).all(axis=1)
        hit = np.zeros((self.size.height, self.size.width), np.uint8)
        hit[texels[inside, 1], texels[inside, 0]] = 1
        reach = 2 * int(np.ceil(texels_apart)) + 1
        return cv2.morphologyEx(hit, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8)) > 0


def sample_atlas(
    networks: Networks, layer: int, canvas: Canvas, covered: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width 4"]:
    """A layer's texture on a canvas: linear light; alpha 1 where the clip shows it.

    Where it does not, the texture was never asked or was driven to black; the nearest colour goes on there.
    """
    device = next(networks.parameters()).device
    centres = torch.from_numpy(canvas.centres()).to(device)
    with torch.no_grad():
        colours = torch.cat([networks.texture(layer, some) for some in centres.split(CHUNK)]).cpu().numpy()
    display = colours.reshape(canvas.size.height, canvas.size.width, 3)
    if covered.any():
        nearest = distance_transform_edt(~covered, return_distances=False, return_indices=True)
        display = display[tuple(np.asarray(nearest))]
    return np.dstack([linear_from_display(display), covered.astype(np.float32)])
