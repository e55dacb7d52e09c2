"""Clean light: the light on a background without the shadows of the objects before it, also where they hide it.

What is beside an object in a frame lies in its shadow and in its reflection, so light under the object is not
extrapolated from there. Light is sampled where the background is seen alone, on a grid of the atlas, in every frame.
Its logarithm is the sum of three parts, which are known everywhere, at all times:

- of lamps and exposure: a polynomial over each frame, to which shadows are outliers;
- of places: the light in which a place is seen when it is lit. Shadows darken, and pass;
- the rest, smooth in space and time: a robust mean, so that shadows are not in it either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Float16, Float32
from scipy.ndimage import gaussian_filter

from nvd_core.image.filters import fill_holes
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import ALONE, LayerView
from nvd_core.lattice.picture.average import coarse_picture, coarse_texels, quarter
from nvd_core.lattice.picture.canvas import Canvas
from nvd_core.lattice.picture.photometry import Linear, light_ratio
from nvd_core.lattice.register.spline import LayerMap
from nvd_core.runtime.parallel import map_ordered
from nvd_core.runtime.progress import Progress
from nvd_core.spec.conventions import Size

_ACROSS: Final = 64
"""Cells of the grid across a frame. On two clips with known truth 128 are no better."""

_MOST_NODES: Final = 4096
"""Most nodes of the grid, which bounds memory; a long pan gets larger cells."""

_SIGMA_PX: Final = 1.5
"""Sigma of the local means that a sample of light compares, px at a quarter of the working size."""

_RIM_PX: Final = 2
"""Pixels beside an object that are not sampled, at a quarter of the working size: contact shadow, matte spill."""

_LIT: Final = 0.75
"""Quantile of a place's brightness over time that counts as lit. Measured as dB in the mask of removed objects, on a
rolling ball, on two objects that cross, and on a sign before a passing lamp: 0.6 gives 36.9, 25.8, 30.8; 0.75 gives
36.9, 28.5, 30.7; 0.9 gives 36.9, 29.6, 30.7, but takes light that falls for a tenth of a clip for the usual one."""

_LIT_WIDTH: Final = 0.1
"""Difference of log light within which samples count as lit alike."""

_ROUNDS: Final = 3
"""Rounds in which the parts of lamps and of places are found by turns."""

_STEPS: Final = 4
"""Steps of mean shift from the quantile to the centre of the lit samples."""

_SMOOTH: Final = (3.0, 3.0, 3.0)
"""Sigmas of the smooth rest: frames, rows and columns of the grid. It gains 1 dB where a lamp passes, and loses 0.2 and
0.15 dB where objects have shadows; twice as wide it gains 0.3 dB, and loses nothing."""

_SCALES: Final = (0.3, 0.1, 0.05, 0.05)
"""Scales of the robust fits in their passes, log light: ever fewer outliers count."""

_RIDGE: Final = 1e-4
"""Weight that draws a frame's polynomial to zero, as a part of all samples' weight, where these leave it open."""

_NOTHING: Final = 1e-3
"""Weight of no rest at all, which counts where no sample is near."""

_LARGEST: Final = 3.0
"""Largest logarithm of light, which light_ratio bounds alike."""


@final
@dataclass(frozen=True)
class CleanLight:
    """Light of a layer as if nothing were before it, at all times.

    Attributes:
        stops: natural logarithm of the residual, at nodes that are evenly spaced from the first texel of the atlas to
            the last.
    """

    stops: Float16[np.ndarray, "frame rows columns 3"]

    def at(self, t: int, texels: Float32[np.ndarray, "height width 2"], atlas: Size) -> Linear:
        """Residual of a frame at texel positions of the atlas, which has that size."""
        rows, columns = self.stops.shape[1:3]
        return np.exp(warp(self.stops[t].astype(np.float32), texels * _nodes_per_texel(Size(columns, rows), atlas)))


class _Samples(NamedTuple):
    """Light of all frames at the nodes of the grid: its logarithm, and the weight of each, 0 where it is unknown."""

    stops: Float32[np.ndarray, "frame node 3"]
    weight: Float32[np.ndarray, "frame node"]


def grid_of(canvas: Canvas, frame: Size) -> Size:
    """Number of nodes of the grid along x and y, for the working size of the frames."""
    side = max(frame.width / _ACROSS * canvas.density, (canvas.size.width * canvas.size.height / _MOST_NODES) ** 0.5)
    return Size(*(max(2, round(texels / side)) for texels in canvas.size))


def _nodes_per_texel(grid: Size, atlas: Size) -> Float32[np.ndarray, " 2"]:
    """Nodes of the grid per texel, along x and y: the outermost nodes lie on the outermost texels."""
    sides = zip(grid, atlas, strict=True)
    return np.array([(nodes - 1) / max(1, texels - 1) for nodes, texels in sides], np.float32)


def estimate_clean_light(
    layer: LayerView,
    mapping: LayerMap,
    canvas: Canvas,
    atlas: Float16[np.ndarray, "height width 4"],
    progress: Progress,
) -> CleanLight:
    """Estimate the light of a background without objects, in every frame.

    Args:
        layer: the background, at working size.
        mapping: its finished map.
        canvas: rectangle of the reference plane that the atlas covers.
        atlas: its atlas.
        progress: of sampling the frames.
    """
    grid = grid_of(canvas, layer.size)
    samples = _sample(layer, mapping, canvas, atlas, grid, progress)
    stops = _lamps_and_places(samples, grid)
    stops += _smooth_rest(_Samples(samples.stops - stops, samples.weight), grid)
    stops = np.clip(stops, -_LARGEST, _LARGEST).astype(np.float16)
    return CleanLight(stops.reshape(layer.count, grid.height, grid.width, 3))


def _sample(
    layer: LayerView,
    mapping: LayerMap,
    canvas: Canvas,
    atlas: Float16[np.ndarray, "height width 4"],
    grid: Size,
    progress: Progress,
) -> _Samples:
    """Measure the light of every frame at the nodes, where the layer is seen alone and away from others' rims."""
    small, nodes = quarter(layer.size), grid.width * grid.height
    picture = coarse_picture(layer, canvas, np.minimum(atlas[..., :3].astype(np.float32), 1))  # as frames are
    whole = (small.width / _ACROSS) ** 2  # about the pixels of a cell
    beside = np.ones((2 * _RIM_PX + 1, 2 * _RIM_PX + 1), np.uint8)

    def sampled(t: int) -> tuple[Float32[np.ndarray, "node 3"], Float32[np.ndarray, " node"]]:
        frame = cv2.resize(layer.linear(t), small, interpolation=cv2.INTER_AREA)
        alone = cv2.resize(layer.alpha[t], small, interpolation=cv2.INTER_AREA) > ALONE
        alone = cv2.erode(alone.astype(np.uint8), beside) > 0
        texels = canvas.texels(mapping.positions(t, small))
        surface = warp(picture, coarse_texels(texels, canvas, picture))
        light = np.log(light_ratio(frame, surface, alone, _SIGMA_PX))
        nearest = np.rint(texels[alone] * _nodes_per_texel(grid, canvas.size)).astype(int)
        column, row = np.clip(nearest, 0, np.array([grid.width - 1, grid.height - 1])).T
        node = row * grid.width + column
        count = np.bincount(node, minlength=nodes)
        sums = [np.bincount(node, light[..., channel][alone], nodes) for channel in range(3)]
        return (
            (np.stack(sums, axis=-1) / np.maximum(count, 1)[:, None]).astype(np.float32),
            np.minimum(count / whole, 1).astype(np.float32),
        )

    samples = _Samples(np.zeros((layer.count, nodes, 3), np.float32), np.zeros((layer.count, nodes), np.float32))
    for t, (stops, weight) in enumerate(progress.track(map_ordered(sampled, range(layer.count)), layer.count)):
        samples.stops[t], samples.weight[t] = stops, weight
    return samples


