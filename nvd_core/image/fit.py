"""Fit motion to matched points and to optical flow, robust against outliers.

OpenCV's RANSAC seeds its own random numbers: the same points get the same fit, whatever was drawn before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Num

from nvd_core.image.geometry import Homography

_RESISTANCE: Final = {1: (1e-3, 0.02, 0.02), 2: (1e-4, 0.01, 0.01, 0.05, 0.05, 0.05)}
"""Regularisation of the terms (1, x, y, xx, xy, yy), relative to the sum of the weights, by degree."""


class Fit(NamedTuple):
    """Motion from source to target points, and which points agree with it."""

    matrix: Homography
    inliers: Bool[np.ndarray, " point"]


def fit_homography(
    source: Num[np.ndarray, "point 2"], target: Num[np.ndarray, "point 2"], inlier_px: float
) -> Fit | None:
    """Fit a homography by RANSAC (Fischler and Bolles, CACM 1981), then least squares on its inliers.

    Args:
        source: points (x, y).
        target: the same points after the motion.
        inlier_px: largest reprojection error of an inlier, in the points' unit.

    Returns:
        None if the points determine none, or are fewer than four.
    """
    return _ransac(cv2.findHomography, source, target, inlier_px)


def fit_affine(source: Num[np.ndarray, "point 2"], target: Num[np.ndarray, "point 2"], inlier_px: float) -> Fit | None:
    """Fit an affine motion; see :func:`fit_homography`."""
    return _ransac(cv2.estimateAffine2D, source, target, inlier_px)


def fit_similarity(
    source: Num[np.ndarray, "point 2"], target: Num[np.ndarray, "point 2"], inlier_px: float
) -> Fit | None:
    """Fit a similarity: translation, rotation and scale; see :func:`fit_homography`."""
    return _ransac(cv2.estimateAffinePartial2D, source, target, inlier_px)


def _ransac(
    estimate: Callable[..., Any],
    source: Num[np.ndarray, "point 2"],
    target: Num[np.ndarray, "point 2"],
    inlier_px: float,
) -> Fit | None:
    if len(source) < 4:  # OpenCV raises
        return None
    source, target = (np.ascontiguousarray(points, np.float32) for points in (source, target))
    matrix, inliers = estimate(source, target, method=cv2.RANSAC, ransacReprojThreshold=inlier_px)
    if matrix is None:
        return None
    return Fit(np.vstack([matrix, [0, 0, 1]]) if len(matrix) == 2 else matrix, inliers.ravel() > 0)


def fit_flow(
    flow_px: Float32[np.ndarray, "height width 2"],
    weight: Float32[np.ndarray, "height width"],
    degree: Literal[1, 2],
    *,
    least_px: float = 0.3,
    rounds: int = 8,
) -> tuple[Float32[np.ndarray, "height width 2"], float] | None:
    """Fit a polynomial motion to every fourth pixel of optical flow; also the median residual, px.

    Iteratively reweighted least squares, with the weights of Geman and McClure (1987).

    Args:
        flow_px: NaN where it is unknown.
        weight: of each pixel, 0 to 1; pixels of 0.2 or less are left out.
        degree: 1 for an affine motion, 2 for a quadratic one.
        least_px: smallest scale of the weights; larger ones are 1.5 times the median residual.
        rounds: of reweighting.

    Returns:
        None if fewer than twelve samples are known.
    """
    some = (slice(2, None, 4), slice(2, None, 4))
    known = (weight[some] > 0.2) & np.isfinite(flow_px[some]).all(axis=-1)
    if np.count_nonzero(known) < 12:
        return None
    rows, columns = (4 * index + 2 for index in np.nonzero(known))
    flow, trust = flow_px[rows, columns].astype(np.float64), weight[rows, columns]
    resistance, middle = _RESISTANCE[degree], (columns.mean(), rows.mean())
    scale = max(8.0, float(columns.std() + rows.std()))

    def terms(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x, y = (x - middle[0]) / scale, (y - middle[1]) / scale
        return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y][: len(resistance)], axis=-1)

    basis, fit = terms(columns, rows), np.zeros((len(resistance), 2))
    fit[0] = np.median(flow, axis=0)
    off = np.linalg.norm(flow - basis @ fit, axis=1)
    for _ in range(rounds):
        agreed = trust / (1 + (off / max(least_px, 1.5 * float(np.median(off)))) ** 2) ** 2
        normal = basis.T @ (agreed[:, None] * basis) + np.diag(resistance) * agreed.sum()
        fit = np.linalg.solve(normal, basis.T @ (agreed[:, None] * flow))
        off = np.linalg.norm(flow - basis @ fit, axis=1)
    down, across = np.mgrid[: weight.shape[0], : weight.shape[1]].astype(np.float64)
    return (terms(across, down) @ fit).astype(np.float32), float(np.median(off))
