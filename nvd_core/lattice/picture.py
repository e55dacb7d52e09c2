"""The flat picture of a layer: a robust mean of all frames, seen through the map.

The first mean is plain. In the next ones slow differences of light are taken out of each frame, and
frames that differ count less, so that what passes over the surface is not in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Iterator
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from nvd_core.clip.colour import display_from_linear, linear_from_display
from nvd_core.conventions import Size, rescale_px
from nvd_core.lattice.canvas import Average, Canvas, Display, View, trust
from nvd_core.lattice.imaging import warp
from nvd_core.lattice.inverse import InverseMap, invert
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.photometry import Picture, light_ratio
from nvd_core.lattice.spline import LayerMap
from nvd_core.parallel import WORKERS, map_ordered
from nvd_core.steps import gathered, spread

_LIGHT_SIGMA: Final = 1 / 64
"""Light slower than this part of the frame's width is evened out before frames are averaged."""

_FARTHEST: Final = 12.0
"""A pan may go this many frames away from the reference frame; what lies further was not followed."""

_SIDE_LIMIT: Final = 16384
"""Texels in a row or column: what painting programs open, and graphics cards hold."""


class Frame(NamedTuple):
    """A frame of any size: its index, display-encoded colour, and the layer's alpha, 0 to 255."""

    t: int
    colour: Display
    alpha: UInt8[np.ndarray, "height width"]


def lay_out(layer: LayerView, mapping: LayerMap, density: float, largest: float) -> Canvas:
    """The rectangle of the reference plane that holds the layer in all frames.

    Half a percent of a frame's pixels may lie outside on each side, so that a few stray ones do not
    blow it up. The density falls where there would be more than ``largest`` texels, or too many in a
    row. A layer that no frame shows gets an empty frame.
    """
    if not layer.visible:
        return _canvas(np.zeros(2), np.array(layer.size, np.float64), density, largest)

    def extent(t: int) -> Float32[np.ndarray, "2 2"]:
        inside, positions = layer.inside(t), mapping.positions(t)
        some = inside[::2, ::2]
        seen = positions[::2, ::2][some] if some.any() else positions[inside]
        return np.percentile(seen, (0.5, 99.5), axis=0).astype(np.float32)

    extents = np.stack(list(map_ordered(extent, layer.visible)))
    reach = np.array(layer.size, np.float32)
    low = np.floor(np.maximum(extents[:, 0].min(axis=0) - 3, -_FARTHEST * reach))
    high = np.ceil(np.minimum(extents[:, 1].max(axis=0) + 3, (1 + _FARTHEST) * reach))
    return _canvas(low, high - low + 1, density, largest)


def _canvas(low: Float[np.ndarray, " 2"], sides: Float[np.ndarray, " 2"], density: float, largest: float) -> Canvas:
    density = min(density, _SIDE_LIMIT / float(sides.max()), math.sqrt(largest / float(sides.prod())))
    return Canvas((float(low[0]), float(low[1])), density, Size(*(int(np.ceil(side * density)) for side in sides)))


def invert_all(layer: LayerView, mapping: LayerMap) -> Generator[float, None, dict[int, InverseMap]]:
    """The map turned around, for every frame that shows the layer."""
    limit_px = (1 + _FARTHEST) * max(layer.size)
    turned = map_ordered(lambda t: invert(mapping.positions(t), layer.box(t), limit_px), layer.visible)
    return dict(zip(layer.visible, (yield from gathered(turned, len(layer.visible))), strict=True))


def views(
    layer: LayerView,
    mapping: LayerMap,
    inverses: dict[int, InverseMap],
    frames: Iterable[Frame],
    canvas: Canvas,
    before: Display | None,
    at_once: int = WORKERS,
) -> Iterator[View]:
    """Frames made ready for averaging.

    Args:
        layer: the layer, at working size.
        mapping: its map.
        inverses: its map turned around.
        frames: those that show the layer.
        canvas: what they are averaged on.
        before: the mean so far; its light is given to each frame.
        at_once: so many frames are worked on at a time.
    """
    picture = None if before is None else _coarse(layer, canvas, before)

    def ready(frame: Frame) -> View:
        colour, size = frame.colour, Size(frame.colour.shape[1], frame.colour.shape[0])
        if picture is not None:
            light = _slow_light(layer, mapping, frame.t, canvas, picture)
            colour = colour / cv2.resize(light, size, interpolation=cv2.INTER_LINEAR)
        scale = (size.width / layer.size.width, size.height / layer.size.height)
        return View(colour, trust(frame.alpha), inverses[frame.t], scale)

    return map_ordered(ready, frames, at_once)


def _coarse(layer: LayerView, canvas: Canvas, picture: Display) -> Float32[np.ndarray, "rows columns 3"]:
    """A picture with about one texel a pixel of :func:`_slow_light`, so that looking it up misses nothing."""
    shrink = min(1.0, _small(layer).width / (layer.size.width * canvas.density))
    size = Size(*(max(2, round(side * shrink)) for side in canvas.size))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _small(layer: LayerView) -> Size:
    """A quarter of the working size: enough for what is smooth."""
    return Size(max(2, layer.size.width // 4), max(2, layer.size.height // 4))


def _slow_light(
    layer: LayerView, mapping: LayerMap, t: int, canvas: Canvas, picture: Display
) -> Float32[np.ndarray, "quarter_height quarter_width 3"]:
    """Light of a frame against the picture's."""
    small = _small(layer)
    frame = cv2.resize(layer.frames[t], small, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    inside = cv2.resize(layer.alpha[t], small, interpolation=cv2.INTER_AREA) > 229
    texels = canvas.texels(mapping.positions(t, small))
    coarse = [rescale_px(texels[..., axis], canvas.size[axis], picture.shape[1 - axis]) for axis in (0, 1)]
    surface = warp(picture, np.stack(coarse, axis=-1).astype(np.float32))
    return light_ratio(frame, surface, inside, max(1.5, _LIGHT_SIGMA * small.width))


def layer_picture(
    layer: LayerView, mapping: LayerMap, before: Picture | None = None, *, robust: bool = True, density: float = 1.0
) -> Generator[float, None, Picture]:
    """The layer's picture at working size, for comparing frames with.

    Args:
        layer: the layer.
        mapping: its map.
        before: its picture through a map that was nearly the same, which saves the plain mean.
        robust: whether the light is evened out and what differs counts less.
        density: texels a working pixel, if there is no picture before.

    Yields:
        The part that is done, 0 to 1.
    """
    inverses = yield from spread(invert_all(layer, mapping), 0, 0.3)

    def mean(canvas: Canvas, earlier: Display | None) -> Generator[float, None, Average]:
        result = Average(canvas, earlier)
        frames = (Frame(t, layer.frames[t].astype(np.float32) / 255, layer.alpha[t]) for t in layer.visible)
        for done, view in enumerate(views(layer, mapping, inverses, frames, canvas, earlier)):
            result.add(view)
            yield done / len(layer.visible)
        return result

    if before is None:
        canvas = lay_out(layer, mapping, density, largest=16.0 * layer.size.width * layer.size.height)
        result = yield from spread(mean(canvas, None), 0.3, 0.3)
        if robust:
            result = yield from spread(mean(canvas, result.mean()), 0.6, 0.4)
    else:
        canvas = before.canvas
        result = yield from spread(mean(canvas, display_from_linear(before.linear)), 0.3, 0.7)
    return Picture(linear_from_display(np.maximum(result.mean(), 0)), result.covered(), canvas)