def _lamps_and_places(samples: _Samples, grid: Size) -> Float32[np.ndarray, "frame node 3"]:
    """Fit the light of each frame's lamps and that of each place by turns, as median polish does (Tukey, 1977)."""
    stops, weight = samples
    seen = weight.sum(axis=0) > 0
    lamps, place = np.zeros_like(stops), np.zeros(stops.shape[1:], np.float32)
    for _ in range(_ROUNDS if seen.any() else 0):
        place = _lit(_Samples(stops - lamps, weight))
        lamps = _smooth_over_frames(_Samples(stops - place, weight), grid)
    shape = (grid.height, grid.width)
    return lamps + fill_holes(place.reshape(*shape, 3), seen.reshape(shape).astype(np.float32)).reshape(-1, 3)


def _lit(samples: _Samples) -> Float32[np.ndarray, "node 3"]:
    """Light in which each node is seen when it is lit: mean shift over time from the bright end of its brightness."""
    bright = samples.stops.mean(axis=-1)

    def near(centre: Float32[np.ndarray, " node"]) -> Float32[np.ndarray, "frame node"]:
        weight = samples.weight / (1 + ((bright - centre) / _LIT_WIDTH) ** 2) ** 2
        return weight / np.maximum(weight.sum(axis=0), 1e-9)

    centre = _quantile(bright, samples.weight, _LIT)
    for _ in range(_STEPS):
        centre = (near(centre) * bright).sum(axis=0)
    return np.einsum("tn,tnc->nc", near(centre), samples.stops)


