"""Measure a finished decomposition on its written files: PSNR, UV flow error, folds, detail in the light."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.image.colour import display_from_linear, luma8, to_display, to_linear, to_uint8
from nvd_core.image.exr import HALF_MOST, writable
from nvd_core.image.filters import blur, channel_mean
from nvd_core.image.geometry import size_of
from nvd_core.image.sample import resized, warp_by_flow
from nvd_core.quality.diagnosis import Examination, Findings
from nvd_core.quality.diagnosis.evidence import FramePair, MeasuredFrame
from nvd_core.quality.metrics import PooledPsnr, Texels, folded, squared_errors, step_flow, uv_flow_error_px
from nvd_core.result.decomposition import Decomposition, Frame
from nvd_core.runtime.parallel import map_ordered
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.shot.compositing import look_up, rebuild
from nvd_core.spec.conventions import Size, x_from_u, y_from_v

_FLOW_EVERY: Final = 4
"""Stride of the pixels at which UV flow errors are measured."""

_INSIDE: Final = 0.5
"""Alpha above which a pixel is a layer's own."""

_UNLIT: Final = np.ones((1, 1, 3), np.float32)

_STAYS: Final = 0.3
"""Smallest part of a layer's core still seen in the next frame at which its UV flow error is measured."""


def measure(
    decomposition: Decomposition, examination: Examination | None = None, progress: Progress = SILENT
) -> dict[str, Any]:
    """Measure every frame of a decomposition.

    Args:
        decomposition: on disk, without metrics.
        examination: collector of each frame's evidence for diagnoses.
        progress: of measuring.

    Returns:
        ``psnr`` of the rebuilt frames and ``psnr_atlas_only`` (residual off), at working size;
        ``psnr_plate`` at the plate's; for each layer the same three over its own pixels, the median and 90th
        percentile of the UV flow error (px at working size), how much detail its light carries (RMS, stops), and
        the share of its pixels that are folded over.
    """
    manifest = decomposition.manifest
    size = manifest.solution.size
    atlases = {name: decomposition.original(name) for name in manifest.names}
    sizes = {name: size_of(atlas) for name, atlas in atlases.items()}
    plate_psnr, whole = PooledPsnr(), _Pair()
    layers = {name: _LayerMeasure() for name in manifest.names}

    def seen(frame: Frame) -> MeasuredFrame:
        flat = rebuild((one.alpha, _UNLIT, look_up(atlases[name], one.uv_atlas)) for name, one in frame.layers.items())
        plate, rebuilt = to_display(writable(frame.plate)), display_from_linear(frame.rebuilt)
        errors, small = squared_errors(rebuilt, plate), resized(plate, size)
        flat_display = resized(display_from_linear(flat), size)
        return MeasuredFrame(
            plate_psnr=PooledPsnr.of(errors),
            layer_psnrs={name: PooledPsnr.of(errors[layer.alpha > _INSIDE]) for name, layer in frame.layers.items()},
            plate=small,
            errors=errors if small is plate else squared_errors(resized(rebuilt, size), small),
            flat=flat_display,
            flat_errors=squared_errors(flat_display, small),
            alphas={name: resized(layer.alpha, size) for name, layer in frame.layers.items()},
            details={name: _light_detail(layer.residual, layer.alpha, size) for name, layer in frame.layers.items()},
            texels={
                name: resized(_texels(layer.uv_atlas, atlases[name]), size) for name, layer in frame.layers.items()
            },
            atlases=sizes,
            brightest=_brightest(frame),
            place=manifest.background,
        )

    def follow(pair: tuple[MeasuredFrame | None, MeasuredFrame]) -> tuple[FramePair, Findings | None]:
        before, now = pair
        flow = () if before is None else step_flow(*(luma8(to_uint8(one.plate)) for one in (before, now)))
        step = FramePair(before, now, *flow)
        return step, examination and examination.look(step)

    pairs = _with_previous(decomposition.over_frames(seen))
    for step, findings in progress.track(map_ordered(follow, pairs), len(manifest.source.numbers)):
        plate_psnr.merge(step.now.plate_psnr)
        whole.add(step.now, slice(None))
        for name, layer in layers.items():
            layer.add(name, step)
        if examination and findings:
            examination.keep(size, findings)
    return {
        "psnr": round(whole.rebuilt.decibels, 3),
        "psnr_atlas_only": round(whole.flat.decibels, 3),
        "psnr_plate": round(plate_psnr.decibels, 3),
        "size": str(size),
        "layers": {name: layer.summary() for name, layer in layers.items()},
    }


def _with_previous(looks: Iterable[MeasuredFrame]) -> Iterator[tuple[MeasuredFrame | None, MeasuredFrame]]:
    """Pair each frame with the one before it; None before the first."""
    before = None
    for now in looks:
        yield before, now
        before = now


