"""Read what is painted on the picture of a frame: a transparent sheet of strokes, or the whole picture."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float32

from nvd_core.clip.pictures import read_picture
from nvd_core.image.colour import display_from_linear, linear_from_display, opacity_of, to_display
from nvd_core.image.exr import writable
from nvd_core.shot.compositing import changed
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError

Picture = Float32[np.ndarray, "height width 3"]
Colours = Float32[np.ndarray, "*pixel 3"]

_LEAST_OPACITY: Final = 1 / 512
"""Opacity below which nothing is painted: half a step of 8 bits."""


class Strokes(NamedTuple):
    """Paint over the picture of a frame.

    Attributes:
        colour: of the paint, display-encoded or linear light.
        opacity: 0 to 1.
        is_display: whether colours are display-encoded and mixed so, as programs that paint on 8 and 16 bits do.
    """

    colour: Picture
    opacity: Float32[np.ndarray, "height width"]
    is_display: bool

    def over(self, below: Picture) -> Picture:
        """Lay the strokes over a picture in linear light."""
        return mixed(below, self.colour, self.opacity, is_display=self.is_display)


def mixed(below: Colours, colour: Colours, opacity: Float32[np.ndarray, "*pixel"], *, is_display: bool) -> Colours:
    """Lay colour over linear light; where it is transparent, that stays to the last bit.

    Args:
        below: linear light.
        colour: display-encoded or linear light.
        opacity: 0 to 1.
        is_display: whether ``colour`` is display-encoded, and is mixed so.
    """
    share = opacity[..., None]
    if not is_display:
        return below + share * (colour - below)
    coded = display_from_linear(below)
    return np.where(share > 0, linear_from_display(coded + share * (colour - coded)), below)


def read_strokes(path: Path, plate: Picture, shown: Picture) -> Strokes:
    """Read strokes from a picture of a frame: those of a transparent sheet, or what differs from the frame.

    A picture without transparency is painted on the plate or on the frame as it is rendered now: what equals either is
    no stroke, so that paint of another frame stays.

    Args:
        path: PNG, JPEG, TIFF, EXR or DPX. An EXR's colour is premultiplied, that of the others is not.
        plate: of the frame, linear light.
        shown: the frame as rendered now, linear light.

    Raises:
        InputError: the picture cannot be read, is grey or has another size than the plate, or nothing is painted on it.
    """
    picture = read_picture(path)
    height, width, channels = picture.shape
    if channels < 3:
        raise InputError("The painted picture is grey", where=path, hint="Save it as RGB.")
    if picture.shape[:2] != plate.shape[:2]:
        plate_size = Size(*plate.shape[1::-1])
        message = f"The painted picture is {Size(width, height)}, the plate is {plate_size}"
        raise InputError(message, where=path, hint="Paint on a frame of the plate's size.")
    is_display = picture.dtype.kind == "u"
    alpha = opacity_of(picture)
    colour = to_display(picture[..., :3]) if is_display else writable(picture[..., :3].astype(np.float32))
    if (alpha < 1).any():
        if not is_display and path.suffix.lower() == ".exr":
            colour = colour / np.maximum(alpha, _LEAST_OPACITY)[..., None]
        strokes = Strokes(colour, np.where(alpha < _LEAST_OPACITY, np.float32(0), alpha), is_display)
    else:
        strokes = _differing(colour, (plate, shown), is_display=is_display)
    if not strokes.opacity.any():
        raise InputError("Nothing is painted on the picture", where=path, hint="Paint on it, and save it.")
    return strokes


def _differing(colour: Picture, frames: tuple[Picture, Picture], *, is_display: bool) -> Strokes:
    """Strokes on an opaque picture: what differs from each of the frames that it may be painted on."""
    linear, painted = linear_from_display(colour) if is_display else colour, np.ones(colour.shape[:2], bool)
    for frame in frames:
        # 8 bits clip what is brighter than white: white there is not paint.
        same = np.where((colour >= 1) & (frame > 1) | (colour <= 0) & (frame < 0), frame, linear)
        painted &= changed(same if is_display else linear, frame) > 0
    return Strokes(colour, painted.astype(np.float32), is_display)
