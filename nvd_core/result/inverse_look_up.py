"""Carry paint from a frame into an atlas, so that looking the atlas up shows what was painted.

Paint is splatted first, sixteen samples a pixel or more, so that no texel in a stroke is left out where the atlas is
finer than the plate. Then the texels are corrected by least squares, until each pixel is as it was painted.
"""

from __future__ import annotations

import math
from functools import reduce
from operator import matmul
from typing import Final, NamedTuple

import cv2
import numpy as np
import scipy.sparse as sp
from jaxtyping import Bool, Float, Float32, Int
from scipy.sparse.linalg import LinearOperator, aslinearoperator, lsmr

from nvd_core.image.exr import writable
from nvd_core.image.geometry import Box
from nvd_core.result.strokes import Picture, Strokes, mixed
from nvd_core.runtime.parallel import map_ordered
from nvd_core.spec.conventions import x_from_u, y_from_v

_LEAST_COVER: Final = 1 / 512
"""Share of a texel that strokes cover below which it stays as it is."""

_SAMPLES: Final = (4, 16)
"""Fewest and most samples of a pixel along each axis; more than texels, so that none is missed."""

_CLOSE: Final = 0.35 / 255
"""Deviation of a pixel, display-encoded, that is not corrected, so that grain is not sharpened."""

_AROUND: Final = (0.5, 0.03)
"""Weights of pixels without paint that share texels with it, relative to painted ones, one after the other: texels are
found that suit both, and where there are none, those that suit the paint, which then spreads by half a texel."""

_ROUNDS, _STEPS, _DAMPING = 20, 30, 0.01
"""Rounds of correcting the pixels that are not close yet, steps of LSMR in each, and its damping. They bound how
strongly texels that pixels hardly see are moved."""

_BEYOND: Final = 0.25
"""How far texels may go beyond the darkest and brightest of the paint, as a part of the range between them. With less,
sharp strokes are off by more than 2/255 where pixels lie halfway between texels."""

_STALLED: Final = 0.97
"""What a round leaves of the squared deviation at which there is no other round."""

_BLUR: Final = 0.25
"""Passes of a 1 2 1 blur of corrections, for each texel in a pixel: so that they are as smooth as the pixels that ask
for them, and texels between their centres move along."""


class Painted(NamedTuple):
    """A layer in a frame that strokes lie on.

    Attributes:
        uv_atlas: UV pass.
        alpha: visible alpha.
        paint: strokes on this layer alone.
        light: residual that the paint is divided by.
        target: colour that the look-up shall give where there is paint, linear light without residual.
        slope: display-encoded change of the frame for a change of the look-up, by channel.
    """

    uv_atlas: Float32[np.ndarray, "height width 2"]
    alpha: Float32[np.ndarray, "height width"]
    paint: Strokes
    light: Picture
    target: Picture
    slope: Picture


class Texels(NamedTuple):
    """Painted texels of an atlas.

    Attributes:
        rows: of each.
        columns: of each.
        colour: new colour, linear light.
        cover: share of each that strokes cover.
    """

    rows: Int[np.ndarray, " texel"]
    columns: Int[np.ndarray, " texel"]
    colour: Float32[np.ndarray, "texel 3"]
    cover: Float32[np.ndarray, " texel"]


class _Window(NamedTuple):
    """Part of an atlas, and where every pixel of a frame lies in it, texels from its upper left corner."""

    box: Box
    x: Float32[np.ndarray, "height width"]
    y: Float32[np.ndarray, "height width"]


def texels_in_pixel(shape: tuple[int, int], layer: Painted) -> float:
    """Median number of an atlas's texels in a painted pixel."""
    positions = _positions(shape, layer)
    (x_down, x_across), (y_down, y_across) = (np.gradient(at) for at in positions)
    return float(np.median(np.abs(x_across * y_down - x_down * y_across)[layer.paint.opacity > 0]))


def carry(atlas: Float32[np.ndarray, "rows columns 3"], layer: Painted) -> Texels:
    """Compute the texels of an atlas that show a layer's paint.

    Args:
        atlas: as it is, linear light.
        layer: with the paint in the frame.
    """
    window = _window(atlas.shape[:2], layer)
    part = np.ascontiguousarray(atlas[window.box.slices])
    before = part.reshape(-1, 3)
    splatted, cover = _splat(before, window, layer)
    touched = np.flatnonzero(cover > _LEAST_COVER)
    colour = before.copy()
    colour[touched] = splatted[touched]
    colour[touched] = _corrected(before, colour, touched, window, layer)
    rows, columns = np.unravel_index(touched, part.shape[:2])
    left, top = int(window.box.left), int(window.box.top)
    return Texels(rows + top, columns + left, writable(colour[touched]), cover[touched])