@dataclass
class _Pair:
    """Pooled PSNR of the rebuilt frames, and of the frames without residual."""

    rebuilt: PooledPsnr = field(default_factory=PooledPsnr)
    flat: PooledPsnr = field(default_factory=PooledPsnr)

    def add(self, look: MeasuredFrame, where: slice | Bool[np.ndarray, "height width"]) -> None:
        self.rebuilt.merge(PooledPsnr.of(look.errors[where]))
        self.flat.merge(PooledPsnr.of(look.flat_errors[where]))


@dataclass
class _LayerMeasure:
    """Running measures of one layer."""

    pair: _Pair = field(default_factory=_Pair)
    at_plate: PooledPsnr = field(default_factory=PooledPsnr)
    flow_errors: list[Float32[np.ndarray, " pixel"]] = field(default_factory=list)
    detail_squares: float = 0.0
    folded: int = 0
    pixels: int = 0

    def add(self, name: str, step: FramePair) -> None:
        before, now, flow_px, sure = step
        inside = now.alphas[name] > _INSIDE
        self.at_plate.merge(now.layer_psnrs[name])
        self.pair.add(now, inside)
        self.folded += int(np.count_nonzero(folded(now.texels[name]) & inside))
        self.detail_squares += float((now.details[name][inside] ** 2).sum())
        self.pixels += int(np.count_nonzero(inside))
        if before is None or flow_px is None or sure is None:
            return
        core = cv2.erode(before.alphas[name], np.ones((3, 3), np.uint8)) > 0.9
        stays = warp_by_flow(cv2.erode(now.alphas[name], np.ones((3, 3), np.uint8)), flow_px) > 0.9
        if np.count_nonzero(core & stays) < _STAYS * np.count_nonzero(core):
            return  # it moves too far for flow between plates to be a measure
        chosen = np.zeros_like(sure)
        chosen[::_FLOW_EVERY, ::_FLOW_EVERY] = (sure & core & stays)[::_FLOW_EVERY, ::_FLOW_EVERY]
        self.flow_errors.append(uv_flow_error_px(before.texels[name], now.texels[name], flow_px, chosen))

    def summary(self) -> dict[str, float | None]:
        errors = np.concatenate(self.flow_errors) if self.flow_errors else np.zeros(0)
        median, most = np.percentile(errors, (50, 90)) if errors.size else (None, None)
        return {
            "psnr": round(self.pair.rebuilt.decibels, 3) if self.pixels else None,
            "psnr_atlas_only": round(self.pair.flat.decibels, 3) if self.pixels else None,
            "psnr_plate": round(self.at_plate.decibels, 3) if self.at_plate.count else None,
            "uv_flow_error_px": None if median is None else round(float(median), 3),
            "uv_flow_error_p90_px": None if most is None else round(float(most), 3),
            "light_detail_stops": round((self.detail_squares / self.pixels) ** 0.5, 3) if self.pixels else None,
            "folded_share": round(self.folded / self.pixels, 6) if self.pixels else None,
        }


def _brightest(frame: Frame) -> frozenset[str]:
    """Find the layers of largest alpha in pixels whose plate or rebuilt frame reaches the limit of half floats."""
    brightest = np.maximum(np.abs(to_linear(frame.plate)), np.abs(frame.rebuilt))
    if brightest.max() < HALF_MOST:
        return frozenset()
    is_reached = brightest.max(axis=-1) >= HALF_MOST
    most = np.max([layer.alpha for layer in frame.layers.values()], axis=0)
    return frozenset(
        name for name, layer in frame.layers.items() if (is_reached & (layer.alpha == most) & (most > 0)).any()
    )


def _light_detail(
    residual: Float32[np.ndarray, "height width 3"], alpha: Float32[np.ndarray, "height width"], size: Size
) -> Float32[np.ndarray, "lines columns"]:
    """Fine detail of a layer's residual, stops: difference from its local mean over a 50th of the width."""
    stops = np.log2(np.maximum(channel_mean(resized(residual, size)), 1e-6))
    share = resized(alpha, size)
    sigma_px = size.width / 50
    return stops - blur(stops * share, sigma_px) / (blur(share, sigma_px) + 1e-6)


def _texels(uv_atlas: Texels, atlas: Float32[np.ndarray, "rows columns 3"]) -> Texels:
    """Convert STMap coordinates, 0 to 1, to texel positions."""
    rows, columns = atlas.shape[:2]
    return np.stack([x_from_u(uv_atlas[..., 0], columns), y_from_v(uv_atlas[..., 1], rows)], axis=-1)
