"""What a finished decomposition is worth, measured on the files that were written."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.clip.colour import display_from_linear, luma8, to_display, to_uint8
from nvd_core.compositing import look_up, rebuild
from nvd_core.conventions import Size, working_size, x_from_u, y_from_v
from nvd_core.decomposition import Decomposition, Frame
from nvd_core.diagnosis import Examination, Findings
from nvd_core.diagnosis.evidence import Look, Step
from nvd_core.metrics import PooledPsnr, Texels, folded, pull, step_flow, uv_flow_error_px
from nvd_core.parallel import map_ordered
from nvd_core.settings import Settings, working_lines
from nvd_core.shot import resized

_FLOW_EVERY: Final = 4
"""UV flow errors are taken at every 4th pixel each way."""

_STAYS: Final = 0.3
"""UV flow errors are taken where at least this part of a layer is still seen in the next frame."""


def measure(
    decomposition: Decomposition, examination: Examination | None = None
) -> Generator[float, None, dict[str, Any]]:
    """Measure every frame.

    Args:
        decomposition: on disk, its metrics not yet known.
        examination: takes from every frame what it makes diagnoses of.

    Yields:
        The part that is measured, 0 to 1.

    Returns:
        ``psnr`` of the rebuilt frames and ``psnr_atlas_only`` (residual off), at working size;
        ``psnr_plate`` at the plate's; for each layer ``psnr`` and ``psnr_atlas_only`` over its own pixels,
        the median and 90th percentile of the UV flow error (px at working size), how much detail its light
        carries (RMS, stops), and the share of its pixels that are folded over.
    """
    manifest = decomposition.manifest
    size = working_size(decomposition.size, working_lines(Settings(**manifest.settings)))
    atlases = {name: decomposition.original(name) for name in manifest.layers}
    sizes = {name: Size(atlas.shape[1], atlas.shape[0]) for name, atlas in atlases.items()}
    plate_psnr, whole = PooledPsnr(), _Pair()
    layers = {name: _LayerMeasure() for name in manifest.layers}

    def look(frame: Frame) -> Look:
        surfaces = {name: look_up(atlases[name], layer.uv_atlas) for name, layer in frame.layers.items()}
        flat = rebuild([(one.alpha, np.ones_like(one.residual), surfaces[name]) for name, one in frame.layers.items()])
        plate, rebuilt = to_display(frame.plate), display_from_linear(frame.rebuilt)
        return Look(
            plate_squares=PooledPsnr.of(rebuilt, plate),
            plate=resized(plate, size),
            rebuilt=resized(rebuilt, size),
            flat=resized(display_from_linear(flat), size),
            alphas={name: resized(layer.alpha, size) for name, layer in frame.layers.items()},
            details={name: _light_detail(layer.residual, layer.alpha, size) for name, layer in frame.layers.items()},
            texels={
                name: resized(_texels(layer.uv_atlas, atlases[name]), size) for name, layer in frame.layers.items()
            },
            atlases=sizes,
        )

    def follow(pair: tuple[Look | None, Look]) -> tuple[Step, Findings | None]:
        before, now = pair
        flow = () if before is None else step_flow(*(luma8(to_uint8(one.plate)) for one in (before, now)))
        step = Step(before, now, *flow)
        return step, examination and examination.look(step)

    pairs = _each_with_the_one_before(decomposition.over_frames(look))
    for done, (step, findings) in enumerate(map_ordered(follow, pairs)):
        plate_psnr.merge(step.now.plate_squares)
        whole.add(step.now, slice(None))
        for name, layer in layers.items():
            layer.add(name, step)
        if examination and findings:
            examination.keep(size, findings)
        yield (done + 1) / len(manifest.source.numbers)
    return {
        "psnr": round(whole.rebuilt.decibels, 3),
        "psnr_atlas_only": round(whole.flat.decibels, 3),
        "psnr_plate": round(plate_psnr.decibels, 3),
        "size": str(size),
        "layers": {name: layer.summary() for name, layer in layers.items()},
    }


def _each_with_the_one_before(looks: Iterable[Look]) -> Iterator[tuple[Look | None, Look]]:
    before = None
    for now in looks:
        yield before, now
        before = now


@dataclass
class _Pair:
    """PSNR with and without the residual."""

    rebuilt: PooledPsnr = field(default_factory=PooledPsnr)
    flat: PooledPsnr = field(default_factory=PooledPsnr)

    def add(self, look: Look, where: slice | Bool[np.ndarray, "height width"]) -> None:
        self.rebuilt.add(look.rebuilt[where], look.plate[where])
        self.flat.add(look.flat[where], look.plate[where])


@dataclass
class _LayerMeasure:
    """What is measured of one layer."""

    pair: _Pair = field(default_factory=_Pair)
    flow_errors: list[Float32[np.ndarray, " pixel"]] = field(default_factory=list)
    detail_squares: float = 0.0
    folded: int = 0
    pixels: int = 0

    def add(self, name: str, step: Step) -> None:
        before, now, flow_px, sure = step
        inside = now.alphas[name] > 0.5
        self.pair.add(now, inside)
        self.folded += int(np.count_nonzero(folded(now.texels[name]) & inside))
        self.detail_squares += float((now.details[name][inside] ** 2).sum())
        self.pixels += int(np.count_nonzero(inside))
        if before is None or flow_px is None or sure is None:
            return
        core = cv2.erode(before.alphas[name], np.ones((3, 3), np.uint8)) > 0.9
        stays = pull(cv2.erode(now.alphas[name], np.ones((3, 3), np.uint8)), flow_px) > 0.9
        if np.count_nonzero(core & stays) < _STAYS * np.count_nonzero(core):
            return  # it moves so far that flow from plate to plate says nothing of it
        chosen = np.zeros_like(sure)
        chosen[::_FLOW_EVERY, ::_FLOW_EVERY] = (sure & core & stays)[::_FLOW_EVERY, ::_FLOW_EVERY]
        self.flow_errors.append(uv_flow_error_px(before.texels[name], now.texels[name], flow_px, chosen))

    def summary(self) -> dict[str, float | None]:
        errors = np.concatenate(self.flow_errors) if self.flow_errors else np.zeros(0)
        median, most = np.percentile(errors, (50, 90)) if errors.size else (None, None)
        return {
            "psnr": round(self.pair.rebuilt.decibels, 3) if self.pixels else None,
            "psnr_atlas_only": round(self.pair.flat.decibels, 3) if self.pixels else None,
            "uv_flow_error_px": None if median is None else round(float(median), 3),
            "uv_flow_error_p90_px": None if most is None else round(float(most), 3),
            "light_detail_stops": round((self.detail_squares / self.pixels) ** 0.5, 3) if self.pixels else None,
            "folded_share": round(self.folded / self.pixels, 6) if self.pixels else None,
        }


def _light_detail(
    residual: Float32[np.ndarray, "height width 3"], alpha: Float32[np.ndarray, "height width"], size: Size
) -> Float32[np.ndarray, "lines columns"]:
    """What of a layer's light, in stops, is finer than light is: its distance from its own surroundings' mean."""
    stops = np.log2(np.maximum(resized(residual, size).mean(axis=-1), 1e-6))
    share = resized(alpha, size)
    sigma_px = size.width / 50
    return stops - cv2.GaussianBlur(stops * share, (0, 0), sigma_px) / (
        cv2.GaussianBlur(share, (0, 0), sigma_px) + 1e-6
    )


def _texels(uv_atlas: Texels, atlas: Float32[np.ndarray, "rows columns 3"]) -> Texels:
    rows, columns = atlas.shape[:2]
    return np.stack([x_from_u(uv_atlas[..., 0], columns), y_from_v(uv_atlas[..., 1], rows)], axis=-1)