def _smooth_over_frames(samples: _Samples, grid: Size) -> Float32[np.ndarray, "frame node 3"]:
    """Fit a cubic polynomial to the light over each frame; one that shows nothing has that between those around it."""
    known = np.flatnonzero(samples.weight.any(axis=1))
    lamps = np.stack([_polynomial(samples.stops[t], samples.weight[t], grid) for t in known])
    place = np.interp(np.arange(len(samples.stops)), known, np.arange(len(known)))
    before, after = np.floor(place).astype(int), np.ceil(place).astype(int)
    share = (place - before).astype(np.float32)[:, None, None]
    return lamps[before] + share * (lamps[after] - lamps[before])


def _polynomial(
    stops: Float32[np.ndarray, "node 3"], weight: Float32[np.ndarray, " node"], grid: Size
) -> Float32[np.ndarray, "node 3"]:
    """Fit a cubic polynomial by iteratively reweighted least squares, from the median on: shadows are outliers.

    Beyond the nodes that the frame shows it is continued as it is at their bounding box.
    """
    row, column = np.divmod(np.arange(grid.width * grid.height), grid.width)
    some, axes = weight > 0, []
    for place in (column, row):
        low, high = place[some].min(), place[some].max()
        axes.append(np.clip((2.0 * place - low - high) / max(1, high - low), -1, 1))
    terms = np.stack([axes[0] ** i * axes[1] ** j for i in range(4) for j in range(4 - i)], axis=-1)
    fit = np.broadcast_to(_quantile(stops, np.repeat(weight[:, None], 3, axis=1), 0.5), stops.shape)
    for scale in _SCALES:
        trusted = weight / (1 + np.square(stops - fit).mean(axis=-1) / scale**2)
        normal = terms.T @ (trusted[:, None] * terms) + _RIDGE * weight.sum() * np.eye(terms.shape[1])
        fit = terms @ np.linalg.solve(normal, terms.T @ (trusted[:, None] * stops))
    return fit.astype(np.float32)


def _quantile(
    values: Float32[np.ndarray, "sample series"], weight: Float32[np.ndarray, "sample series"], share: float
) -> Float32[np.ndarray, " series"]:
    """Weighted quantile of each series."""
    order = np.argsort(values, axis=0, kind="stable")
    below = np.cumsum(np.take_along_axis(weight, order, axis=0), axis=0)
    index = np.minimum((below < share * below[-1:]).sum(axis=0, keepdims=True), len(values) - 1)
    return np.take_along_axis(values, np.take_along_axis(order, index, axis=0), axis=0)[0]


def _smooth_rest(samples: _Samples, grid: Size) -> Float32[np.ndarray, "frame node 3"]:
    """Robust mean of the rest over space and time: normalised convolution (Knutsson and Westin, 1993), reweighted."""
    volume = (len(samples.stops), grid.height, grid.width)

    def smooth(values: Float32[np.ndarray, "frame node"]) -> Float32[np.ndarray, "frame node"]:
        return gaussian_filter(values.reshape(volume), _SMOOTH, mode="constant").reshape(values.shape)

    rest = np.zeros_like(samples.stops)
    for scale in _SCALES:
        apart = np.square(samples.stops - rest).mean(axis=-1)
        weight = samples.weight / (1 + apart / scale**2)
        total = smooth(weight) + np.float32(_NOTHING)
        for channel in range(3):
            rest[..., channel] = smooth(weight * samples.stops[..., channel]) / total
    return rest
