"""Sample pictures between their pixels, warp and resize them, and split large ones into bands."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, Float32, Num, Shaped

from nvd_core.image.geometry import pixel_grid, size_of
from nvd_core.spec.conventions import Size

_BAND_PX: Final = 1 << 20

_COLUMNS: Final = 1024
"""Points in a row of a look-up: OpenCV takes no row longer than 32767."""


def bands(picture: Shaped[np.ndarray, "height width *chan"]) -> list[slice]:
    """Split a picture's rows into bands of about a million pixels, to work on one after the other in little memory."""
    step = max(1, _BAND_PX // picture.shape[1])
    return [slice(top, min(top + step, picture.shape[0])) for top in range(0, picture.shape[0], step)]


def resample(
    picture: Shaped[np.ndarray, "rows columns *chan"],
    x_px: Float32[np.ndarray, "height width"],
    y_px: Float32[np.ndarray, "height width"],
    *,
    cubic: bool = False,
    outside: float | None = None,
) -> Shaped[np.ndarray, "height width *chan"]:
    """Sample a picture at positions, bilinear or cubic; beyond its border, the border's value or ``outside``.

    OpenCV rounds the positions of cubic samples to 1/32 px, which colours bear and coordinates do not. It does the same
    to bilinear ones in pictures of two channels, so these go one channel at a time.
    """
    if picture.ndim == 3 and picture.shape[2] == 2:
        planes = cv2.split(np.ascontiguousarray(picture))
        return cv2.merge([resample(plane, x_px, y_px, cubic=cubic, outside=outside) for plane in planes])
    sampled = cv2.remap(
        picture,
        x_px,
        y_px,
        cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT,
        borderValue=(outside or 0,) * 4,
    )
    return sampled.reshape(*x_px.shape, *picture.shape[2:])  # OpenCV drops the axis of a single channel


def warp(
    picture: Shaped[np.ndarray, "rows columns *chan"],
    positions: Float32[np.ndarray, "height width 2"],
    *,
    cubic: bool = False,
    outside: float | None = None,
) -> Shaped[np.ndarray, "height width *chan"]:
    """Sample a picture at positions (x, y), px; see :func:`resample`."""
    x_px, y_px = (np.ascontiguousarray(positions[..., axis]) for axis in (0, 1))
    return resample(picture, x_px, y_px, cubic=cubic, outside=outside)


def warp_by_flow(
    picture: Shaped[np.ndarray, "height width *chan"], flow_px: Float32[np.ndarray, "height width 2"]
) -> Shaped[np.ndarray, "height width *chan"]:
    """Warp a picture backward along optical flow, px: each pixel of the result is what flow leads to."""
    return warp(picture, pixel_grid(size_of(flow_px)) + flow_px)


def at_points(
    picture: Shaped[np.ndarray, "height width *chan"], points: Float[np.ndarray, "point 2"]
) -> Shaped[np.ndarray, " point *chan"]:
    """Sample a picture at scattered points (x, y), px, bilinear; beyond its border, the border's value."""
    rows = np.zeros((len(points) // _COLUMNS + 1, _COLUMNS, 2), np.float32)
    rows.reshape(-1, 2)[: len(points)] = points
    sampled = warp(picture, rows)
    return sampled.reshape(-1, *sampled.shape[2:])[: len(points)]


def resized(picture: Num[np.ndarray, "..."], size: Size) -> Num[np.ndarray, "..."]:
    """Resize a picture: area average when it shrinks, bilinear when it grows."""
    if size_of(picture) == size:
        return picture
    shrinks = size.width < picture.shape[1]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
