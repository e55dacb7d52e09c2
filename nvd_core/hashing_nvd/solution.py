"""Solution of the trained networks: atlases, and layer frames at any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Float16, Float32, Float64

from nvd_core.clip import Plate
from nvd_core.hashing_nvd.canvas import Canvas
from nvd_core.hashing_nvd.encodings import Backend, available
from nvd_core.hashing_nvd.fields import Networks
from nvd_core.hashing_nvd.footage import Extent
from nvd_core.hashing_nvd.locks import with_locked
from nvd_core.hashing_nvd.recipe import Recipe
from nvd_core.hashing_nvd.train import CHUNK
from nvd_core.image.colour import linear_from_display
from nvd_core.image.geometry import pixel_axes
from nvd_core.masks import Matte
from nvd_core.runtime.checkpoints import Arrays, check_arrays, read_arrays
from nvd_core.shot.solution import LayerFrame
from nvd_core.spec.conventions import Size
from nvd_core.spec.manifest import Manifest, SolutionRecord

_LIGHT: Final = (1e-3, 1e3)
"""Range of the residual in linear light."""

_DARK: Final = 1 / 255
"""Smallest texture colour, display-encoded, that a residual is converted to linear light with: avoids 0 / 0."""

Planes = Float32[np.ndarray, "layer point chan"]


@final
@dataclass(frozen=True)
class SolvedLayer:
    """One layer of a solution.

    Attributes:
        name: of the layer.
        canvas: the part of the uv plane that the atlas covers.
        atlas: RGBA in linear light, rounded to half floats as in the file.
    """

    name: str
    canvas: Canvas
    atlas: Float16[np.ndarray, "height width 4"]


class _FrameSample(NamedTuple):
    """Networks' outputs at all pixels of a frame, as arrays; the first axis is the layer."""

    uv: Planes
    alpha: Float32[np.ndarray, "layer point"]
    colour: Planes
    residual: Planes


