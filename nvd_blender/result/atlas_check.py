"""Whether a picture can be a layer's atlas: the rules of ``nvd render``, where Blender would show it without a word."""

from __future__ import annotations

from array import array
from math import isfinite
from pathlib import Path

import bpy

from nvd_core.spec.atlas_faults import check_shape, cropped, not_finite
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import Manifest, inside

from .exr_header import has_own_window


def check(layer: str, path: Path, original: Size | None) -> Size:
    """Refuse a picture that cannot be a layer's atlas; its size is returned.

    Args:
        layer: whose atlas.
        path: of the picture.
        original: size of the layer's atlas as it was solved; None for that one itself.

    Raises:
        InputError: it cannot be read, is cropped, of another shape, or holds what is not a number.
    """
    try:
        is_cropped = has_own_window(path)
        image = bpy.data.images.load(str(path))  # of its own: one that is shown stays as it is
    except (OSError, RuntimeError):
        raise _unreadable(path) from None
    try:
        size = Size(*image.size)
        if not all(size):
            raise _unreadable(path)
        if is_cropped:
            raise cropped(layer, path)
        if original:
            check_shape(layer, path, size, original)
        _check_finite(image, path)
    finally:
        bpy.data.images.remove(image)
    return size


def check_all(folder: Path, manifest: Manifest) -> None:
    """Refuse a decomposition with an atlas that cannot be used.

    Raises:
        InputError: see :func:`check`.
    """
    for layer in manifest.names:
        original = check(layer, inside(folder, manifest.original_files[layer]), None)
        check(layer, inside(folder, manifest.atlas_files[layer]), original)


def _check_finite(image: bpy.types.Image, path: Path) -> None:
    """Refuse floats that are no numbers: a sum with one is none."""
    if not image.is_float:
        return
    pixels = array("f", bytes(4 * len(image.pixels)))
    image.pixels.foreach_get(pixels)
    for index, channel in enumerate("RGBA"[: image.channels] if image.channels > 2 else "YA"[: image.channels]):
        if not isfinite(sum(pixels[index :: image.channels])):
            raise not_finite(channel, path)


def _unreadable(path: Path) -> InputError:
    return InputError("Blender cannot read the picture", where=path, hint="Choose another one.")
