"""Residual consistency: extend the residual to surface that a frame does not show."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from nvd_core.hashing_nvd.losses.context import LossContext

_VARIANCE = 16.0
"""Weight of the unseen patch's variance; the correlation has weight 1."""

_LEAST_DEVIATION = 1e-3
"""Added in quadrature to a patch's standard deviation: light is nearly even over three pixels, and the correlation of
two flat patches says nothing and has no bounded gradient."""

_BORDER_POINTS = 16
"""Points per side of a frame's border; their uv outlines what the frame shows of a layer."""


def residual_consistency(ctx: LossContext) -> Float[Tensor, " sample"]:
    """1 - NCC(patch, unseen patch) + 16 x variance(unseen patch), for each unseen patch, summed over the layers.

    3x3 patches along the frames' borders are fixed in uv. At 15 random frames, the residual of patches outside
    the frame is compared with the residual in the patch's own frame, which gets no gradient.

    Returns:
        One value per patch and frame. Patches inside the frame count 0, and the others are weighted so that the mean
        over all is the mean over the unseen ones.

    Source: Chan et al., ICCV 2023, section 3.3. Patches are normalised before they are correlated, as the
    paper advises, where the code multiplies them by 255.
    """
    uv, t_unit = _patches(ctx)
    layers, patches = uv.shape[:2]
    others = ctx.footage.unit(torch.nn.functional.pad(ctx.batch.others[:, None], (2, 0)))[:, 2]
    repeated = uv.flatten(1, 2).repeat(1, len(others), 1)
    there = ctx.fields.residual(repeated, others.repeat_interleave(patches * 9))
    there = there.unflatten(1, (len(others), patches, 9))
    with torch.no_grad():
        here = ctx.fields.residual(uv.flatten(1, 2), t_unit.repeat_interleave(9)).unflatten(1, (1, patches, 9))
        unseen = ~_is_inside(uv[:, None], _outlines(ctx)[:, :, None]).any(-1).flatten(1)
        weight = unseen.to(uv.dtype) * (unseen.shape[1] / unseen.sum(1, keepdim=True, dtype=uv.dtype).clamp(min=1))
    likeness = (normalised(here) * normalised(there)).mean((-2, -1))
    unlike = 1 - likeness + _VARIANCE * there.var(-2, correction=0).mean(-1)
    return (weight * unlike.view(layers, -1)).sum(0)


def normalised(patches: Float[Tensor, "*patch 9 3"]) -> Float[Tensor, "*patch 9 3"]:
    """Normalise patches to mean 0 and standard deviation 1, each channel by itself."""
    centred = patches - patches.mean(-2, keepdim=True)
    return centred / (centred.square().mean(-2, keepdim=True) + _LEAST_DEVIATION**2).sqrt()


def _patches(ctx: LossContext) -> tuple[Float[Tensor, "layer patch 9 2"], Float[Tensor, " patch"]]:
    """Texture coordinates of the batch's patches in each layer, without gradient, and their times, -1 to 1."""
    side = torch.arange(-1, 2, device=ctx.batch.patches.device)
    offsets = torch.nn.functional.pad(torch.cartesian_prod(side, side), (0, 1))
    points = ctx.footage.unit(ctx.batch.patches[:, None] + offsets)
    with torch.no_grad():
        return ctx.fields.uv(points.flatten(0, 1)).unflatten(1, points.shape[:2]), points[:, 0, 2]


@torch.no_grad()
def _outlines(ctx: LossContext) -> Float[Tensor, "layer other corner 2"]:
    """Outline in uv of each of the other frames, in each layer."""
    height, width = ctx.footage.frames.shape[1:3]
    device = ctx.footage.frames.device
    along = torch.arange(_BORDER_POINTS, device=device) / _BORDER_POINTS
    zero, one = torch.zeros_like(along), torch.ones_like(along)
    x = torch.cat([along, one, 1 - along, zero]) * (width - 1)
    y = torch.cat([zero, along, one, 1 - along]) * (height - 1)
    t = ctx.batch.others[:, None].expand(-1, len(x))
    points = torch.stack([x.expand(t.shape), y.expand(t.shape), t], -1)
    return ctx.fields.uv(ctx.footage.unit(points).flatten(0, 1)).unflatten(1, t.shape)


def _is_inside(
    points: Float[Tensor, "layer 1 patch 9 2"], outline: Float[Tensor, "layer other 1 corner 2"]
) -> Bool[Tensor, "layer other patch 9"]:
    """Test points against a closed outline by ray casting: a ray to the right crosses it an odd number of times."""
    x, y = points[..., None, :].unbind(-1)
    (ax, ay), (bx, by) = (ends[..., None, :, :].unbind(-1) for ends in (outline, outline.roll(-1, -2)))
    crosses = ((ay > y) != (by > y)) & (x < (bx - ax) * (y - ay) / (by - ay) + ax)
    return crosses.sum(-1) % 2 == 1
