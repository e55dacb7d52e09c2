"""Average all frames of a layer into one picture on the reference plane, through the map.

The first mean is plain. Later ones divide slow differences of light out of each frame and weigh outliers
down, so that passing shadows are not in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from nvd_core.image.colour import display_from_linear, linear_from_display
from nvd_core.image.geometry import rescaled, size_of
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import ALONE, LayerView
from nvd_core.lattice.picture.canvas import Average, Canvas, Display, Trust, View, trust
from nvd_core.lattice.picture.inverse import InverseMap, invert
from nvd_core.lattice.picture.photometry import Picture, light_ratio
from nvd_core.lattice.register.spline import LayerMap
from nvd_core.runtime.parallel import WORKERS, map_all, map_ordered
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.spec.conventions import Size

_LIGHT_SIGMA: Final = 1 / 64
"""Sigma of the light that is divided out before averaging, as a part of the frame's width."""

_FARTHEST: Final = 12.0
"""Farthest a pan may go from the reference frame, in frame sizes; beyond it tracking failed."""

_SIDE_LIMIT: Final = 16384
"""Most texels in a row or column: what painting programs open, and graphics cards hold."""


class Frame(NamedTuple):
    """A frame of any size: index, display-encoded colour 0 to 1, and the layer's alpha, 0 to 255."""

    t: int
    colour: Display
    alpha: UInt8[np.ndarray, "height width"]


def lay_out(layer: LayerView, mapping: LayerMap, density: float, largest: float) -> Canvas:
    """Choose the rectangle of the reference plane that holds the layer in all frames, and its density.

    Half a percent of a frame's pixels may lie outside on each side, so that outliers do not enlarge it.
    The density, texels per working px, falls where there would be more than ``largest`` texels, or too many in a row.
    A layer that no frame shows gets the frame's own rectangle.
    """
    if not layer.visible:
        return _canvas(np.zeros(2), np.array(mapping.lattice.size, np.float64), density, largest)

    def extent(t: int) -> Float32[np.ndarray, "2 2"]:
        inside, positions = layer.inside(t), mapping.positions(t, layer.size)
        some = inside[::2, ::2]
        seen = positions[::2, ::2][some] if some.any() else positions[inside]
        return np.percentile(seen, (0.5, 99.5), axis=0).astype(np.float32)

    extents = np.stack(list(map_ordered(extent, layer.visible)))
    reach = np.array(mapping.lattice.size, np.float32)
    low = np.floor(np.maximum(extents[:, 0].min(axis=0) - 3, -_FARTHEST * reach))
    high = np.ceil(np.minimum(extents[:, 1].max(axis=0) + 3, (1 + _FARTHEST) * reach))
    return _canvas(low, high - low + 1, density, largest)


def _canvas(low: Float[np.ndarray, " 2"], sides: Float[np.ndarray, " 2"], density: float, largest: float) -> Canvas:
    density = min(density, _SIDE_LIMIT / float(sides.max()), math.sqrt(largest / float(sides.prod())))
    return Canvas((float(low[0]), float(low[1])), density, Size(*(int(np.ceil(side * density)) for side in sides)))


def invert_all(layer: LayerView, mapping: LayerMap, progress: Progress) -> dict[int, InverseMap]:
    """Invert the map of every frame that shows the layer."""
    limit_px = (1 + _FARTHEST) * max(mapping.lattice.size)

    def inverse(t: int) -> InverseMap:
        return invert(mapping.positions(t, layer.size), layer.box(t), limit_px)

    inverses = map_all(inverse, layer.visible, progress)
    return dict(zip(layer.visible, inverses, strict=True))


