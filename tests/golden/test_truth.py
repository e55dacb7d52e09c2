"""The demo clip's own truth: where every point really goes, against where the solved maps say it goes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support import job_of, solve

from nvd_core.faces.demo_clip import DemoClip, write_clip
from nvd_core.image.geometry import transform
from nvd_core.result.decomposition import Decomposition, Frame
from nvd_core.spec.conventions import Size, x_from_u, y_from_v

FIRST, LAST = 9, 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> DemoClip:
    return write_clip(tmp_path_factory.mktemp("golden"), frames=30, size=Size(240, 136))


@pytest.fixture(scope="module")
def decomposition(clip: DemoClip, tmp_path_factory: pytest.TempPathFactory) -> Decomposition:
    folder = tmp_path_factory.mktemp("solved") / "out"
    solve(job_of(clip, preset="standard", frames=f"{FIRST}-{LAST}"), folder)
    return Decomposition.open(folder)


def texels(decomposition: Decomposition, frame: Frame, layer: str) -> np.ndarray:
    rows, columns = decomposition.original(layer).shape[:2]
    uv = frame.layers[layer].uv_atlas
    return np.stack([x_from_u(uv[..., 0], columns), y_from_v(uv[..., 1], rows)], axis=-1)


def sampled(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    at = points.astype(np.float32)[None]
    return cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_LINEAR)[0]


def errors_px(decomposition: Decomposition, clip: DemoClip, layer: str, a: Frame, b: Frame) -> np.ndarray:
    """How far from its true place in frame b the solved maps put each point of frame a, in frame pixels."""
    width, height = decomposition.size
    grid = np.stack(np.meshgrid(np.arange(2, width, 3), np.arange(2, height, 3)), axis=-1).reshape(-1, 2).astype(float)
    to_plane = clip.motions[layer]
    there = transform(np.linalg.inv(to_plane[b.number - 1]) @ to_plane[a.number - 1], grid)
    shown = sampled(a.layers[layer].alpha, grid) > 0.99
    shown &= ((there > 1) & (there < (width - 2, height - 2))).all(axis=1)
    shown[shown] &= sampled(b.layers[layer].alpha, there[shown]) > 0.99
    grid, there = grid[shown], there[shown]
    map_b = texels(decomposition, b, layer)
    miss = sampled(texels(decomposition, a, layer), grid) - sampled(map_b, there)
    along_y, along_x = np.gradient(map_b, axis=(0, 1))
    slopes = np.stack([sampled(along_x, there), sampled(along_y, there)], axis=-1)
    return np.linalg.norm(np.linalg.solve(slopes, miss[..., None])[..., 0], axis=-1)


@pytest.mark.parametrize("layer", ["sign", "background"])
@pytest.mark.parametrize("apart", [1, 5, LAST - FIRST])
def test_points_stay_where_they_truly_are(layer: str, apart: int, decomposition, clip) -> None:
    frames = list(decomposition.frames())
    pairs = list(zip(frames, frames[apart:], strict=False))
    errors = np.concatenate([errors_px(decomposition, clip, layer, a, b) for a, b in pairs])
    assert errors.size > 100
    assert np.median(errors) <= 0.5
    assert np.percentile(errors, 90) <= 1.5


def test_the_check_sees_a_pixel(decomposition: Decomposition, clip: DemoClip) -> None:
    """The truth of the frame after it is not the truth of a frame."""
    a, b, c = list(decomposition.frames([12, 16, 17]))
    wrong = errors_px(decomposition, clip, "sign", a, b._replace(layers=c.layers))
    assert np.median(wrong) > 1


def test_quality_and_no_fold_overs(decomposition: Decomposition) -> None:
    metrics = decomposition.manifest.metrics
    assert metrics["psnr"] > 30
    for layer in metrics["layers"].values():
        assert layer["psnr"] > 27
        assert layer["folded_share"] == 0
        assert layer["uv_flow_error_px"] < 0.7


def test_layers_have_two_texels_a_pixel(decomposition: Decomposition) -> None:
    for layer in ("sign", "background"):
        scales = []
        for frame in decomposition.frames():
            along_y, along_x = np.gradient(texels(decomposition, frame, layer), axis=(0, 1))
            area = np.abs(along_x[..., 0] * along_y[..., 1] - along_x[..., 1] * along_y[..., 0])
            scales.append(np.sqrt(area[frame.layers[layer].alpha > 0.99]))
        assert np.median(np.concatenate(scales)) == pytest.approx(2, rel=0.25)


def test_atlases_keep_the_picture_upright(decomposition: Decomposition) -> None:
    for frame in decomposition.frames():
        for layer, one in frame.layers.items():
            v, u = np.gradient(texels(decomposition, frame, layer), axis=(0, 1))
            seen = one.alpha > 0.99
            assert u[seen][:, 0].min() > 0
            assert v[seen][:, 1].min() > 0


SHARED = Path(__file__).parents[2].parent / "shared" / "clips" / "blackswan"


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no real clip at {SHARED}")
def test_a_real_clip(tmp_path: Path) -> None:
    masks = {"swan": SHARED / "masks" / "object"}
    clip = DemoClip(SHARED / "frames", masks, {})
    solve(job_of(clip, preset="standard", height=216, frames="0-5"), tmp_path / "out")
    metrics = Decomposition.open(tmp_path / "out").manifest.metrics
    assert metrics["psnr"] > 29
    for layer in metrics["layers"].values():
        assert layer["uv_flow_error_px"] < 0.5
        assert layer["folded_share"] < 0.0005
