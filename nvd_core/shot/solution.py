"""Interface between solvers and everything after them.

A solver is a function from the shot that :mod:`nvd_core.pipeline` prepared to a ``Solution``. Export, metrics and
Blender know nothing else of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Float16, Float32, Shaped

from nvd_core.clip.types import Plate
from nvd_core.image.geometry import Box
from nvd_core.spec.manifest import SolutionRecord


@final
@dataclass(frozen=True)
class LayerFrame:
    """One layer in one frame, at the plate's size.

    Attributes:
        uv_atlas: UV pass, the atlas point of each pixel, STMap convention (see :mod:`nvd_core.spec.conventions`);
            finite everywhere, also where the layer is occluded.
        alpha: visible alpha, 0 to 1; over all layers it sums to 1.
        residual: light on the surface, a factor of linear light, positive and finite everywhere.
    """

    uv_atlas: Float32[np.ndarray, "height width 2"]
    alpha: Float32[np.ndarray, "height width"]
    residual: Float32[np.ndarray, "height width 3"]

    def within(self, box: Box) -> LayerFrame:
        """Part of the frame, as views."""
        return LayerFrame(*(passed[box.slices] for passed in (self.uv_atlas, self.alpha, self.residual)))


@runtime_checkable
class Solution(Protocol):
    """A decomposed clip, as every solver returns it."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names, front to back, as the shot has them."""
        ...

    @property
    def versions(self) -> dict[str, str]:
        """Versions of packages and device that solved it, for the manifest."""
        ...

    @property
    def record(self) -> SolutionRecord:
        """What restores it besides arrays and atlases, for the manifest."""
        ...

    def atlas(self, layer: str) -> Float16[np.ndarray, "height width 4"]:
        """Atlas of a layer: linear light, premultiplied, alpha 1 where the clip shows it, else 0.

        Colour is filled where alpha is 0, so that sampling near the border never darkens.
        """
        ...

    def colour(self, layer: str) -> Float32[np.ndarray, "height width 3"]:
        """Colour of the atlas without its alpha, for sampling."""
        ...

    def frame(
        self, number: int, plate: Plate, mattes: tuple[Float32[np.ndarray, "height width"], ...]
    ) -> Iterable[LayerFrame]:
        """Layers of one frame, front to back; may be computed lazily.

        Args:
            number: frame number of the plate.
            plate: the plate of that frame.
            mattes: visible alpha of each layer in it, from the masks.
        """
        ...

    def arrays(self) -> dict[str, Shaped[np.ndarray, "..."]]:
        """Arrays to restore the solution from, but for the atlases, which the folder holds as pictures.

        Visible alpha and light are not among them: :meth:`frame` takes the one from the mattes or its networks, and
        computes the other from the plate.
        """
        ...