def views(
    layer: LayerView,
    mapping: LayerMap,
    inverses: dict[int, InverseMap],
    frames: Iterable[Frame],
    canvas: Canvas,
    before: Display | None,
    at_once: int = WORKERS,
    trusted: Trust = trust,
) -> Iterator[View]:
    """Prepare frames for averaging: weights, and light matched to an earlier mean.

    Args:
        layer: the layer, at working size.
        mapping: its map.
        inverses: the inverse map of each frame.
        frames: those that show the layer.
        canvas: rectangle that they are averaged on.
        before: earlier mean, to whose slow light each frame is matched; None to leave frames as they are.
        at_once: frames in work at a time.
        trusted: weights of pixels.
    """
    picture = None if before is None else coarse_picture(layer, canvas, before)

    def ready(frame: Frame) -> View:
        colour, size = frame.colour, size_of(frame.colour)
        if picture is not None:
            light = _slow_light(layer, mapping, frame.t, canvas, picture)
            colour = colour / cv2.resize(light, size, interpolation=cv2.INTER_LINEAR)
        scale = (size.width / layer.size.width, size.height / layer.size.height)
        return View(colour, trusted(frame.alpha), inverses[frame.t], scale)

    return map_ordered(ready, frames, at_once)


def coarse_picture(layer: LayerView, canvas: Canvas, picture: Display) -> Float32[np.ndarray, "rows columns 3"]:
    """Shrink a picture to about one texel per pixel of a quarter of a frame, so that sampling does not alias."""
    shrink = min(1.0, quarter(layer.size).width * layer.scale / (layer.size.width * canvas.density))
    size = Size(*(max(2, round(side * shrink)) for side in canvas.size))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def coarse_texels(
    texels: Float32[np.ndarray, "height width 2"], canvas: Canvas, picture: Float32[np.ndarray, "rows columns 3"]
) -> Float32[np.ndarray, "height width 2"]:
    """Convert texel positions of a canvas to positions in its :func:`coarse_picture`."""
    return np.dstack(rescaled(texels, canvas.size, size_of(picture)))


def quarter(frame: Size) -> Size:
    """A quarter of the working size: enough for slow light."""
    return Size(max(2, frame.width // 4), max(2, frame.height // 4))


def _slow_light(
    layer: LayerView, mapping: LayerMap, t: int, canvas: Canvas, picture: Display
) -> Float32[np.ndarray, "quarter_height quarter_width 3"]:
    """Ratio of a frame's slow light to the picture's."""
    small = quarter(layer.size)
    frame = cv2.resize(layer.frames[t], small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    inside = cv2.resize(layer.alpha[t], small, interpolation=cv2.INTER_AREA) > ALONE
    surface = warp(picture, coarse_texels(canvas.texels(mapping.positions(t, small)), canvas, picture))
    return light_ratio(frame, surface, inside, max(1.5, _LIGHT_SIGMA * small.width))


def layer_picture(
    layer: LayerView,
    mapping: LayerMap,
    before: Picture | None = None,
    *,
    robust: bool = True,
    density: float = 1.0,
    progress: Progress = SILENT,
) -> Picture:
    """Average the frames into the layer's picture, which frames are registered to.

    Args:
        layer: the layer.
        mapping: its map.
        before: its picture through nearly the same map, which saves the plain mean.
        robust: whether a second, robust mean with evened light follows the plain one.
        density: texels per px of the layer's frames, if there is no picture before.
        progress: of averaging.
    """
    inverting, *averaging = progress.split(3, 3, 4)
    inverses = invert_all(layer, mapping, inverting)

    def mean(canvas: Canvas, earlier: Display | None, part: Progress) -> Average:
        result = Average(canvas, earlier)
        frames = (Frame(t, layer.frames[t].astype(np.float32) / 255, layer.alpha[t]) for t in layer.visible)
        for view in part.track(views(layer, mapping, inverses, frames, canvas, earlier), len(layer.visible)):
            result.add(view)
        return result

    if before is None:
        canvas = lay_out(layer, mapping, density * layer.scale, largest=16.0 * layer.size.width * layer.size.height)
        result = mean(canvas, None, averaging[0])
        if robust:
            result = mean(canvas, result.mean(), averaging[1])
    else:
        canvas = before.canvas
        result = mean(canvas, display_from_linear(before.linear), averaging[1])
    return Picture(linear_from_display(np.maximum(result.mean(), 0)), result.covered(), canvas)
