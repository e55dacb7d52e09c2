"""Looking pictures up between their pixels: the one place where that is done; and large ones in parts."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Shaped

_BAND_PX: Final = 1 << 20


def bands(picture: Shaped[np.ndarray, "height width *chan"]) -> list[slice]:
    """Rows of a large picture in parts of about a million pixels, to work on one after the other in little memory."""
    step = max(1, _BAND_PX // picture.shape[1])
    return [slice(top, min(top + step, picture.shape[0])) for top in range(0, picture.shape[0], step)]


def resample(
    picture: Shaped[np.ndarray, "rows columns *chan"],
    x_px: Float32[np.ndarray, "height width"],
    y_px: Float32[np.ndarray, "height width"],
    *,
    cubic: bool = False,
    outside: float | None = None,
) -> Shaped[np.ndarray, "height width *chan"]:
    """A picture at positions: bilinear or cubic, beyond its edge repeated or ``outside``.

    OpenCV rounds the positions of cubic look-ups to 1/32 px, which colours bear and coordinates do not. It
    does the same to bilinear ones in pictures of two channels, so these go one by one.
    """
    if picture.ndim == 3 and picture.shape[2] == 2:
        planes = cv2.split(np.ascontiguousarray(picture))
        return cv2.merge([resample(plane, x_px, y_px, cubic=cubic, outside=outside) for plane in planes])
    return cv2.remap(
        picture,
        x_px,
        y_px,
        cv2.INTER_CUBIC if cubic else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE if outside is None else cv2.BORDER_CONSTANT,
        borderValue=outside or 0,
    )
