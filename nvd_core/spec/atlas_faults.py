"""What keeps a picture from being used as an atlas, in the words of the command line and of Blender alike."""

from __future__ import annotations

from pathlib import Path

from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError


def cropped(layer: str, path: Path) -> InputError:
    """Tell that a picture stores another window than it shows: Blender would show a part as the whole atlas."""
    message = f"The data window of the atlas of {layer} is not its display window"
    return InputError(message, where=path, hint="Save it whole, without cropping and overscan.")


def not_finite(channel: str, path: Path) -> InputError:
    """Tell that a channel holds NaN or Inf."""
    message = f"The picture's channel {channel} holds values that are not numbers"
    return InputError(message, where=path, hint="Write it again.")


def check_shape(layer: str, path: Path, size: Size, original: Size) -> None:
    """Refuse a picture of another shape than the original; of the same it may be larger or smaller.

    Raises:
        InputError: its shape is another.
    """
    if abs(size.width / size.height - original.width / original.height) > 2 / size.height:
        message = f"The atlas is {size}, that of {layer} is {original}"
        raise InputError(message, where=path, hint="Keep its shape.")
