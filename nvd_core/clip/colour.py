"""Display-encoded sRGB and scene-linear Rec.709, and the step from one to the other.

Integer pictures are display-encoded over their full range; float pictures are scene-linear.
Both curves continue above 1 and, mirrored, below 0, so nothing is lost on the way there and back.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, Num, UInt8


def linear_from_display(display: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Scene-linear light of display-encoded values (IEC 61966-2-1)."""
    size = np.abs(display)
    light = np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)
    return np.copysign(light, display).astype(np.float32, copy=False)


def display_from_linear(linear: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Display-encoded values of scene-linear light (IEC 61966-2-1)."""
    size = np.abs(linear)
    code = np.where(size <= 0.0031308, size * 12.92, 1.055 * size ** (1 / 2.4) - 0.055)
    return np.copysign(code, linear).astype(np.float32, copy=False)


_LINEAR_OF_8 = linear_from_display((np.arange(256) / 255).astype(np.float32))


def to_linear(picture: Num[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Scene-linear light of a picture as it was read."""
    if picture.dtype == np.uint8:
        return _LINEAR_OF_8[picture]
    if np.issubdtype(picture.dtype, np.integer):
        return linear_from_display(_unit(picture))
    return picture.astype(np.float32, copy=False)


def to_display(picture: Num[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """Display-encoded values, 1 = white, of a picture as it was read."""
    if np.issubdtype(picture.dtype, np.integer):
        return _unit(picture)
    return display_from_linear(picture.astype(np.float32, copy=False))


def to_uint8(display: Float32[np.ndarray, "..."]) -> UInt8[np.ndarray, "..."]:
    """8-bit picture of display-encoded values, rounded, clipped to [0, 1]."""
    return np.rint(np.clip(display, 0, 1) * 255).astype(np.uint8)


def luma8(rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width"]:
    """Rec.601 luma of an 8-bit picture, what optical flow looks at."""
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)


def _unit(picture: Num[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    return picture.astype(np.float32) / np.iinfo(picture.dtype).max
