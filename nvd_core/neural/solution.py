"""What the networks have learnt, as every solver hands it over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Float, Float16, Float32

from nvd_core.checkpoints import Arrays
from nvd_core.clip import Plate
from nvd_core.clip.colour import linear_from_display
from nvd_core.conventions import Size, rescale_px
from nvd_core.masks import Matte
from nvd_core.neural.canvas import Canvas
from nvd_core.neural.fields import Networks
from nvd_core.neural.footage import Footage
from nvd_core.neural.locks import with_locked
from nvd_core.neural.train import CHUNK
from nvd_core.solution import LayerFrame

_LIGHT: Final = (1e-3, 1e3)
"""Least and greatest factor of light."""

_DARK: Final = 1 / 255
"""A darker texture counts as this where a factor of its display-encoded colour is made one of linear light."""

Planes = Float32[np.ndarray, "layer point chan"]


@final
@dataclass(frozen=True)
class SolvedLayer:
    """One layer of a solution.

    Attributes:
        name: of the layer.
        canvas: the part of the uv plane that the atlas shows.
        atlas: linear, premultiplied, as it is written (rounded to half floats).
    """

    name: str
    canvas: Canvas
    atlas: Float16[np.ndarray, "height width 4"]


class Look(NamedTuple):
    """The networks' word on some pixels; the first axis is the layer."""

    uv: Planes
    alpha: Float32[np.ndarray, "layer point"]
    colour: Planes
    residual: Planes


@final
@dataclass(frozen=True)
class NeuralSolution:
    """A decomposition by the neural solver; see :class:`nvd_core.solution.Solution`.

    Attributes:
        solved: the layers, front to back.
        networks: trained.
        footage: what they were trained on, which knows the scale of their points.
        numbers: plate numbers of the frames.
        versions: of what they were trained with.
    """

    solved: tuple[SolvedLayer, ...]
    networks: Networks
    footage: Footage
    numbers: range
    versions: dict[str, str]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names, front to back."""
        return tuple(layer.name for layer in self.solved)

    def atlas(self, layer: str) -> Float16[np.ndarray, "height width 4"]:
        """The layer's flat picture."""
        return next(one.atlas for one in self.solved if one.name == layer)

    def colour(self, layer: str) -> Float32[np.ndarray, "height width 3"]:
        """The atlas without its alpha, for looking up."""
        return self.atlas(layer)[..., :3].astype(np.float32)

    def frame(self, number: int, plate: Plate, mattes: tuple[Matte, ...]) -> tuple[LayerFrame, ...]:
        """All layers of one frame, at the plate's size; alpha is what was learnt, or the matte if that is locked."""
        height, width = plate.shape[:2]
        look = self._look(self.numbers.index(number), Size(width, height))
        alpha = look.alpha / look.alpha.sum(axis=0)
        if self.footage.locked:
            given = torch.from_numpy(np.stack(mattes).reshape(len(mattes), -1))
            alpha = with_locked(torch.from_numpy(alpha), given, self.footage.locked).numpy()
        return tuple(
            LayerFrame(
                uv_atlas=layer.canvas.uv_atlas(look.uv[index]).reshape(height, width, 2),
                alpha=alpha[index].reshape(height, width),
                residual=linear_residual(look.colour[index], look.residual[index]).reshape(height, width, 3),
            )
            for index, layer in enumerate(self.solved)
        )

    def arrays(self) -> Arrays:
        """The networks, and where the atlases lie."""
        arrays: Arrays = {
            f"networks.{name}": one.detach().cpu().numpy() for name, one in self.networks.named_parameters()
        }
        for layer in self.solved:
            arrays[f"{layer.name}.canvas"] = np.array([*layer.canvas.origin_uv, layer.canvas.density])
        return arrays

    def _look(self, t: int, size: Size) -> Look:
        with torch.no_grad():
            parts = [self.networks.sample(points) for points in self._points(t, size)]
        return Look(*(torch.cat(part, dim=1).cpu().numpy() for part in zip(*parts, strict=True)))

    def _points(self, t: int, size: Size) -> Iterator[Float[torch.Tensor, "point 3"]]:
        """Every pixel of a frame of any size, as the networks know it."""
        height, width = self.footage.frames.shape[1:3]
        x = rescale_px(torch.arange(size.width), size.width, width)
        y = rescale_px(torch.arange(size.height), size.height, height)
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        points = torch.stack([columns, rows, torch.full_like(rows, t)], -1).flatten(0, 1)
        return iter(self.footage.unit(points.to(self.footage.frames.device)).split(CHUNK))


def linear_residual(
    colour: Float32[np.ndarray, "point 3"], residual: Float32[np.ndarray, "point 3"]
) -> Float32[np.ndarray, "point 3"]:
    """The factor of linear light that does what the residual does to a display-encoded colour."""
    base = np.maximum(colour, np.float32(_DARK))
    return np.clip(linear_from_display(residual * base) / linear_from_display(base), *_LIGHT)
