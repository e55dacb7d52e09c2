"""Axes, units and constants that the whole project shares, stated once.

Arrays are ``(frame, height, width, channel)``; layer 0 is in front and the background is last.
Pixel ``i`` has its centre at ``i`` in ``*_px`` coordinates (x right, y down from the top row).
``uv_atlas`` is the STMap convention: [0, 1], origin bottom-left, texel centre ``(i + 0.5) / size``.
Every conversion between the two goes through this module. Arguments may be floats or arrays.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeVar

BACKGROUND: Final = "background"
"""Name of the last layer, which every decomposition has."""

TOLERANCE_RELATIVE: Final = 0.01
TOLERANCE_ABSOLUTE: Final = 0.001
"""Largest difference of a texel from the original, relative and absolute, in linear light, that does not count
as paint. Saving an atlas with 8 bits a channel changes as much, and no painter can see it."""

OWNED_FROM: Final = 0.9
"""Alpha from which a layer begins to own a pixel, wholly at 1: painted colour replaces the plate."""

HIDDEN_BELOW: Final = 0.02
"""Visible alpha below which a layer counts as hidden; white and black of masks in compressed videos are not quite."""

SEEN_FROM: Final = 1e-5
"""Share of a frame's pixels that show a layer, above which the layer is seen in it."""

RIM: Final = 1 / 270
"""Width of an object's rim that has its colour, as a part of the frame's height: masks are some pixels off."""

LEFT_AT_LEAST: Final = 1e-4
"""Least share of a pixel that layers in front leave to those behind; less cannot be told from rounding."""

LEAST_LIGHT: Final = 1e-3
"""Least residual by which a colour is divided."""

LEAST_PX: Final = 32
"""Least working width, px: narrower pictures have nothing to track."""

T = TypeVar("T")


class Size(NamedTuple):
    """Width and height of a picture in pixels."""

    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


def working_size(plate: Size, lines: int) -> Size:
    """Scale the plate's size to this height; never larger than the plate, nor narrower than 32 px."""
    lines = max(lines, math.ceil(LEAST_PX * plate.height / plate.width))
    if lines >= plate.height:
        return plate
    return Size(max(2, round(plate.width * lines / plate.height / 2) * 2), lines)


def u_from_x(x_px: T, width: int) -> T:
    """Convert x, px, to u, 0 to 1."""
    return (x_px + 0.5) / width  # type: ignore[operator]


def v_from_y(y_px: T, height: int) -> T:
    """Convert y, px down, to v, 0 to 1 up."""
    return 1 - (y_px + 0.5) / height  # type: ignore[operator]


def x_from_u(u: T, width: int) -> T:
    """Convert u, 0 to 1, to x, px."""
    return u * width - 0.5  # type: ignore[operator]


def y_from_v(v: T, height: int) -> T:
    """Convert v, 0 to 1 up, to y, px down."""
    return (1 - v) * height - 0.5  # type: ignore[operator]


def rescale_px(position_px: T, source: float, target: float) -> T:
    """Convert a position, px, along one axis of a picture that is resized from ``source`` to ``target`` px."""
    return (position_px + 0.5) * (target / source) - 0.5  # type: ignore[operator]
