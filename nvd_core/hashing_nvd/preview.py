"""Previews of training: the reconstructed middle frame and every layer's texture, small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from nvd_core.hashing_nvd.train import Training
from nvd_core.runtime.progress import Tell
from nvd_core.shot.previews import write_preview

_SIDE_PX: Final = 128
"""Longer side: large enough to see a surface come together, small enough to cost a tenth of a step."""


@torch.no_grad()
def write_previews(training: Training, layers: Sequence[str], folder: Path, tell: Tell) -> None:
    """Write the current reconstruction of the middle frame, and every layer's texture over the whole uv square."""
    pictures = {"": _rebuilt(training)} | {name: _texture(training, index) for index, name in enumerate(layers)}
    for name, picture in pictures.items():
        write_preview(picture.numpy(), name, folder, tell)


def _rebuilt(training: Training) -> UInt8[Tensor, "height width 3"]:
    """Reconstruct the middle frame, subsampled, 8 bit."""
    count, height, width = training.footage.frames.shape[:3]
    every = -(-training.footage.side_px // _SIDE_PX)
    y, x = torch.meshgrid(torch.arange(0, height, every), torch.arange(0, width, every), indexing="ij")
    points = torch.stack([x, y, torch.full_like(x, count // 2)], -1).to(training.footage.frames.device)
    rebuilt = training.fields.sample(training.footage.unit(points).flatten(0, 1)).rebuilt()
    return _coded(rebuilt.unflatten(0, x.shape))


def _texture(training: Training, layer: int) -> UInt8[Tensor, "height width 3"]:
    """Sample a layer's texture over all of uv, v down, 8 bit."""
    along = torch.linspace(-1, 1, _SIDE_PX, device=training.footage.frames.device)
    v, u = torch.meshgrid(along, along, indexing="ij")
    colour = training.networks.texture(layer, torch.stack([u, v], -1).flatten(0, 1))
    return _coded(colour.unflatten(0, u.shape))


def _coded(display: Float[Tensor, "height width 3"]) -> UInt8[Tensor, "height width 3"]:
    return (display.clamp(0, 1) * 255).round().byte().cpu()
