"""The contract between solvers and everything after them.

A solver is a generator: it takes what :mod:`nvd_core.pipeline` prepared, yields events, and returns a
``Solution``. Export, metrics and Blender know nothing else of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import numpy as np
from jaxtyping import Float16, Float32, Shaped

from nvd_core.clip.types import Plate


@final
@dataclass(frozen=True)
class LayerFrame:
    """One layer in one frame, at the plate's size.

    Attributes:
        uv_atlas: which atlas point each pixel shows, STMap convention (see :mod:`nvd_core.conventions`);
            defined and finite everywhere, also where the layer is not visible.
        alpha: visible share of the layer, 0 to 1; over all layers it sums to 1.
        residual: light on the surface, a factor in linear light, positive and finite everywhere.
    """

    uv_atlas: Float32[np.ndarray, "height width 2"]
    alpha: Float32[np.ndarray, "height width"]
    residual: Float32[np.ndarray, "height width 3"]


@runtime_checkable
class Solution(Protocol):
    """A decomposed clip."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Names, front to back; the last is the background."""
        ...

    @property
    def versions(self) -> dict[str, str]:
        """What made it besides this program, for the manifest: packages, device."""
        ...

    def atlas(self, layer: str) -> Float16[np.ndarray, "height width 4"]:
        """The layer's flat picture: linear light, premultiplied, alpha 1 where the clip shows it, else 0.

        Colour goes on where alpha is 0, so that looking up near the border never darkens.
        """
        ...

    def colour(self, layer: str) -> Float32[np.ndarray, "height width 3"]:
        """The atlas without its alpha, for looking up."""
        ...

    def frame(
        self, number: int, plate: Plate, mattes: tuple[Float32[np.ndarray, "height width"], ...]
    ) -> tuple[LayerFrame, ...]:
        """All layers of one frame.

        Args:
            number: the plate's frame number.
            plate: that frame.
            mattes: visible alpha of each layer in it, as it was given.
        """
        ...

    def arrays(self) -> dict[str, Shaped[np.ndarray, "..."]]:
        """What it takes to make this solution again, but for the atlases: they are in the folder as pictures."""
        ...
