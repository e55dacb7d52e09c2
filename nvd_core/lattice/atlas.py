"""Step 7: the atlas, the layer's picture at full density, from the plates themselves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Final

import numpy as np
from jaxtyping import Float16

from nvd_core.clip.colour import linear_from_display
from nvd_core.lattice.canvas import Average, Canvas
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture import Frame, invert_all, views
from nvd_core.lattice.spline import LayerMap
from nvd_core.resample import bands
from nvd_core.steps import spread

LARGEST: Final = 48e6
"""Texels of an atlas: larger ones are a burden to paint on, and on memory."""

_TURNING: Final = 0.05
"""Rough part of the work that turning maps around takes."""

Atlas = Float16[np.ndarray, "height width 4"]
"""As it is written."""


def build_atlas(
    layer: LayerView,
    mapping: LayerMap,
    canvas: Canvas,
    plates: Callable[[], Iterable[Frame]],
    *,
    rounds: int,
    at_once: int,
) -> Generator[float, None, Atlas]:
    """Average the plates on a canvas.

    Args:
        layer: the layer, at working size.
        mapping: its finished map.
        canvas: where the atlas lies.
        plates: starts a pass over the plates that show the layer.
        rounds: passes; the first is a plain mean, the next ones are robust and even the light out.
        at_once: so many plates are worked on at a time.

    Yields:
        The part that is done, 0 to 1.

    Returns:
        Linear light, premultiplied; alpha 1 where a plate shows the layer, else 0 over colour that goes on.
    """
    inverses = yield from spread(invert_all(layer, mapping), 0, _TURNING)
    mean = None
    for number in range(rounds):
        mean = Average(canvas, mean and mean.mean())
        for done, view in enumerate(views(layer, mapping, inverses, plates(), canvas, mean.before, at_once)):
            mean.add(view)
            yield _TURNING + (1 - _TURNING) * (number + done / len(layer.visible)) / rounds
    assert mean is not None  # noqa: S101 (there is a round)
    display, atlas = mean.mean(), np.empty((canvas.size.height, canvas.size.width, 4), np.float16)
    for rows in bands(display):
        atlas[rows, :, :3] = linear_from_display(np.maximum(display[rows], 0))
        yield 1.0
    atlas[..., 3] = mean.covered()
    return atlas
