"""Load pictures of results as images that are apart from the user's own."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import bpy

from nvd_core.spec.errors import InputError

from . import paint
from .paint import OURS_KEY
from .scenes import full, path_of


def load_atlas(path: Path) -> bpy.types.Image:
    """Load an atlas: an EXR as linear colours, another picture by its own colour space and with straight alpha.

    Raises:
        InputError: the file does not exist.
    """
    image = load_picture(path, "Linear Rec.709" if path.suffix.lower() == ".exr" else None)
    if path.suffix.lower() != ".exr" and image.alpha_mode != "STRAIGHT":
        image.alpha_mode = "STRAIGHT"
    return image


def load_picture(path: Path, colorspace: str | None) -> bpy.types.Image:
    """Load a file as an image of ours, apart from the user's images; reload an existing one without unsaved paint.

    Raises:
        InputError: the file does not exist.
    """
    ours = {path_of(image): image for image in bpy.data.images if OURS_KEY in image and not image.library}
    image = ours.get(full(path))
    if image is None:
        if not path.is_file():
            raise InputError(
                "A picture of the result is not there", where=path, hint="Put it back, or decompose again."
            )
        image = bpy.data.images.load(str(path))
        image[OURS_KEY] = True
        image.filepath_raw = as_named(path)
    elif not image.is_dirty:
        image.reload()
    if not image.is_dirty:
        paint.was_read(image)
    if colorspace and image.colorspace_settings.name != colorspace:  # setting it drops unsaved paint
        image.colorspace_settings.name = colorspace
    return image


def as_named(path: Path) -> str:
    """Path relative to the .blend; absolute if that was never saved: saving makes paths relative."""
    if bpy.data.filepath:
        with suppress(ValueError):  # on another drive
            return bpy.path.relpath(str(path))
    return str(path)
