"""Filters against SciPy, and against loops that solve for every window."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from nvd_core.image.filters import blur, difference, even_contrast, fill_holes, guided_filter

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("sigma_px", [0.7, 2, 5])
def test_a_blur_is_scipys_gaussian(sigma_px: float) -> None:
    picture = RNG.random((40, 50, 3), np.float32)
    expected = gaussian_filter(picture.astype(np.float64), (sigma_px, sigma_px, 0), mode="mirror", truncate=6)
    assert np.abs(blur(picture, sigma_px) - expected).max() < 2e-3  # OpenCV cuts the kernel at 4 sigma


def test_a_difference_is_the_mean_over_the_channels() -> None:
    a, b = RNG.random((2, 4, 5, 3), np.float32)
    np.testing.assert_allclose(difference(a, b), np.abs(a - b).mean(axis=-1), rtol=1e-5)


def test_even_contrast_has_the_same_mean_and_deviation_everywhere() -> None:
    """Of the weighted pixels alone; SciPy's Gaussian is the slow twin."""
    grey = (RNG.random((60, 80), np.float32) * np.linspace(20, 200, 80, dtype=np.float32)).astype(np.float32)
    weight = np.ones_like(grey)
    weight[:, 60:] = 0
    even = even_contrast(grey, weight, 4)

    def mean(values: np.ndarray) -> np.ndarray:
        blurred, total = (
            gaussian_filter(one.astype(np.float64), 4, mode="mirror", truncate=6) for one in (values * weight, weight)
        )
        return blurred / (total + 1e-3)

    rest = grey - mean(grey)
    expected = 127 + 45 * rest / np.sqrt(mean(rest**2) + 9)
    np.testing.assert_allclose(even[:, :64], expected[:, :64], atol=0.5)
    assert abs(even[:, :20].std() - even[:, 35:55].std()) < 5
    grey[:, 60:] = 255
    np.testing.assert_allclose(even_contrast(grey, weight, 4)[:, :55], even[:, :55], atol=1e-2)


def test_the_guided_filter_fits_each_window_and_averages_the_fits() -> None:
    guide, mask = RNG.random((9, 11, 3), np.float32), (RNG.random((9, 11)) > 0.5).astype(np.float32)
    np.testing.assert_allclose(guided_filter(mask, guide, 2), _guided(mask, guide, 2), atol=1e-4)


def test_a_mask_that_is_linear_in_the_guide_comes_back() -> None:
    guide = RNG.random((30, 30, 3), np.float32)
    mask = (guide @ np.float32([0.5, -0.25, 1]) + np.float32(0.1)).astype(np.float32)
    np.testing.assert_allclose(guided_filter(mask, guide, 4), mask, atol=5e-3)


def test_holes_are_filled_from_around_and_known_pixels_kept() -> None:
    y, x = np.mgrid[:33, :40].astype(np.float32)
    picture = np.dstack([x, y, np.full_like(x, 5)])
    weight = np.ones((33, 40), np.float32)
    weight[10:20, 12:25] = 0
    filled = fill_holes(np.where(weight[..., None] > 0, picture, np.float32(-1e3)), weight)
    assert np.array_equal(filled[weight > 0], picture[weight > 0])
    assert np.abs(filled - picture)[..., :2].max() < 4
    np.testing.assert_allclose(filled[..., 2], 5, atol=1e-3)
    assert fill_holes(picture, np.ones_like(weight)) is picture


def test_holes_are_filled_by_pull_and_push() -> None:
    """The slow twin averages blocks of two by two, and interpolates the coarse picture where the fine one lacks."""
    picture, weight = RNG.random((8, 16, 2), np.float32), (RNG.random((8, 16)) > 0.6).astype(np.float32)
    np.testing.assert_allclose(fill_holes(picture, weight), _pull_push(picture, weight), atol=1e-5)


def _guided(mask: np.ndarray, guide: np.ndarray, radius: int) -> np.ndarray:
    height, width = mask.shape
    rows, columns = (np.pad(np.arange(side), radius, mode="symmetric") for side in mask.shape)
    slopes, offsets = np.zeros((height, width, 3)), np.zeros((height, width))
    for row, column in np.ndindex(height, width):
        window = np.ix_(rows[row : row + 2 * radius + 1], columns[column : column + 2 * radius + 1])
        colour, value = guide[window].reshape(-1, 3).astype(np.float64), mask[window].ravel().astype(np.float64)
        covariance = np.cov(colour.T, bias=True) + 1e-4 * np.eye(3)
        slopes[row, column] = np.linalg.solve(covariance, ((colour - colour.mean(0)) * value[:, None]).mean(0))
        offsets[row, column] = value.mean() - slopes[row, column] @ colour.mean(0)
    found = np.zeros((height, width))
    for row, column in np.ndindex(height, width):
        window = np.ix_(rows[row : row + 2 * radius + 1], columns[column : column + 2 * radius + 1])
        found[row, column] = slopes[window].mean(axis=(0, 1)) @ guide[row, column] + offsets[window].mean()
    return found


def _pull_push(picture: np.ndarray, weight: np.ndarray) -> np.ndarray:
    height, width = weight.shape
    if min(height, width) <= 2:
        mean = (picture * weight[..., None]).sum(axis=(0, 1)) / max(weight.sum(), 1e-12)
        return np.where(weight[..., None] > 0, picture, mean)
    coarse, share = np.zeros((height // 2, width // 2, picture.shape[2])), np.zeros((height // 2, width // 2))
    for row, column in np.ndindex(*share.shape):
        block = np.s_[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        share[row, column] = weight[block].mean()
        if share[row, column]:
            coarse[row, column] = (picture[block] * weight[block][..., None]).mean(axis=(0, 1)) / share[row, column]
    below = _pull_push(coarse, np.minimum(4 * share, 1))
    found = np.zeros(picture.shape)
    for row, column in np.ndindex(height, width):
        y, x = np.clip(row / 2 - 0.25, 0, height // 2 - 1), np.clip(column / 2 - 0.25, 0, width // 2 - 1)
        top, left = min(int(y), height // 2 - 2), min(int(x), width // 2 - 2)
        corners = below[top : top + 2, left : left + 2]
        rough = np.einsum("i,j,ijk", [1 - y + top, y - top], [1 - x + left, x - left], corners)
        found[row, column] = weight[row, column] * picture[row, column] + (1 - weight[row, column]) * rough
    return found
