"""Light that may be finer than the map's error: detail that shifted edges cannot explain is light, the rest is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from nvd_core.lattice.picture.light import estimate_residual, possible_error_px

HEIGHT, WIDTH = 160, 240
ALONE = np.ones((HEIGHT, WIDTH), np.float32)
FINE_PX = 1.2
"""Of the light's detail: finer than what is taken for smooth."""


def noise(seed: int, sigma_px: float) -> np.ndarray:
    grain = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH)).astype(np.float32)
    smooth = cv2.GaussianBlur(grain, (0, 0), sigma_px)
    return smooth / smooth.std()


def grey(stops: np.ndarray) -> np.ndarray:
    return np.dstack([0.3 * np.exp(stops)] * 3).astype(np.float32)


def shifted(picture: np.ndarray, x_px: float) -> np.ndarray:
    return cv2.warpAffine(
        picture, np.float32([[1, 0, x_px], [0, 1, 0]]), (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT
    )


TEXTURE = noise(0, 1.5) * np.repeat([[0.0, 0.4]], WIDTH // 2, axis=1).reshape(1, -1)
"""Flat on the left, detail on the right."""


@pytest.mark.parametrize("off_px", [0.4, 0.7, 1.0])
def test_the_error_of_a_map_is_found(off_px: float) -> None:
    frames = [(grey(shifted(TEXTURE, off_px * sign)), grey(TEXTURE), ALONE) for sign in (1, -1)]
    assert possible_error_px(frames) == pytest.approx(off_px, rel=0.3)


def test_no_map_is_taken_for_perfect() -> None:
    assert possible_error_px([(grey(TEXTURE), grey(TEXTURE), ALONE)]) == pytest.approx(0.3)
    assert possible_error_px([]) == pytest.approx(0.3)


def error(plate: np.ndarray, light: np.ndarray, columns: slice, off_px: float | None) -> float:
    """RMS error of the log light that is found in a part of the plate."""
    found = np.log(estimate_residual(plate, grey(TEXTURE), ALONE, "editing", off_px).mean(axis=-1))
    return float(np.square(found - light)[8:-8, columns].mean() ** 0.5)


def test_fine_light_on_a_flat_surface_is_followed() -> None:
    light = 0.1 * noise(1, FINE_PX)
    smooth, finer = (error(grey(TEXTURE + light), light, slice(8, WIDTH // 2 - 12), off) for off in (None, 0.6))
    assert finer < 0.8 * smooth


def test_edges_that_are_off_stay_out_of_the_light() -> None:
    plate, none = grey(shifted(TEXTURE, 0.5)), np.zeros_like(ALONE)
    smooth, guarded, careless = (error(plate, none, slice(WIDTH // 2 + 12, -8), off) for off in (None, 0.6, 0.0))
    assert guarded < 1.05 * smooth
    assert careless > 1.3 * smooth, "without the guard they would not"


def test_light_goes_on_where_the_layer_is_not_seen() -> None:
    alpha = np.zeros_like(ALONE)
    assert (estimate_residual(grey(TEXTURE), grey(TEXTURE), alpha, "editing", 0.3) == 1).all()
    alpha[40:80, 40:80] = 1
    found = estimate_residual(2 * grey(TEXTURE), grey(TEXTURE), alpha, "editing", 0.3)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[60, 200], 2, rtol=0.05)
