"""Axes, units and names that the whole project shares, stated once.

Arrays are ``(frame, height, width, channel)``; layer 0 is in front and the background is last.
Pixel ``i`` has its centre at ``i`` in ``*_px`` coordinates (x right, y down from the top row).
``uv_atlas`` is the STMap convention: [0, 1], origin bottom-left, texel centre ``(i + 0.5) / size``.
Every conversion between the two goes through this module. Arguments may be floats or arrays.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

BACKGROUND: Final = "background"
"""Name of the last layer, which every decomposition has."""

TOLERANCE_RELATIVE: Final = 0.01
TOLERANCE_ABSOLUTE: Final = 0.001
"""A painted texel counts as changed when it differs from the original by more than this, in linear
light. It is what saving an atlas with 8 bits a channel may change, and no painter can see it."""

OWNED_FROM: Final = 0.9
"""From this alpha upwards, and wholly at 1, a layer owns a pixel: painted colour replaces the plate."""

LEFT_AT_LEAST: Final = 1e-4
"""Where layers in front leave less than this of a pixel, what is behind them cannot be told from rounding."""

T = TypeVar("T")


class Size(NamedTuple):
    """Width and height of a picture in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def working_size(plate: Size, lines: int) -> Size:
    """The plate's shape at this height; never larger than the plate."""
    if lines >= plate.height:
        return plate
    return Size(max(2, round(plate.width * lines / plate.height / 2) * 2), lines)


def u_from_x(x_px: T, width: int) -> T:
    """Horizontal atlas coordinate of a pixel position."""
    return (x_px + 0.5) / width  # type: ignore[operator]


def v_from_y(y_px: T, height: int) -> T:
    """Vertical atlas coordinate (up) of a pixel position (down)."""
    return 1 - (y_px + 0.5) / height  # type: ignore[operator]


def x_from_u(u: T, width: int) -> T:
    """Pixel position of a horizontal atlas coordinate."""
    return u * width - 0.5  # type: ignore[operator]


def y_from_v(v: T, height: int) -> T:
    """Pixel position (down) of a vertical atlas coordinate (up)."""
    return (1 - v) * height - 0.5  # type: ignore[operator]


def rescale_px(position_px: T, source: int, target: int) -> T:
    """The same point of a picture after a change of its size along one axis."""
    return (position_px + 0.5) * (target / source) - 0.5  # type: ignore[operator]
