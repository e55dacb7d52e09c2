"""Step 7, atlas: average the plates themselves at full density, through the map."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import numpy as np
from jaxtyping import Float16

from nvd_core.image.colour import linear_from_display
from nvd_core.image.exr import to_half
from nvd_core.image.sample import bands
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.average import Frame, invert_all, views
from nvd_core.lattice.picture.canvas import Average, Canvas, Trust
from nvd_core.lattice.register.spline import LayerMap
from nvd_core.runtime.progress import Progress

LARGEST: Final = 48e6
"""Most texels of an atlas: larger ones are a burden to paint on, and on memory."""

_INVERTING: Final = 0.05
"""Rough share of inverting the maps in the work."""

Atlas = Float16[np.ndarray, "height width 4"]
"""An atlas as written: linear light, premultiplied, alpha 0 or 1."""


def build_atlas(
    layer: LayerView,
    mapping: LayerMap,
    canvas: Canvas,
    plates: Callable[[], Iterable[Frame]],
    trusted: Trust,
    *,
    rounds: int,
    at_once: int,
    progress: Progress,
) -> Atlas:
    """Average the plates into an atlas.

    Args:
        layer: the layer, at working size.
        mapping: its finished map.
        canvas: rectangle of the reference plane that the atlas covers.
        plates: function that starts a pass over the plates that show the layer.
        trusted: weights of their pixels.
        rounds: passes; the first is a plain mean, the next ones are robust and even out slow light.
        at_once: plates in work at a time.
        progress: of averaging.

    Returns:
        Linear light, premultiplied; alpha 1 where a plate shows the layer, else 0 over smoothly filled colour.
    """
    inverting, averaging = progress.split(_INVERTING, 1 - _INVERTING)
    inverses = invert_all(layer, mapping, inverting)
    mean = None
    for _, part in averaging.each(range(rounds)):
        mean = Average(canvas, mean and mean.mean())
        shown = views(layer, mapping, inverses, plates(), canvas, mean.before, at_once, trusted)
        for view in part.track(shown, len(layer.visible)):
            mean.add(view)
    assert mean is not None  # noqa: S101 (there is a round)
    display, atlas = mean.mean(), np.empty((canvas.size.height, canvas.size.width, 4), np.float16)
    for rows in bands(display):
        atlas[rows, :, :3] = to_half(linear_from_display(np.maximum(display[rows], 0)))
        progress(1.0)
    atlas[..., 3] = mean.covered()
    return atlas
