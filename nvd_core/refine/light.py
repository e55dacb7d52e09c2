"""Estimate light in closed form, as :mod:`nvd_core.lattice.picture.light`, and convert sRGB, on the device."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

Colour = Float[Tensor, "3 height width"]


def linear_from_display(display: Colour) -> Colour:
    """Convert display-encoded values to scene-linear light, as :func:`nvd_core.image.colour.linear_from_display`."""
    bright = ((display.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4
    return torch.where(display <= 0.04045, display / 12.92, bright)


def display_from_linear(linear: Colour) -> Colour:
    """Convert scene-linear light to display-encoded values, as :func:`nvd_core.image.colour.display_from_linear`."""
    bright = 1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, bright)


@torch.no_grad()
def light_ratio(plate: Colour, surface: Colour, weight: Float[Tensor, "height width"], sigma_px: float) -> Colour:
    """Smooth light on a surface: local mean of the plate over local mean of the unlit surface, in linear light.

    Without gradient: otherwise the map could lower the loss by changing the light instead of its alignment.
    """
    means = _blur(torch.cat([plate * weight, surface * weight]), sigma_px) + 1e-4
    return (means[:3] / means[3:]).clamp(0.05, 20)


def _blur(picture: Float[Tensor, "chan height width"], sigma_px: float) -> Float[Tensor, "chan height width"]:
    """Blur by a Gaussian; above 1.2 px at half size, which looks the same and takes a quarter of the time."""
    height, width = picture.shape[1:]
    if sigma_px > 1.2 and min(height, width) > 1:
        half = functional.avg_pool2d(picture[None], 2, ceil_mode=True)[0]
        return functional.interpolate(_gauss(half, sigma_px / 2)[None], (height, width), mode="bilinear")[0]
    return _gauss(picture, sigma_px)


def _gauss(picture: Float[Tensor, "chan height width"], sigma_px: float) -> Float[Tensor, "chan height width"]:
    reach = max(1, round(3 * sigma_px))
    taps = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=picture.device) / sigma_px) ** 2)
    taps = (taps / taps.sum()).expand(len(picture), 1, 1, -1)
    across = functional.pad(picture[None], (reach, reach, 0, 0), mode="replicate")
    down = functional.pad(functional.conv2d(across, taps, groups=len(picture)), (0, 0, reach, reach), mode="replicate")
    return functional.conv2d(down, taps.transpose(2, 3), groups=len(picture))[0]