@final
@dataclass(frozen=True)
class NeuralSolution:
    """A decomposition by the neural solver; see :class:`nvd_core.shot.solution.Solution`.

    Attributes:
        solved: the layers, front to back.
        networks: trained.
        extent: of the clip that they were trained on, which normalises points.
        locked: whether each layer's alpha is its matte; empty if none is.
        backend: implementation of the hash grids.
        numbers: plate numbers of the frames.
        versions: of torch, device and hash grid, for the manifest.
    """

    solved: tuple[SolvedLayer, ...]
    networks: Networks
    extent: Extent
    locked: tuple[bool, ...]
    backend: Backend
    numbers: range
    versions: dict[str, str]

    @classmethod
    def load(
        cls, path: Path, manifest: Manifest, atlases: Mapping[str, Float16[np.ndarray, "_ _ 4"]]
    ) -> NeuralSolution:
        """Restore a solution from the arrays that :meth:`arrays` returned.

        Args:
            path: of the arrays.
            manifest: of the decomposition.
            atlases: of each layer, front to back.

        Raises:
            InputError: the arrays are missing, damaged or of another decomposition.
            SetupError: this machine lacks the implementation of the hash grids.
        """
        numbers, record = manifest.source.numbers, manifest.solution
        arrays, backend = read_arrays(path), available(record.hash_grid)
        device = torch.device("cuda" if record.device == "cuda" and torch.cuda.is_available() else "cpu")
        networks = Networks(len(atlases), Recipe(), backend, torch.Generator()).to(device)
        parameters = {f"networks.{name}": one for name, one in networks.named_parameters()}
        kinds: dict[str, Any] = {f"{name}.canvas": Float64[np.ndarray, "3"] for name in atlases}
        kinds |= {name: Float32[np.ndarray, " ".join(map(str, one.shape))] for name, one in parameters.items()}
        check_arrays(arrays, kinds, path)
        with torch.no_grad():
            for name, one in parameters.items():
                one.copy_(torch.from_numpy(arrays[name]))

        def layer(name: str, atlas: Float16[np.ndarray, "_ _ 4"]) -> SolvedLayer:
            u, v, density = arrays[f"{name}.canvas"].tolist()
            return SolvedLayer(name, Canvas((u, v), density, Size(*atlas.shape[1::-1])), atlas)

        solved = tuple(layer(*one) for one in atlases.items())
        extent, locked = Extent(record.size, len(numbers)), manifest.locked if any(manifest.locked) else ()
        return cls(solved, networks, extent, locked, backend, numbers, manifest.versions)

    @property
    def record(self) -> SolutionRecord:
        """What restores it besides arrays and atlases."""
        width, height = self.extent.size
        return SolutionRecord(
            kind="hashing_nvd", width=width, height=height, hash_grid=self.backend, device=self._device.type
        )

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the layers, front to back."""
        return tuple(layer.name for layer in self.solved)

    def atlas(self, layer: str) -> Float16[np.ndarray, "height width 4"]:
        """Atlas of a layer, RGBA in linear light."""
        return next(one.atlas for one in self.solved if one.name == layer)

    def colour(self, layer: str) -> Float32[np.ndarray, "height width 3"]:
        """Colours of a layer's atlas, linear light, in single precision for interpolation."""
        return self.atlas(layer)[..., :3].astype(np.float32)

    def frame(self, number: int, plate: Plate, mattes: tuple[Matte, ...]) -> tuple[LayerFrame, ...]:
        """Evaluate all layers of one frame at the plate's size; alpha is learnt, or the matte where that is locked."""
        height, width = plate.shape[:2]
        sample = self._sample(self.numbers.index(number), Size(width, height))
        alpha = sample.alpha / sample.alpha.sum(axis=0)
        if self.locked:
            given = torch.from_numpy(np.stack(mattes).reshape(len(mattes), -1))
            alpha = with_locked(torch.from_numpy(alpha), given, self.locked).numpy()
        return tuple(
            LayerFrame(
                uv_atlas=layer.canvas.uv_atlas(sample.uv[index]).reshape(height, width, 2),
                alpha=alpha[index].reshape(height, width),
                residual=linear_residual(sample.colour[index], sample.residual[index]).reshape(height, width, 3),
            )
            for index, layer in enumerate(self.solved)
        )

    def arrays(self) -> Arrays:
        """Parameters of the networks, and each atlas's origin and density in uv."""
        arrays: Arrays = {
            f"networks.{name}": one.detach().cpu().numpy() for name, one in self.networks.named_parameters()
        }
        for layer in self.solved:
            arrays[f"{layer.name}.canvas"] = np.array([*layer.canvas.origin_uv, layer.canvas.density])
        return arrays

    @property
    def _device(self) -> torch.device:
        return next(self.networks.parameters()).device

    def _sample(self, t: int, size: Size) -> _FrameSample:
        with torch.no_grad():
            parts = [self.networks.sample(points) for points in self._points(t, size)]
        return _FrameSample(*(torch.cat(part, dim=1).cpu().numpy() for part in zip(*parts, strict=True)))

    def _points(self, t: int, size: Size) -> Iterator[Float[torch.Tensor, "point 3"]]:
        """Normalised points (x, y, t) of every pixel of a frame of any size, in chunks."""
        x, y = (torch.from_numpy(axis) for axis in pixel_axes(size, self.extent.size, np.float32))
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        points = torch.stack([columns, rows, torch.full_like(rows, t)], -1).flatten(0, 1)
        return iter(self.extent.unit(points.to(self._device)).split(CHUNK))


def linear_residual(
    colour: Float32[np.ndarray, "point 3"], residual: Float32[np.ndarray, "point 3"]
) -> Float32[np.ndarray, "point 3"]:
    """Convert a residual from a factor of display-encoded colour to the equivalent factor of linear light."""
    base = np.maximum(colour, np.float32(_DARK))
    return np.clip(linear_from_display(residual * base) / linear_from_display(base), *_LIGHT)
