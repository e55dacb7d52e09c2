"""Blend colours by the modes of Blender's *Mix Color*, at factor 1, unclamped; three channels, linear light."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from jaxtyping import Float32

from nvd_core.spec.edits import Blend

Colour = Float32[np.ndarray, "*point 3"]


def blend(mode: Blend, below: Colour, above: Colour) -> Colour:
    """Blend an upper colour with the one below it."""
    return _BLENDS[mode](below, above)


def _burn(below: Colour, above: Colour) -> Colour:
    return np.where(above <= 0, 0, np.clip(1 - (1 - below) / _not_0(above), 0, 1))


def _dodge(below: Colour, above: Colour) -> Colour:
    light = np.where(above >= 1, 1, np.minimum(below / _not_0(1 - above), 1))
    return np.where(below == 0, 0, light)


def _screen(below: Colour, above: Colour) -> Colour:
    return 1 - (1 - above) * (1 - below)


def _overlay(below: Colour, above: Colour) -> Colour:
    return np.where(below < 0.5, 2 * below * above, 1 - 2 * (1 - above) * (1 - below))


def _soft_light(below: Colour, above: Colour) -> Colour:
    return (1 - below) * above * below + below * _screen(below, above)


def _hue(below: Colour, above: Colour) -> Colour:
    (hue, has_hue, _), (_, saturation, value) = _hsv(above), _hsv(below)
    return np.where(has_hue > 0, _rgb(hue, saturation, value), below)


def _saturation(below: Colour, above: Colour) -> Colour:
    hue, has_hue, value = _hsv(below)
    return np.where(has_hue > 0, _rgb(hue, _hsv(above)[1], value), below)


def _colour(below: Colour, above: Colour) -> Colour:
    hue, saturation, _ = _hsv(above)
    return np.where(saturation > 0, _rgb(hue, saturation, _hsv(below)[2]), below)


def _value(below: Colour, above: Colour) -> Colour:
    hue, saturation, _ = _hsv(below)
    return _rgb(hue, saturation, _hsv(above)[2])


_BLENDS: Final[dict[Blend, Callable[[Colour, Colour], Colour]]] = {
    "MIX": lambda _, above: above,
    "DARKEN": np.minimum,
    "MULTIPLY": np.multiply,
    "BURN": _burn,
    "LIGHTEN": np.maximum,
    "SCREEN": _screen,
    "DODGE": _dodge,
    "ADD": np.add,
    "OVERLAY": _overlay,
    "SOFT_LIGHT": _soft_light,
    "LINEAR_LIGHT": lambda below, above: below + 2 * above - 1,
    "DIFFERENCE": lambda below, above: np.abs(below - above),
    "EXCLUSION": lambda below, above: np.maximum(below + above - 2 * below * above, 0),
    "SUBTRACT": np.subtract,
    "DIVIDE": lambda below, above: np.where(above == 0, below, below / _not_0(above)),
    "HUE": _hue,
    "SATURATION": _saturation,
    "COLOR": _colour,
    "VALUE": _value,
}


def _not_0(values: Float32[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    return np.where(values == 0, np.float32(1), values)


def _hsv(colour: Colour) -> tuple[Float32[np.ndarray, "*point 1"], ...]:
    """Hue 0 to 1, saturation, value."""
    value, least = colour.max(axis=-1, keepdims=True), colour.min(axis=-1, keepdims=True)
    spread = value - least
    red, green, blue = ((value - colour[..., index : index + 1]) / _not_0(spread) for index in range(3))
    is_red, is_green = colour[..., :1] == value, colour[..., 1:2] == value
    hue = np.where(is_red, blue - green, np.where(is_green, 2 + red - blue, 4 + green - red)) / 6 % 1
    saturation = np.where(value != 0, spread / _not_0(value), 0)
    return np.where(saturation != 0, hue, 0), saturation, value


def _rgb(
    hue: Float32[np.ndarray, "*point 1"],
    saturation: Float32[np.ndarray, "*point 1"],
    value: Float32[np.ndarray, "*point 1"],
) -> Colour:
    ramps = np.abs((hue + np.array([0, 2 / 3, 1 / 3], np.float32)) % 1 * 6 - 3) - 1
    return value * (1 + saturation * (np.clip(ramps, 0, 1) - 1))
