"""Small picture operations that several steps of the solver share."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float, Float32, Shaped

from nvd_core.conventions import Size
from nvd_core.resample import bands, resample

Positions = Float32[np.ndarray, "height width 2"]
"""A point (x, y) for every pixel, px."""


def pixel_grid(size: Size) -> Positions:
    """Position (x, y) of every pixel of a picture, px."""
    x, y = np.meshgrid(np.arange(size.width, dtype=np.float32), np.arange(size.height, dtype=np.float32))
    return np.stack([x, y], axis=-1)


def blur(
    picture: Float32[np.ndarray, "height width *chan"], sigma_px: float
) -> Float32[np.ndarray, "height width *chan"]:
    """Gaussian blur."""
    return cv2.GaussianBlur(picture, (0, 0), sigma_px)


def difference(
    a: Float32[np.ndarray, "height width 3"], b: Float32[np.ndarray, "height width 3"]
) -> Float32[np.ndarray, "height width"]:
    """Mean absolute difference of two colours, by pixel."""
    apart = np.abs(a - b)
    return (apart[..., 0] + apart[..., 1] + apart[..., 2]) / 3  # several times faster than mean(axis=-1)


def warp(
    picture: Shaped[np.ndarray, "rows columns *chan"],
    positions: Positions,
    *,
    cubic: bool = False,
    outside: float | None = None,
) -> Shaped[np.ndarray, "height width *chan"]:
    """Look a picture up at positions (px): bilinear or cubic, beyond its edge repeated or ``outside``."""
    x_px, y_px = (np.ascontiguousarray(positions[..., axis]) for axis in (0, 1))
    return resample(picture, x_px, y_px, cubic=cubic, outside=outside)


def transform(matrix: Float[np.ndarray, "3 3"], points: Float[np.ndarray, "*point 2"]) -> Float[np.ndarray, "*point 2"]:
    """Apply a homography to points (x, y)."""
    moved = points @ matrix[:, :2].T + matrix[:, 2]
    return moved[..., :2] / moved[..., 2:]


def translation(offset: Shaped[np.ndarray, " 2"]) -> Float[np.ndarray, "3 3"]:
    """Homography that moves points by an offset (x, y)."""
    return np.array([[1, 0, offset[0]], [0, 1, offset[1]], [0, 0, 1]], dtype=np.float64)


def fill_holes(
    picture: Float32[np.ndarray, "height width chan"], weight: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width chan"]:
    """Extend a picture smoothly over the places where its weight is 0.

    Weighted averages over ever larger blocks (pull), each filling what the finer ones lack (push);
    Gortler et al., The Lumigraph, 1996, section 3.4.
    """
    height, width = weight.shape
    known = np.minimum(weight, 1)
    if known.min() >= 1:
        return picture
    if min(height, width) <= 2:
        total = max(float(known.sum()), 1e-12)
        mean = (picture * known[..., None]).sum(axis=(0, 1), keepdims=True) / total
        return np.where(known[..., None] > 0, picture, mean).astype(np.float32)
    half = ((width + 1) // 2, (height + 1) // 2)
    coarse_weight = cv2.resize(known, half, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(picture * known[..., None], half, interpolation=cv2.INTER_AREA)
    coarse = coarse.reshape(half[1], half[0], -1) / np.maximum(coarse_weight, 1e-12)[..., None]
    filled = fill_holes(coarse, np.minimum(coarse_weight * 4, 1))
    rough = cv2.resize(filled, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)
    for rows in bands(picture):
        share = known[rows][..., None]
        rough[rows] = picture[rows] * share + rough[rows] * (1 - share)
    return rough
