"""The networks: a mapping, a texture and a residual per layer, and one alpha network for all layers.

Points are (x, y, t) in [-1, 1], see :meth:`nvd_core.hashing_nvd.footage.Footage.unit`; uv is in [-1, 1], v down.
Source: Chan et al., ICCV 2023, section 3.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple, Protocol, final, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from nvd_core.hashing_nvd.encodings import GRIDS, Backend
from nvd_core.hashing_nvd.recipe import Recipe

_ALPHA_MARGIN = 1e-5
"""A foreground layer's own opacity stays at least this far from 0 and from 1."""


class Sample(NamedTuple):
    """Outputs of all networks at a batch of points.

    Attributes:
        uv: texture coordinates in each layer, -1 to 1.
        alpha: visible alpha of each layer; sums to 1.
        colour: of each layer's texture, display-encoded, 0 to 1.
        residual: multiplicative residual of each layer, a factor of the display-encoded colour, positive.
    """

    uv: Float[Tensor, "layer *batch 2"]
    alpha: Float[Tensor, "layer *batch"]  # noqa: F821 (a shape)
    colour: Float[Tensor, "layer *batch 3"]
    residual: Float[Tensor, "layer *batch 3"]

    def rebuilt(self) -> Float[Tensor, "*batch 3"]:
        """Reconstruct the frame: sum of alpha x residual x colour over the layers, display-encoded."""
        return (self.alpha[..., None] * self.residual * self.colour).sum(0)

    def unlit(self) -> Float[Tensor, "*batch 3"]:
        """Reconstruct the frame without the residual: sum of alpha x colour over the layers."""
        return (self.alpha[..., None] * self.colour).sum(0)


@runtime_checkable
class Fields(Protocol):
    """Interface of a model to the losses; points are (x, y, t) in [-1, 1]."""

    def uv(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch 2"]:
        """Map points to each layer's texture coordinates, -1 to 1."""
        ...

    def alpha(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch"]:
        """Visible alpha of each layer; sums to 1."""
        ...

    def residual(
        self, uv: Float[Tensor, "layer batch 2"], t_unit: Float[Tensor, " batch"]
    ) -> Float[Tensor, "layer batch 3"]:
        """Multiplicative residual of each layer at texture coordinates and times, both -1 to 1."""
        ...

    def sample(self, points: Float[Tensor, "batch 3"]) -> Sample:
        """Evaluate all networks at points."""
        ...


@final
class Networks(nn.Module):
    """All networks of a clip.

    Args:
        layers: number of layers, the background included.
        recipe: sizes of the networks.
        backend: implementation of the hash grids.
        generator: of the initial values.
        half: whether the MLPs behind the hash grids run in bfloat16.
    """

    def __init__(
        self, layers: int, recipe: Recipe, backend: Backend, generator: torch.Generator, *, half: bool = False
    ) -> None:
        super().__init__()
        self.halves = half

        def mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
            sizes = (inputs, width, width, width, outputs)
            parts = [part for pair in itertools.pairwise(sizes) for part in (_linear(*pair, generator), nn.ReLU())]
            return nn.Sequential(*parts[:-1])

        def encoded(axes: int, outputs: int) -> nn.Sequential:
            grid = GRIDS[backend](axes, recipe.grid, generator)
            return nn.Sequential(grid, mlp(recipe.grid.outputs, recipe.width, outputs))

        self.mappings = nn.ModuleList(mlp(3, recipe.mapping_width, 2) for _ in range(layers))
        self.textures = nn.ModuleList(encoded(2, 3) for _ in range(layers))
        self.residuals = nn.ModuleList(encoded(3, 3) for _ in range(layers))
        self.opacity = encoded(3, layers - 1) if layers > 1 else None

    def uv(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch 2"]:
        """Map points to each layer's texture coordinates, -1 to 1."""
        return torch.stack([torch.tanh(mapping(points)) for mapping in self.mappings])

    def alpha(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch"]:
        """Visible alpha of each layer: its own opacity times the transmittance of the layers in front of it."""
        ones = points.new_ones(1, len(points))
        if self.opacity is None:
            return ones
        own = ((torch.tanh(self._decoded(self.opacity, points)).T + 1) / 2).clamp(_ALPHA_MARGIN, 1 - _ALPHA_MARGIN)
        left = torch.cat([ones, torch.cumprod(1 - own, 0)])
        return torch.cat([own * left[:-1], left[-1:]])

    def texture(self, layer: int, uv: Float[Tensor, "batch 2"]) -> Float[Tensor, "batch 3"]:
        """Colour of a layer's texture, display-encoded, 0 to 1."""
        return (torch.tanh(self._decoded(self.textures[layer], uv)) + 1) / 2

    def residual(
        self, uv: Float[Tensor, "layer batch 2"], t_unit: Float[Tensor, " batch"]
    ) -> Float[Tensor, "layer batch 3"]:
        """Multiplicative residual of each layer at texture coordinates and times, both -1 to 1.

        No gradient flows back to uv: the mapping would follow the light instead of the surface, which costs
        the bootstrapping its quality and makes it unstable (section 3.3 of the paper).
        """
        surfaces = [torch.cat([one.detach(), t_unit[:, None]], 1) for one in uv]
        nets = zip(self.residuals, surfaces, strict=True)
        return torch.stack([functional.softplus(self._decoded(net, surface)) for net, surface in nets])

    def sample(self, points: Float[Tensor, "batch 3"]) -> Sample:
        """Evaluate all networks at points."""
        uv = self.uv(points)
        colour = torch.stack([self.texture(layer, one) for layer, one in enumerate(uv)])
        return Sample(uv, self.alpha(points), colour, self.residual(uv, points[:, 2]))

    def _decoded(self, net: nn.Module, points: Float[Tensor, "batch axis"]) -> Float[Tensor, "batch chan"]:
        """Evaluate a hash grid and the MLP behind it, the MLP in bfloat16 if ``halves`` is set.

        The mappings always run in single precision: eight bits would move uv in steps of a pixel and more.
        """
        grid, mlp = net.children()
        features = grid(points)
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.halves):
            return mlp(features).to(features.dtype)

    def optimizer(self, recipe: Recipe) -> torch.optim.Adam:
        """Create Adam with one learning rate for the hash grids and one for all MLPs."""
        nets = [*self.textures, *self.residuals, *([] if self.opacity is None else [self.opacity])]
        grids = [one for net in nets for one in net[0].parameters()]
        others = [one for net in nets for one in net[1].parameters()] + list(self.mappings.parameters())
        return torch.optim.Adam([{"params": grids, "lr": recipe.rate_grid}, {"params": others, "lr": recipe.rate_mlp}])


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Create a linear layer with torch's default initialisation, drawn from our generator."""
    layer = nn.Linear(inputs, outputs, device="meta").to_empty(device="cpu")  # draws nothing by itself
    bound = 1 / math.sqrt(inputs)
    for parameter in (layer.weight, layer.bias):
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer
