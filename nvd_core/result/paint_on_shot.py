"""Paint on the picture of one frame: strokes go into the atlases of the layers seen there, and every frame follows.

Each layer's colour is divided by its residual in that frame. So the frame shows the painted colour, and the others show
it in their own light.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Shaped

from nvd_core.clip.pictures import MOST_PIXELS
from nvd_core.image.colour import display_from_linear, to_linear
from nvd_core.image.exr import Pixels, read_stored, writable, write_exr
from nvd_core.image.geometry import Box, pixel_grid, size_of
from nvd_core.image.sample import resample
from nvd_core.result.composite import Composite, LayerEdits, composite
from nvd_core.result.decomposition import AtlasColour, Decomposition, Frame
from nvd_core.result.inverse_look_up import Painted, Texels, carry, texels_in_pixel
from nvd_core.result.rendering import open_edits
from nvd_core.result.strokes import Picture, Strokes, read_strokes
from nvd_core.runtime.host import one_thread_each
from nvd_core.runtime.writer import sole_writer
from nvd_core.shot.compositing import changed, keep_plate, look_up, owned, paint
from nvd_core.spec.atlas_pairs import Pair
from nvd_core.spec.atlas_undo import exchanging, undo
from nvd_core.spec.conventions import HIDDEN_BELOW, RIM, TOLERANCE_ABSOLUTE, TOLERANCE_RELATIVE, Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import sha256
from nvd_core.spec.manifest import Kind, inside

ALONE: Final = 0.99
"""Visible alpha from which a layer alone makes up a pixel: there the frame shows what was painted."""

SHOWN_WITHIN: Final = 2 / 255
"""Deviation from what was painted that counts as the same, display-encoded."""

_LEAST_LIGHT: Final = 0.02
"""Least residual that paint is divided by: in deeper shadow it would be glaring in every other frame."""

_NOTICED: Final = 2.4
"""Difference from the untouched atlas that counts as paint, in tolerances: 2, and some for what rounding takes."""

_SAME: Final = 1 / 255
"""Difference from what is seen without a layer's paint, display-encoded, at which its paint is taken off."""

_ENOUGH_TEXELS: Final = 2.25
"""Texels in a pixel from which sharp strokes come out as painted, wherever they lie between the texels."""


class PaintedFrame(NamedTuple):
    """Paint on one frame.

    Attributes:
        number: of the plate.
        texels: number of painted texels of each layer that got strokes.
        pixels: number of painted pixels that a single layer makes up.
        off: number of those that show another colour than was painted, by more than 2/255, display-encoded.
    """

    number: int
    texels: dict[str, int]
    pixels: int
    off: int


def paint_on_shot(
    decomposition: Decomposition, number: int, picture: Path, only: str | None = None, *, finer: bool = False
) -> PaintedFrame:
    """Carry paint from the picture of a frame into the atlases, so that the frame shows what was painted.

    Args:
        decomposition: opened.
        number: of the frame.
        picture: transparent, with the strokes alone; or opaque, the frame with strokes on it.
        only: name of the layer that alone gets paint; by default all that are seen under the strokes.
        finer: enlarge an atlas threefold where it has fewer texels than the strokes need.

    Raises:
        InputError: there is no such frame or layer, the picture or an atlas cannot be used, or nothing is painted where
            a layer is seen.
    """
    names = decomposition.manifest.names
    if only is not None and only not in names:
        raise decomposition.no_layer(only)
    with one_thread_each(), sole_writer(decomposition.folder):
        frame = decomposition.one_frame(number)
        pairs = {name: _pair(decomposition, name) for name in names}
        digests = {name: _digest(pair.painted) for name, pair in pairs.items()}
        edits = open_edits(decomposition)
        shown = _shown(decomposition, frame, edits).linear
        strokes = read_strokes(picture, to_linear(frame.plate), shown)
        places = _places(frame, strokes.opacity > 0, [only] if only else [*names])
        if not places:
            where = f"{only} is not seen" if only else "no layer is seen"
            raise InputError(f"The strokes lie where {where} in frame {number}", where=picture)
        texels = {}
        with exchanging(decomposition.folder, {pairs[name]: digests[name] for name in places}) as new:
            for name, place in places.items():
                layer = _layer(frame, name, place, strokes, shown, edits[name])
                stored = _stored(name, pairs[name].painted)
                if finer and texels_in_pixel(stored["R"].shape, layer) < _ENOUGH_TEXELS:
                    stored = _threefold(stored, pairs[name].painted)
                texels[name] = carry(_colour(stored), layer)
                _put(stored, texels[name])
                write_exr(new[pairs[name]], stored)
                edits[name] = edits[name]._replace(painted=_colour(stored))
        after = _shown(decomposition, frame, edits).linear
    counted = _counted(frame, places, strokes.over(shown), after)
    return PaintedFrame(number, {name: len(one.cover) for name, one in texels.items()}, *counted)


def undo_paint(decomposition: Decomposition) -> list[Path]:
    """Restore the atlases of before the last paint on the shot; a second time, those of after it.

    Returns:
        Paths of the restored atlases.

    Raises:
        InputError: there is nothing to undo, or an atlas has been painted or solved anew since.
    """
    with sole_writer(decomposition.folder):
        return undo(decomposition.folder, [_pair(decomposition, name) for name in decomposition.manifest.names])


def _pair(decomposition: Decomposition, name: str) -> Pair:
    manifest, folder = decomposition.manifest, decomposition.folder
    return Pair(inside(folder, manifest.atlas_files[name]), inside(folder, manifest.original_files[name]))


def _digest(path: Path) -> str:
    if not path.is_file():
        raise InputError("The atlas is missing", where=path, hint="Put it back, or copy its .orig.exr there.")
    return sha256(path)


def _shown(decomposition: Decomposition, frame: Frame, edits: Mapping[str, LayerEdits]) -> Composite:
    """Render a frame with these edits."""
    kinds: list[Kind] = [layer.kind for layer in decomposition.manifest.layers]
    return composite(frame, kinds, edits, "keep-plate", {})


def _places(
    frame: Frame, strokes: Bool[np.ndarray, "height width"], names: list[str]
) -> dict[str, Bool[np.ndarray, "height width"]]:
    """Pixels where each layer gets paint; a layer that gets none is left out.

    On the soft edge between layers they are those that alone make up painted pixels beside it: a stroke on an object
    does not run out over the background behind its edge. Where there are none, as on hair, all that are seen get it.
    """
    reach = max(2, 3 * round(RIM * len(strokes)))
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    alphas = {name: frame.layers[name].alpha for name in names}
    near = {
        name: cv2.dilate((strokes & (alpha >= ALONE)).astype(np.uint8), around) > 0 for name, alpha in alphas.items()
    }
    nobody = ~np.any([near[name] & (alphas[name] >= HIDDEN_BELOW) for name in names], axis=0)
    places = {name: strokes & (alpha >= HIDDEN_BELOW) & (near[name] | nobody) for name, alpha in alphas.items()}
    return {name: place for name, place in places.items() if place.any()}


def _layer(
    frame: Frame,
    name: str,
    place: Bool[np.ndarray, "height width"],
    strokes: Strokes,
    shown: Picture,
    edits: LayerEdits,
) -> Painted:
    """What a layer is to show in the frame, cropped to its paint and a margin.

    Args:
        frame: painted on.
        name: of the layer.
        place: pixels where it gets paint.
        strokes: all of them.
        shown: the frame as rendered now, linear light.
        edits: of the layer as they are now.
    """
    left, top, width, height = cv2.boundingRect(place.astype(np.uint8))
    rows, columns = Box(left, top, left + width, top + height).pixels_within(size_of(place), margin=2).slices
    part, shown = frame.layers[name], shown[rows, columns]
    uv_atlas, alpha, residual = (one[rows, columns] for one in (part.uv_atlas, part.alpha, part.residual))
    plate = to_linear(frame.plate[rows, columns])
    own = Strokes(
        strokes.colour[rows, columns],
        np.where(place, strokes.opacity, np.float32(0))[rows, columns],
        strokes.is_display,
    )
    surface, untouched = (look_up(atlas, uv_atlas) for atlas in (edits.painted, edits.original))
    light, share = np.maximum(residual, np.float32(_LEAST_LIGHT)), alpha[..., None]
    wanted, slope = own.over(shown), _slope(own.over(shown))
    # The layer's paint is taken out of the frame, and the formula of keep_plate solved for what to paint instead.
    without = shown - (keep_plate(plate, alpha, residual, paint(surface, untouched), untouched) - plate)
    replaced = owned(alpha)[..., None] * (residual * untouched - plate)
    exact = untouched + (wanted - without - replaced) / np.maximum(share * light, np.float32(1e-3))
    exact = _noticeable(exact, untouched, wanted - without, light, slope)
    target = np.where(share >= ALONE, exact, own.over(light * surface) / light)
    seen = np.where(alpha >= HIDDEN_BELOW, alpha, np.float32(0))
    return Painted(uv_atlas, seen, own, light, writable(target), slope * light * share)


def _noticeable(exact: Picture, original: Picture, change: Picture, light: Picture, slope: Picture) -> Picture:
    """Move paint that is hardly other than the atlas by as little as lets the compositor take it for paint.

    Where the frame shows the same without paint, it is taken off: every other frame shows its plate there, too.

    Args:
        exact: colour of the atlas that shows what was painted.
        original: colour of the untouched atlas.
        change: of the frame by this layer's paint, linear light.
        light: residual.
        slope: derivative of the display's curve.
    """
    tolerance = TOLERANCE_RELATIVE * np.maximum(exact, original).max(axis=-1) + TOLERANCE_ABSOLUTE
    brightest = np.arange(3) == original.argmax(axis=-1)[..., None]  # where it is seen least
    push = np.where(exact < original, np.float32(-1), np.float32(1)) * (_NOTICED * tolerance)[..., None]
    pushed = np.where(brightest, original + push, exact)
    lost = (1 - changed(exact, original))[..., None] * change
    is_worse = np.abs(slope * lost).max(axis=-1) > np.abs(slope * light * (pushed - exact)).max(axis=-1)
    is_same = np.abs(slope * change).max(axis=-1) < _SAME
    return np.where(is_same[..., None], original, np.where(is_worse[..., None], pushed, exact))


def _slope(linear: Picture) -> Picture:
    """Derivative of the display's curve at these values of linear light."""
    return np.where(
        linear <= np.float32(0.0031308),
        np.float32(12.92),
        np.float32(1.055 / 2.4) * np.maximum(linear, np.float32(0.0031308)) ** np.float32(1 / 2.4 - 1),
    )


def _stored(layer: str, path: Path) -> dict[str, Pixels]:
    """Read the channels of a layer's atlas as they are stored."""
    _, stored = read_stored(path)
    if not {*"RGB"} <= stored.keys():
        raise InputError(f"The atlas of {layer} has no R, G, B", where=path, hint="Save it as RGB.")
    return {name: pixels.copy() for name, pixels in stored.items()}


def _colour(stored: dict[str, Pixels]) -> AtlasColour:
    return np.stack([stored[name] for name in "RGB"], axis=-1, dtype=np.float32)


def _threefold(stored: dict[str, Shaped[np.ndarray, "rows columns"]], path: Path) -> dict[str, Pixels]:
    """Enlarge an atlas threefold. Texel centres fall on texel centres, so that every look-up gives what it gave."""
    rows, columns = stored["R"].shape
    size = Size(3 * columns, 3 * rows)
    if size.width * size.height > MOST_PIXELS:
        message = f"The atlas would be {size}, which is too large to be read"
        raise InputError(message, where=path, hint="Paint without making it finer.")
    grid = pixel_grid(size)
    x, y = ((grid[..., axis] - 1) / 3 for axis in (0, 1))
    return {name: resample(one.astype(np.float32), x, y).astype(one.dtype) for name, one in stored.items()}


def _put(stored: dict[str, Pixels], texels: Texels) -> None:
    """Put painted texels into an atlas; all others, and all other channels, keep their bits."""
    at = texels.rows, texels.columns
    for name, value in zip("RGB", texels.colour.T, strict=True):
        stored[name][at] = value
    if "A" in stored:
        stored["A"][at] = np.maximum(stored["A"][at], np.minimum(texels.cover, 1))


def _counted(
    frame: Frame, places: dict[str, Bool[np.ndarray, "height width"]], wanted: Picture, shown: Picture
) -> tuple[int, int]:
    """Count the painted pixels that one layer makes up, and those of them that show another colour than was painted."""
    alone = np.any([place & (frame.layers[name].alpha >= ALONE) for name, place in places.items()], axis=0)
    wanted, shown = (np.clip(display_from_linear(one[alone]), 0, 1) for one in (wanted, shown))
    return len(shown), int(np.count_nonzero(np.abs(wanted - shown).max(axis=-1, initial=0) > SHOWN_WITHIN))
