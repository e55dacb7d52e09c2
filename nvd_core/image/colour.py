"""Convert between display-encoded sRGB and scene-linear Rec.709.

Integer pictures are display-encoded over their full range; float pictures are scene-linear.
Both curves continue above 1 and, mirrored, below 0, so nothing is lost on the way there and back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Num, UInt8

_MANY: Final = 1 << 18
"""Most values that a curve is applied to at a time."""


def linear_from_display(display: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Scene-linear light of display-encoded values (IEC 61966-2-1)."""
    return _by_rows(_light, display)


def _light(display: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    size = np.abs(display, dtype=np.float32)
    light = size + np.float32(0.055)  # in place from here on, as most of the time is memory's
    light /= np.float32(1.055)
    light **= np.float32(2.4)
    np.divide(size, np.float32(12.92), out=light, where=size <= np.float32(0.04045))
    return np.copysign(light, display, out=light)


def display_from_linear(linear: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Display-encoded values of scene-linear light (IEC 61966-2-1)."""
    return _by_rows(_code, linear)


def _code(linear: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    size = np.abs(linear, dtype=np.float32)
    code = size ** np.float32(1 / 2.4)
    code *= np.float32(1.055)
    code -= np.float32(0.055)
    np.multiply(size, np.float32(12.92), out=code, where=size <= np.float32(0.0031308))
    return np.copysign(code, linear, out=code)


def _by_rows(
    curve: Callable[[Float32[np.ndarray, "..."]], Float32[np.ndarray, "..."]], values: Float32[np.ndarray, "..."]
) -> Float32[np.ndarray, "..."]:
    """Apply a curve to a picture, some rows of a large one at a time: temporaries take five times the rows."""
    if values.size <= _MANY:
        return curve(values)
    out, step = np.empty(values.shape, np.float32), max(1, _MANY * len(values) // values.size)
    for top in range(0, len(values), step):
        out[top : top + step] = curve(values[top : top + step])
    return out


_LINEAR_OF_8 = linear_from_display((np.arange(256) / 255).astype(np.float32))


def to_linear(picture: Num[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Scene-linear light of a picture as it was read."""
    if picture.dtype == np.uint8:
        return cv2.LUT(np.ascontiguousarray(picture), _LINEAR_OF_8).reshape(picture.shape)
    if np.issubdtype(picture.dtype, np.integer):
        return linear_from_display(_unit(picture))
    return picture.astype(np.float32, copy=False)


def to_display(picture: Num[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Display-encoded values, 1 = white, of a picture as it was read."""
    if np.issubdtype(picture.dtype, np.integer):
        return _unit(picture)
    return display_from_linear(picture.astype(np.float32, copy=False))


def opacity_of(picture: Num[np.ndarray, "height width chan"]) -> Float32[np.ndarray, "height width"]:
    """Alpha of a picture as it was read, 0 to 1; 1 where it has none."""
    if picture.shape[2] < 4:
        return np.ones(picture.shape[:2], np.float32)
    return (
        to_display(picture[..., 3]) if picture.dtype.kind == "u" else np.clip(picture[..., 3], 0, 1, dtype=np.float32)
    )


def to_uint8(display: Float32[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """8-bit picture of display-encoded values, rounded, clipped to [0, 1]."""
    return np.rint(np.clip(display, 0, 1) * 255).astype(np.uint8)


def luma8(rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width"]:
    """Rec.601 luma of an 8-bit RGB picture, the input of optical flow."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def lab8(rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """CIE Lab of an 8-bit RGB picture, in OpenCV's 8-bit encoding."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)


def _unit(picture: Num[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Scale an integer picture to 0 to 1."""
    return picture.astype(np.float32) / np.iinfo(picture.dtype).max
