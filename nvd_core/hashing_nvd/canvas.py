"""Choose the part of a layer's uv plane that its atlas covers, and sample the texture network into the atlas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, final

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float32
from scipy.ndimage import distance_transform_edt

from nvd_core.hashing_nvd.fields import Networks
from nvd_core.hashing_nvd.train import CHUNK
from nvd_core.image.colour import linear_from_display
from nvd_core.image.geometry import pixel_grid
from nvd_core.spec.conventions import Size, u_from_x, v_from_y

SIDE_LIMIT: Final = 8192
"""Longest side of an atlas, in texels: larger ones are a burden to paint on."""

_MARGIN_PX: Final = 3
"""Margin around the visible part of a layer, working px."""

_STRAY_PERCENT: Final = 0.5
"""Percent of the visible points that are left out on each side: a few outliers must not enlarge the atlas."""

Points = Float32[np.ndarray, "point 2"]


@final
@dataclass(frozen=True)
class Canvas:
    """Rectangle of the uv plane that an atlas covers.

    Attributes:
        origin_uv: its upper left corner; v is down, as in the mappings.
        density: texels per unit of uv.
        size: of the atlas, in texels.
    """

    origin_uv: tuple[float, float]
    density: float
    size: Size

    @classmethod
    def around(cls, seen_uv: Points, px_per_uv: float, texels_per_px: float) -> Canvas:
        """Bounding rectangle of the visible points; the density falls where a side would exceed the limit.

        Args:
            seen_uv: uv of pixels that show the layer.
            px_per_uv: working px per unit of uv.
            texels_per_px: density to aim at, texels per working px.
        """
        low, high = np.percentile(seen_uv, (_STRAY_PERCENT, 100 - _STRAY_PERCENT), axis=0)
        margin = _MARGIN_PX / px_per_uv
        sides = high - low + 2 * margin
        density = min(px_per_uv * texels_per_px, SIDE_LIMIT / float(sides.max()))
        size = Size(*(int(np.ceil(side * density)) for side in sides))
        return cls((float(low[0] - margin), float(low[1] - margin)), density, size)

    def texels(self, uv: Float32[np.ndarray, "*point 2"]) -> Float32[np.ndarray, "*point 2"]:
        """Convert points of the uv plane to texel positions (x, y); centres of texels are whole numbers."""
        return (uv - np.array(self.origin_uv, np.float32)) * np.float32(self.density) - np.float32(0.5)

    def uv_atlas(self, uv: Float32[np.ndarray, "*point 2"]) -> Float32[np.ndarray, "*point 2"]:
        """Convert points of the uv plane to STMap coordinates in the atlas, 0 to 1, origin at the bottom left."""
        texels = self.texels(uv)
        width, height = self.size
        return np.stack([u_from_x(texels[..., 0], width), v_from_y(texels[..., 1], height)], axis=-1)

    def centres(self) -> Points:
        """Centres (u, v) of all texels in the uv plane, row by row."""
        texels = pixel_grid(self.size).reshape(-1, 2) + 0.5
        return (np.array(self.origin_uv) + texels / np.float64(self.density)).astype(np.float32)

    def covered(self, seen_uv: Points, texels_apart: float) -> Bool[np.ndarray, "height width"]:
        """Mask of the texels that the clip shows: the visible points, closed over the gaps between them.

        Args:
            seen_uv: uv of pixels that show the layer.
            texels_apart: distance of neighbouring points, in texels.
        """
        texels = np.rint(self.texels(seen_uv)).astype(int)
        inside = ((texels >= 0) & (texels < self.size)).all(axis=1)
        hit = np.zeros((self.size.height, self.size.width), np.uint8)
        hit[texels[inside, 1], texels[inside, 0]] = 1
        reach = 2 * int(np.ceil(texels_apart)) + 1
        return cv2.morphologyEx(hit, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8)) > 0


def sample_atlas(
    networks: Networks, layer: int, canvas: Canvas, covered: Bool[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width 4"]:
    """Sample a layer's texture network into an atlas: RGB in linear light, alpha 1 where the clip shows the layer.

    Elsewhere the texture was never trained, or the sparsity loss drove it to black: the nearest visible colour is
    extended there.
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
