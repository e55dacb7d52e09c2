"""Filter pictures: Gaussian blur, guided filter, hole filling."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Num

from nvd_core.image.sample import bands

_FLAT: Final = 1e-4
"""Regularisation of the guided filter: colour variance below which a neighbourhood counts as flat."""

_MEAN: Final = np.full((1, 3), 1 / 3, np.float32)

_FLAT_GREY: Final = 3.0
"""Local standard deviation, of 255, that counts as noise where contrast is made even."""


def blur(picture: Num[np.ndarray, "height width *chan"], sigma_px: float) -> Num[np.ndarray, "height width *chan"]:
    """Blur by a Gaussian, mirrored at the border about its outermost pixels."""
    return cv2.GaussianBlur(picture, (0, 0), sigma_px)


def even_contrast(
    grey: Float32[np.ndarray, "height width"], weight: Float32[np.ndarray, "height width"], sigma_px: float
) -> Float32[np.ndarray, "height width"]:
    """Normalise the local mean to 127 and the local standard deviation to 45, flat parts less.

    Args:
        grey: 0 to 255.
        weight: 0 to 1, of each pixel in the statistics.
        sigma_px: Gaussian sigma of the neighbourhood.
    """
    total = blur(weight, sigma_px) + 1e-3
    rest = grey - blur(grey * weight, sigma_px) / total
    return 127 + 45 * rest / np.sqrt(blur(rest**2 * weight, sigma_px) / total + _FLAT_GREY**2)


def difference(
    a: Float32[np.ndarray, "height width 3"], b: Float32[np.ndarray, "height width 3"]
) -> Float32[np.ndarray, "height width"]:
    """Mean absolute difference over the channels, pixel by pixel."""
    return channel_mean(cv2.absdiff(a, b))


def channel_mean(picture: Num[np.ndarray, "height width 3"]) -> Num[np.ndarray, "height width"]:
    """Mean of a picture's channels; ten times faster than NumPy's over the last axis."""
    return cv2.transform(picture, _MEAN)


def fill_holes(
    picture: Float32[np.ndarray, "height width chan"], weight: Float32[np.ndarray, "height width"]
) -> Float32[np.ndarray, "height width chan"]:
    """Fill pixels of weight below 1 smoothly from around them: pull-push.

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


def guided_filter(
    mask: Float32[np.ndarray, "height width"], guide: Float32[np.ndarray, "height width 3"], radius_px: int
) -> Float32[np.ndarray, "height width"]:
    """Guided filter (He, Sun and Tang, ECCV 2010).

    In every square of ``2 * radius_px + 1`` it fits the linear function of the guide's colour, 0 to 1, that is nearest
    to the mask; each pixel gets the mean of the functions of all squares that it lies in.
    """

    def mean(values: Float32[np.ndarray, "height width *chan"]) -> Float32[np.ndarray, "height width *chan"]:
        return cv2.blur(values, (2 * radius_px + 1, 2 * radius_px + 1), borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_mask = mean(guide), mean(mask)
    covariance = mean(guide * mask[..., None]) - mean_guide * mean_mask[..., None]
    products = mean((guide[..., :, None] * guide[..., None, :]).reshape(*mask.shape, 9)[..., [0, 1, 2, 4, 5, 8]])
    variance = products[..., [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(*mask.shape, 3, 3)
    variance = variance - mean_guide[..., :, None] * mean_guide[..., None, :] + _FLAT * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(variance, covariance[..., None])[..., 0].astype(np.float32)
    offset = mean_mask - (slope * mean_guide).sum(axis=-1)
    return (mean(slope) * guide).sum(axis=-1) + mean(offset)
