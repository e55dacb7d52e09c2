"""The lattice's solution: maps and atlases of all layers, as UV pass, alpha and residual of any frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, final, get_args

import numpy as np
from jaxtyping import Float16, Float32, Float64, Int64

from nvd_core.clip import Plate
from nvd_core.image.colour import to_linear
from nvd_core.image.geometry import bounding_box, size_of
from nvd_core.lattice.picture.atlas import Atlas
from nvd_core.lattice.picture.canvas import Canvas
from nvd_core.lattice.picture.clean_light import CleanLight
from nvd_core.lattice.picture.light import estimate_residual
from nvd_core.lattice.register.spline import Lattice, LayerMap
from nvd_core.masks import Matte
from nvd_core.runtime.checkpoints import AGAIN, Arrays, check_arrays, read_arrays
from nvd_core.shot.compositing import look_up
from nvd_core.shot.solution import LayerFrame
from nvd_core.spec.conventions import HIDDEN_BELOW, u_from_x, v_from_y
from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import Manifest, SolutionRecord
from nvd_core.spec.settings import Residual

CELLS: Final = 192
"""Cells across the frame in the lattice of a finished map."""


@final
@dataclass(frozen=True)
class SolvedLayer:
    """One layer of a solution.

    Attributes:
        name: of the layer.
        mapping: from frames to the reference plane.
        canvas: rectangle of the reference plane that the atlas covers.
        atlas: as written: linear, premultiplied half floats.
        off_px: estimated error of the map, working px; None if not estimated.
        light: of the background without objects, which it has where they hide it; None for other layers.
    """

    name: str
    mapping: LayerMap
    canvas: Canvas
    atlas: Atlas
    off_px: float | None = None
    light: CleanLight | None = None


@final
@dataclass(frozen=True)
class LatticeSolution:
    """A decomposition held by lattices; see :class:`nvd_core.shot.solution.Solution`.

    Attributes:
        solved: the layers, front to back.
        numbers: plate numbers of the frames.
        residual: how closely the residual follows the plate.
        versions: of packages and device besides this program, for the manifest.
    """

    solved: tuple[SolvedLayer, ...]
    numbers: range
    residual: Residual
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, manifest: Manifest, atlases: Mapping[str, Atlas]) -> LatticeSolution:
        """Restore a solution from the arrays that :meth:`arrays` returned.

        Args:
            path: of the arrays.
            manifest: of the decomposition.
            atlases: of each layer, front to back.

        Raises:
            InputError: the arrays are missing, damaged or of another decomposition.
        """
        numbers, record = manifest.source.numbers, manifest.solution
        arrays, lattice = read_arrays(path), Lattice.over(record.size, CELLS)
        kinds: dict[str, Any] = {}
        for name in atlases:
            kinds[f"{name}.nodes"] = lattice.kind_of(len(numbers))
            kinds[f"{name}.reference"] = Int64[np.ndarray, "1"]
            kinds[f"{name}.canvas"] = Float64[np.ndarray, "3"]
            if (off_px := f"{name}.off_px") in arrays:
                kinds[off_px] = Float64[np.ndarray, "1"]
        check_arrays(arrays, kinds, path)
        residual = next((one for one in get_args(Residual) if one == record.residual), None)
        if residual is None:
            raise InputError(f"The solution has a residual {record.residual[:40]!r}", where=path, hint=AGAIN)

        def layer(name: str, atlas: Atlas) -> SolvedLayer:
            x, y, density = arrays[f"{name}.canvas"].tolist()
            mapping = LayerMap(int(arrays[f"{name}.reference"][0]), lattice, arrays[f"{name}.nodes"])
            off_px = arrays.get(f"{name}.off_px")
            canvas = Canvas((x, y), density, size_of(atlas))
            light = None
            if (key := f"{name}.light") in arrays:
                check_arrays(arrays, {key: Float16[np.ndarray, f"{len(numbers)} _ _ 3"]}, path)
                light = CleanLight(arrays[key])
            return SolvedLayer(name, mapping, canvas, atlas, None if off_px is None else float(off_px[0]), light)

        return cls(tuple(layer(*one) for one in atlases.items()), numbers, residual, manifest.versions)

    @property
    def record(self) -> SolutionRecord:
        """What restores it besides arrays and atlases."""
        width, height = self.solved[0].mapping.lattice.size
        return SolutionRecord(kind="lattice", width=width, height=height, residual=self.residual)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names, front to back."""
        return tuple(layer.name for layer in self.solved)

    def atlas(self, layer: str) -> Atlas:
        """Atlas of a layer: linear light, premultiplied."""
        return next(one.atlas for one in self.solved if one.name == layer)

    def colour(self, layer: str) -> Float32[np.ndarray, "height width 3"]:
        """Colour of the atlas without its alpha, for sampling."""
        return self._colours[layer]

    @cached_property
    def _colours(self) -> dict[str, Float32[np.ndarray, "_ _ 3"]]:
        return {layer.name: layer.atlas[..., :3].astype(np.float32) for layer in self.solved}

    def frame(self, number: int, plate: Plate, mattes: tuple[Matte, ...]) -> Iterator[LayerFrame]:
        """Yield the layers of one frame at the plate's size, front to back; one at a time bounds memory."""
        linear, t = to_linear(plate), self.numbers.index(number)
        return (self._layer_frame(layer, t, linear, alpha) for layer, alpha in zip(self.solved, mattes, strict=True))

    def _layer_frame(
        self, layer: SolvedLayer, t: int, plate: Float32[np.ndarray, "height width 3"], alpha: Matte
    ) -> LayerFrame:
        """Compute a layer's UV pass at every pixel of the plate, and its residual from the plate."""
        size = size_of(plate)
        texels = layer.canvas.texels(layer.mapping.positions(t, size))
        columns, rows = layer.canvas.size
        uv_atlas = np.stack([u_from_x(texels[..., 0], columns), v_from_y(texels[..., 1], rows)], axis=-1)
        surface = look_up(self.colour(layer.name), uv_atlas)
        off_px = layer.off_px and layer.off_px * size.width / layer.mapping.lattice.size.width
        residual = estimate_residual(plate, surface, alpha, self.residual, off_px)
        hidden = alpha < HIDDEN_BELOW
        if layer.light and (box := bounding_box(hidden)):
            light = layer.light.at(t, texels[box.slices], layer.canvas.size)
            np.copyto(residual[box.slices], light, where=hidden[box.slices][..., None])
        return LayerFrame(uv_atlas, alpha, residual)

    def arrays(self) -> Arrays:
        """Arrays of the solution but for the atlases, which the decomposition folder holds as pictures."""
        arrays: Arrays = {}
        for layer in self.solved:
            arrays[f"{layer.name}.nodes"] = layer.mapping.nodes
            arrays[f"{layer.name}.reference"] = np.array([layer.mapping.reference])
            arrays[f"{layer.name}.canvas"] = np.array([*layer.canvas.origin_px, layer.canvas.density])
            if layer.off_px is not None:
                arrays[f"{layer.name}.off_px"] = np.array([layer.off_px])
            if layer.light is not None:
                arrays[f"{layer.name}.light"] = layer.light.stops
        return arrays