def _positions(
    shape: tuple[int, int], layer: Painted
) -> tuple[Float32[np.ndarray, "height width"], Float32[np.ndarray, "height width"]]:
    """Where in an atlas every pixel looks, px, within its texel centres."""
    rows, columns = shape
    x, y = x_from_u(layer.uv_atlas[..., 0], columns), y_from_v(layer.uv_atlas[..., 1], rows)
    return np.clip(x, 0, columns - 1).astype(np.float32), np.clip(y, 0, rows - 1).astype(np.float32)


def _window(shape: tuple[int, int], layer: Painted) -> _Window:
    """Find the part of an atlas that holds the footprints of all painted pixels."""
    rows, columns = shape
    x, y = _positions(shape, layer)
    near = cv2.dilate((layer.paint.opacity > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    left, top, right, bottom = (math.floor(one) for one in (x[near].min(), y[near].min(), x[near].max(), y[near].max()))
    # A texel more, as the last position, too, has a neighbour; a part of one row or column holds it twice.
    box = Box(
        min(left, max(columns - 2, 0)), min(top, max(rows - 2, 0)), min(right + 2, columns), min(bottom + 2, rows)
    )
    return _Window(box, x - np.float32(box.left), y - np.float32(box.top))


def _look_ups(x: Float32[np.ndarray, " pixel"], y: Float32[np.ndarray, " pixel"], window: _Window) -> sp.csr_array:
    """Matrix of bilinear look-ups: a row for each position, a column for each texel of the window."""
    width, height = window.box.size
    column, row = (
        np.clip(np.floor(at).astype(np.int32), 0, max(side - 2, 0)) for at, side in ((x, width), (y, height))
    )
    across, down = (np.clip(at - start, 0, 1) for at, start in ((x, column), (y, row)))
    first, right, below = row * width + column, int(width > 1), width * int(height > 1)
    texels = np.stack([first, first + right, first + below, first + below + right], axis=1)
    weights = np.stack(
        [(1 - across) * (1 - down), across * (1 - down), (1 - across) * down, across * down], axis=1, dtype=np.float32
    )
    starts = np.arange(0, texels.size + 1, 4, dtype=np.int32 if texels.size < 1 << 31 else np.int64)
    return sp.csr_array((weights.ravel(), texels.ravel(), starts), shape=(len(x), width * height))


def _splat(
    before: Float32[np.ndarray, "texel 3"], window: _Window, layer: Painted
) -> tuple[Float32[np.ndarray, "texel 3"], Float32[np.ndarray, " texel"]]:
    """Lay strokes over the texels of a window by splatting the pixels between their centres, too.

    Returns:
        Colour of every texel with the strokes over it, linear light, and the share that they cover.
    """
    paint, seen = layer.paint, layer.alpha
    share = seen * paint.opacity
    planes = np.dstack(
        [window.x, window.y, seen, share, share[..., None] * paint.colour, share[..., None] * layer.light]
    )
    near = cv2.dilate((paint.opacity > 0).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    row, column = np.nonzero(near)
    total = np.zeros((len(before), 8), np.float32)
    count = _samples(window, near)
    offsets = (np.arange(count, dtype=np.float32) + 0.5) / count - 0.5
    for down in offsets:
        for across in offsets:
            x, y, *rest = np.moveaxis(_between(planes, row, column, across, down), -1, 0)
            inside = (x >= 0) & (y >= 0) & (x <= window.box.size.width - 1) & (y <= window.box.size.height - 1)
            values = np.stack(rest, axis=-1)[inside]
            total += _look_ups(x[inside], y[inside], window).T @ values
    cover = total[:, 1] / np.maximum(total[:, 0], 1e-6)
    hit = np.maximum(total[:, 1:2], 1e-6)
    colour, light = total[:, 2:5] / hit, np.maximum(total[:, 5:] / hit, 1e-6)
    painted = mixed(before * light, colour, np.minimum(cover, 1), is_display=paint.is_display) / light
    return painted, cover


def _samples(window: _Window, near: Bool[np.ndarray, "height width"]) -> int:
    """Samples of a pixel along each axis: more than there are texels between neighbouring pixels."""
    steps = [np.abs(slope)[near] for at in (window.x, window.y) for slope in np.gradient(at)]
    return int(np.clip(math.ceil(1.5 * float(np.percentile(steps, 99))), *_SAMPLES))


def _between(
    planes: Float32[np.ndarray, "height width chan"],
    row: Int[np.ndarray, " pixel"],
    column: Int[np.ndarray, " pixel"],
    across: np.float32,
    down: np.float32,
) -> Float32[np.ndarray, "pixel chan"]:
    """Interpolate planes at an offset of less than a pixel from chosen pixels."""
    height, width = planes.shape[:2]
    beside = np.clip(column + int(np.sign(across)), 0, width - 1)
    under = np.clip(row + int(np.sign(down)), 0, height - 1)
    across, down = abs(across), abs(down)
    upper = (1 - across) * planes[row, column] + across * planes[row, beside]
    lower = (1 - across) * planes[under, column] + across * planes[under, beside]
    return (1 - down) * upper + down * lower


def _corrected(
    before: Float32[np.ndarray, "texel 3"],
    colour: Float32[np.ndarray, "texel 3"],
    touched: Int[np.ndarray, " touched"],
    window: _Window,
    layer: Painted,
) -> Float32[np.ndarray, "touched 3"]:
    """Correct splatted texels by damped least squares (LSMR, Fong and Saunders, 2011), so that pixels show the paint.

    Pixels that are close enough keep what they show, so that grain is not sharpened. Pixels without paint that share
    texels with it are to stay as they are, with less weight.
    """
    at = np.flatnonzero((layer.alpha > 0) & _is_within(window))
    look_ups = _look_ups(window.x.ravel()[at], window.y.ravel()[at], window)
    is_paint = layer.paint.opacity.ravel()[at] > 0
    target = np.where(is_paint[:, None], layer.target.reshape(-1, 3)[at], look_ups @ before)
    slope = layer.slope.reshape(-1, 3)[at]
    is_off = (np.abs(slope * (target - look_ups @ colour)) > _CLOSE).any(axis=-1)
    moved = touched[np.diff(look_ups[is_off][:, touched].tocsc().indptr) > 0]
    if not len(moved):
        return colour[touched]
    unknown = look_ups[:, moved]
    shared = np.flatnonzero(np.diff(unknown.indptr) > 0)
    look_ups, unknown, is_paint, target, slope = (one[shared] for one in (look_ups, unknown, is_paint, target, slope))
    texels = colour[moved].copy()
    target = target - (look_ups @ colour - unknown @ texels)  # without the texels that do not move
    blur = _blur(window, moved, round(_BLUR * len(touched) / np.count_nonzero(layer.paint.opacity)))

    def corrected(channel: int) -> Float32[np.ndarray, " moved"]:
        one = texels[:, channel]
        for around in _AROUND:
            weight = slope[:, channel] * np.where(is_paint, 1.0, around)
            one = _nearer(one, sp.diags_array(weight) @ unknown, weight * target[:, channel], blur)
        return one

    colour[moved] = np.stack([*map_ordered(corrected, range(3))], axis=-1)
    return colour[touched]


def _nearer(
    texels: Float32[np.ndarray, " texel"], matrix: sp.csr_array, aim: Float[np.ndarray, " pixel"], blur: LinearOperator
) -> Float32[np.ndarray, " texel"]:
    """Move texels until every product with the matrix is close to its aim, or no nearer to it by another round."""
    room = _BEYOND * np.ptp(texels)
    low, high = texels.min() - room, texels.max() + room
    smooth, left = aslinearoperator(matrix) @ blur, np.inf
    for _ in range(_ROUNDS):
        miss = aim - matrix @ texels
        miss -= np.clip(miss, -_CLOSE, _CLOSE)
        left, before = float(miss @ miss), left
        if np.abs(miss).max() < _CLOSE / 2 or left > _STALLED * before:
            break
        change = blur @ lsmr(smooth, miss, damp=_DAMPING, atol=0, btol=0, maxiter=_STEPS)[0]
        texels = np.clip(texels + change, low, high, dtype=np.float32)
    return texels


def _blur(window: _Window, texels: Int[np.ndarray, " texel"], passes: int) -> LinearOperator:
    """Operator that blurs some texels of a window by their neighbours among them, 1 2 1 along both axes."""
    across, down = (
        sp.eye_array(side) / 2 + (sp.eye_array(side, k=1) + sp.eye_array(side, k=-1)) / 4 for side in window.box.size
    )
    once = sp.csr_array(sp.kron(down, across, format="csr")[texels][:, texels])
    return reduce(matmul, [aslinearoperator(once)] * passes, aslinearoperator(sp.eye_array(len(texels))))


def _is_within(window: _Window) -> Bool[np.ndarray, "height width"]:
    width, height = window.box.size
    return (window.x >= 0) & (window.y >= 0) & (window.x <= width - 1) & (window.y <= height - 1)
