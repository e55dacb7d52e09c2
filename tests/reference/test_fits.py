"""Robust fits against scikit-image's least squares on the true inliers, and against rows of plain least squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from skimage.transform import AffineTransform, SimilarityTransform, estimate_transform

from nvd_core.image.fit import Fit, fit_affine, fit_flow, fit_homography, fit_similarity
from nvd_core.image.geometry import pixel_grid, transform
from nvd_core.spec.conventions import Size

KINDS = [
    pytest.param(fit_homography, "projective", [[1.05, 0.02, 8], [-0.03, 0.97, -5], [1e-4, -5e-5, 1]], id="homography"),
    pytest.param(fit_affine, "affine", [[1.05, 0.12, 8], [-0.03, 0.9, -5], [0, 0, 1]], id="affine"),
    pytest.param(fit_similarity, "euclidean", [[0.8, -0.6, 8], [0.6, 0.8, -5], [0, 0, 1]], id="similarity"),
]


@pytest.mark.parametrize(("fit", "kind", "matrix"), KINDS)
def test_outliers_are_told_from_inliers_and_do_not_pull(fit: Callable[..., Fit | None], kind: str, matrix: Any) -> None:
    rng = np.random.default_rng(2)
    source = rng.uniform(0, 200, (120, 2)).astype(np.float32)
    target = transform(np.array(matrix, np.float64), source) + rng.normal(0, 0.1, source.shape).astype(np.float32)
    target[::4] += rng.uniform(20, 60, (30, 2)).astype(np.float32)
    found = fit(source, target, 1.0)
    assert found is not None
    assert np.array_equal(found.inliers, np.arange(120) % 4 != 0)
    least = estimate_transform(kind, source[found.inliers], target[found.inliers])
    assert np.abs(transform(found.matrix, source) - least(source)).max() < 0.05


@pytest.mark.parametrize(("fit", "kind", "matrix"), KINDS)
def test_a_fit_does_not_depend_on_what_was_drawn_before(fit: Callable[..., Fit | None], kind: str, matrix: Any) -> None:
    rng = np.random.default_rng(2)
    source, target = rng.uniform(0, 200, (2, 60, 2))  # all noise: every draw has another best fit
    target[:20] = transform(np.array(matrix, np.float64), source[:20])
    fits = []
    for seed in range(5):
        cv2.setRNGSeed(seed)
        fits.append(fit(source, target, 1.0))
    assert all(np.array_equal(one.matrix, fits[0].matrix) for one in fits), kind


@pytest.mark.parametrize(("fit", "kind", "matrix"), KINDS)
def test_too_few_points_have_no_fit(fit: Callable[..., Fit | None], kind: str, matrix: Any) -> None:
    assert all(fit(np.zeros((count, 2)), np.zeros((count, 2)), 1.0) is None for count in (0, 1, 3)), (kind, matrix)


def test_a_similarity_does_not_shear() -> None:
    rng = np.random.default_rng(4)
    source = rng.uniform(0, 100, (50, 2))
    sheared = AffineTransform(shear=0.02)(source)
    found = fit_similarity(source, sheared, 5.0)
    assert found is not None
    assert found.matrix[0, 0] == pytest.approx(found.matrix[1, 1])
    assert found.matrix[0, 1] == pytest.approx(-found.matrix[1, 0])
    assert SimilarityTransform(found.matrix).scale == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("degree", [1, 2])
def test_a_foreign_motion_and_unknown_flow_do_not_pull_the_fit(degree: Literal[1, 2]) -> None:
    true = np.broadcast_to(np.float32([2, -1]), (60, 80, 2)) + pixel_grid(Size(80, 60)) * np.float32(0.01)
    flow = true.copy()
    flow[10:25, 20:40] += 15
    flow[40:, :10] = np.nan
    found, off_px = fit_flow(flow, np.ones((60, 80), np.float32), degree) or pytest.fail("no fit")
    assert np.abs(found - true).max() < 0.05
    assert off_px < 0.05


@pytest.mark.parametrize("resistance", [(1e-3, 0.02, 0.02), (1e-4, 0.01, 0.01, 0.05, 0.05, 0.05)])
def test_flow_is_fitted_as_by_rows_of_least_squares(resistance: tuple[float, ...]) -> None:
    """The slow twin writes each sample, and each term's resistance, as a row, and solves them by QR in every round."""
    rng = np.random.default_rng(8)
    weight = rng.random((48, 64), np.float32)
    flow = (pixel_grid(Size(64, 48)) * np.float32([0.1, -0.05]) + rng.normal(0, 1, (48, 64, 2))).astype(np.float32)
    flow[:20, :20] += 9
    samples = [(y, x) for y in range(2, 48, 4) for x in range(2, 64, 4) if weight[y, x] > 0.2]
    rows, columns = np.transpose(samples)
    scale = max(8.0, columns.std() + rows.std())

    def terms(x: float, y: float) -> list[float]:
        x, y = (x - columns.mean()) / scale, (y - rows.mean()) / scale
        return [1, x, y, x * x, x * y, y * y][: len(resistance)]

    fit = np.zeros((len(resistance), 2))
    fit[0] = np.median([flow[place] for place in samples], axis=0)
    for _ in range(8):
        off = [np.hypot(*(flow[y, x] - terms(x, y) @ fit)) for y, x in samples]
        width = max(0.3, 1.5 * np.median(off))
        trust = [weight[place] / (1 + (one / width) ** 2) ** 2 for place, one in zip(samples, off, strict=True)]
        design = [np.sqrt(one) * np.array(terms(x, y)) for (y, x), one in zip(samples, trust, strict=True)]
        wanted = [np.sqrt(one) * flow[place] for place, one in zip(samples, trust, strict=True)]
        held = np.sqrt(sum(trust) * np.diag(resistance))
        fit = np.linalg.lstsq(np.vstack([design, held]), np.vstack([wanted, 0 * fit]), rcond=None)[0]
    found, off_px = fit_flow(flow, weight, 1 if len(resistance) == 3 else 2) or pytest.fail("no fit")
    expected = [[terms(x, y) @ fit for x in range(64)] for y in range(48)]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert off_px == pytest.approx(np.median([np.hypot(*(flow[y, x] - terms(x, y) @ fit)) for y, x in samples]))


def test_too_little_known_flow_has_no_fit() -> None:
    flow, weight = np.zeros((40, 40, 2), np.float32), np.zeros((40, 40), np.float32)
    weight[:8, :16] = 1
    assert fit_flow(flow, weight, 1) is None
    weight[:16, :16] = 1
    assert fit_flow(flow, weight, 1) is not None
