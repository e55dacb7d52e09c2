"""Metrics against scikit-image, and against cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from nvd_core.flow.dis import dis_flow, is_consistent
from nvd_core.image.colour import display_from_linear, to_display
from nvd_core.image.sample import resized, warp_by_flow
from nvd_core.quality.metrics import PooledPsnr, folded, mask_iou, squared_errors, uv_flow_error_px
from nvd_core.result.decomposition import Decomposition

GRID = np.stack(np.meshgrid(np.arange(64, dtype=np.float32), np.arange(48, dtype=np.float32)), axis=-1)


@given(st.integers(0, 1 << 32), st.floats(0.001, 0.5))
def test_psnr_is_scikit_images(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    a = rng.random((8, 9, 3)).astype(np.float32)
    b = np.clip(a + spread * rng.standard_normal(a.shape), 0, 1).astype(np.float32)
    assert PooledPsnr.of(squared_errors(a, b)).decibels == pytest.approx(
        min(99, peak_signal_noise_ratio(a, b, data_range=1)), abs=1e-4
    )


def test_frames_are_pooled_not_averaged() -> None:
    rng = np.random.default_rng(0)
    pairs = [(rng.random((6, 7, 3)), rng.random((6, 7, 3))) for _ in range(3)]
    pairs.append((pairs[0][0], pairs[0][0]))
    pool = PooledPsnr()
    for pair in pairs:
        pool.merge(PooledPsnr.of(squared_errors(*pair)))
    pooled = np.mean([mean_squared_error(*pair) for pair in pairs])
    assert pool.decibels == pytest.approx(-10 * np.log10(pooled))


def test_the_stored_psnr_is_that_of_the_files(solved: Decomposition) -> None:
    plates, rebuilt, alphas = [], [], []
    for frame in solved.frames():
        plates.append(to_display(frame.plate))
        rebuilt.append(np.clip(display_from_linear(frame.rebuilt), 0, 1))
        alphas.append({name: layer.alpha for name, layer in frame.layers.items()})
    metrics = solved.manifest.metrics
    known = peak_signal_noise_ratio(np.stack(plates), np.stack(rebuilt), data_range=1)
    assert metrics["psnr_plate"] == pytest.approx(known, abs=2e-3)
    assert metrics["size"] == str(solved.size)
    assert metrics["psnr"] == pytest.approx(known, abs=2e-3)
    for name, layer in metrics["layers"].items():
        inside = np.stack([alpha[name] > 0.5 for alpha in alphas])
        known = peak_signal_noise_ratio(np.stack(plates)[inside], np.stack(rebuilt)[inside], data_range=1)
        assert layer["psnr_plate"] == pytest.approx(known, abs=2e-3)


def test_equal_pictures_have_a_number_too() -> None:
    assert PooledPsnr.of(np.zeros(3)).decibels == PooledPsnr().decibels == 99


def test_iou() -> None:
    a = np.zeros((4, 4), np.float32)
    b = a.copy()
    assert mask_iou(a, b) == 1
    a[:2], b[1:3] = 1, 0.6
    assert mask_iou(a, b) == pytest.approx(4 / 12)


@settings(max_examples=30)
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.5, 2), st.floats(-0.5, 0.5))
def test_flow_error_is_how_far_paint_swims_in_frame_pixels(dx: float, dy: float, zoom: float, turn: float) -> None:
    """A map that stands still while the picture moves by (dx, dy) swims by just that, at any density.

    OpenCV looks two-channel pictures up at every 32nd of a pixel, so a 64th each way is not seen.
    """
    unseen = 2**0.5 / 64 + 2e-3
    turned = np.float32([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * zoom
    texels = (GRID @ turned).astype(np.float32)
    flow = np.broadcast_to(np.float32([dx, dy]), GRID.shape)
    inside = np.zeros(GRID.shape[:2], bool)
    inside[10:-10, 10:-10] = True
    swum = uv_flow_error_px(texels, texels, np.ascontiguousarray(flow), inside)
    np.testing.assert_allclose(swum, np.hypot(dx, dy), atol=unseen)
    moved = ((GRID - np.float32([dx, dy])) @ turned).astype(np.float32)
    assert uv_flow_error_px(texels, moved, np.ascontiguousarray(flow), inside).max() < unseen


def test_folds_are_found_where_they_are() -> None:
    assert not folded(GRID).any()
    assert not folded(GRID[:, ::-1] * np.float32([-1, 1]) + 3).any()
    assert folded(np.ascontiguousarray(GRID[:, ::-1])).all()
    crease = GRID.copy()
    crease[20:30, 30] -= (3, 0)
    found = folded(crease)
    assert found[20:30, 29:31].any(axis=1).all()
    assert not found[:18].any()


def test_flow_finds_a_shift_and_pull_undoes_it() -> None:
    from support import SIZE, texture

    wide = texture(SIZE)[..., 1]
    here, there = np.ascontiguousarray(wide[8:-8, 8:-8]), np.ascontiguousarray(wide[10:-6, 5:-11])
    flow = dis_flow(here, there)
    np.testing.assert_allclose(np.median(flow, axis=(0, 1)), (3, -2), atol=0.1)
    back = warp_by_flow(there.astype(np.float32), flow)
    assert np.abs(back - here)[8:-8, 8:-8].mean() < 0.2 * np.abs(there.astype(np.float32) - here)[8:-8, 8:-8].mean()
    sure = is_consistent(flow, warp_by_flow(dis_flow(there, here), flow))
    assert sure[10:-10, 10:-10].mean() > 0.95
    assert not is_consistent(np.full_like(flow, 4), np.full_like(flow, 4)).any()


def test_shrinking_is_area_average_and_growing_linear() -> None:
    from nvd_core.spec.conventions import Size

    picture = np.random.default_rng(0).random((8, 12)).astype(np.float32)
    np.testing.assert_allclose(resized(picture, Size(6, 4)), picture.reshape(4, 2, 6, 2).mean(axis=(1, 3)), rtol=1e-5)
    assert resized(picture, Size(12, 8)) is picture
    ramp = np.tile(np.arange(8, dtype=np.float32), (4, 1))
    np.testing.assert_allclose(np.diff(resized(ramp, Size(16, 8)))[:, 2:-2], 0.5, atol=1e-5)
