"""What the lattice has solved, as every solver hands it over."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import final

import numpy as np
from jaxtyping import Float32

from nvd_core.checkpoints import Arrays
from nvd_core.clip import Plate
from nvd_core.clip.colour import to_linear
from nvd_core.compositing import look_up
from nvd_core.conventions import Size, u_from_x, v_from_y
from nvd_core.lattice.atlas import Atlas
from nvd_core.lattice.canvas import Canvas
from nvd_core.lattice.light import estimate_residual
from nvd_core.lattice.spline import LayerMap
from nvd_core.masks import Matte
from nvd_core.settings import Residual
from nvd_core.solution import LayerFrame


@final
@dataclass(frozen=True)
class SolvedLayer:
    """One layer of a solution.

    Attributes:
        name: of the layer.
        mapping: from frames to the reference plane.
        canvas: the part of the reference plane that the atlas shows.
        atlas: linear, premultiplied, as it is written (rounded to half floats).
        off_px: how far the map may be off, working px; None if that was not measured.
    """

    name: str
    mapping: LayerMap
    canvas: Canvas
    atlas: Atlas
    off_px: float | None = None


@final
@dataclass(frozen=True)
class LatticeSolution:
    """A decomposition held by lattices; see :class:`nvd_core.solution.Solution`.

    Attributes:
        solved: the layers, front to back.
        numbers: plate numbers of the frames.
        residual: what the light shall follow.
        versions: of what made it besides this program.
    """

    solved: tuple[SolvedLayer, ...]
    numbers: range
    residual: Residual
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names, front to back."""
        return tuple(layer.name for layer in self.solved)

    def atlas(self, layer: str) -> Atlas:
        """The layer's flat picture."""
        return next(one.atlas for one in self.solved if one.name == layer)

    def colour(self, layer: str) -> Float32[np.ndarray, "height width 3"]:
        """The atlas without its alpha, for looking up."""
        return self._colours[layer]

    @cached_property
    def _colours(self) -> dict[str, Float32[np.ndarray, "_ _ 3"]]:
        return {layer.name: layer.atlas[..., :3].astype(np.float32) for layer in self.solved}

    def frame(self, number: int, plate: Plate, mattes: tuple[Matte, ...]) -> tuple[LayerFrame, ...]:
        """All layers of one frame, at the plate's size."""
        linear, t = to_linear(plate), self.numbers.index(number)
        return tuple(
            self._layer_frame(layer, t, linear, alpha) for layer, alpha in zip(self.solved, mattes, strict=True)
        )

    def _layer_frame(
        self, layer: SolvedLayer, t: int, plate: Float32[np.ndarray, "height width 3"], alpha: Matte
    ) -> LayerFrame:
        size = Size(plate.shape[1], plate.shape[0])
        texels = layer.canvas.texels(layer.mapping.positions(t, size))
        columns, rows = layer.canvas.size
        uv_atlas = np.stack([u_from_x(texels[..., 0], columns), v_from_y(texels[..., 1], rows)], axis=-1)
        surface = look_up(self.colour(layer.name), uv_atlas)
        off_px = layer.off_px and layer.off_px * size.width / layer.mapping.lattice.size.width
        return LayerFrame(uv_atlas, alpha, estimate_residual(plate, surface, alpha, self.residual, off_px))

    def arrays(self) -> Arrays:
        """All but the atlases, which the decomposition folder holds as pictures."""
        arrays: Arrays = {}
        for layer in self.solved:
            arrays[f"{layer.name}.nodes"] = layer.mapping.nodes
            arrays[f"{layer.name}.reference"] = np.array([layer.mapping.reference])
            arrays[f"{layer.name}.canvas"] = np.array([*layer.canvas.origin_px, layer.canvas.density])
            if layer.off_px is not None:
                arrays[f"{layer.name}.off_px"] = np.array([layer.off_px])
        return arrays
