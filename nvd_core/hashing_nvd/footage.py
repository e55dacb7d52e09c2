"""A shot as tensors, with forward and backward optical flow, and the random pixels of a training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor

from nvd_core.image.colour import luma8
from nvd_core.runtime.parallel import map_ordered
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.shot import Shot
from nvd_core.shot.flow import both_ways, sure_flow
from nvd_core.spec.conventions import Size

STEPS: Final = (1, -1)
"""Frames that optical flow leads over: to the next frame, and to the one before."""

OTHERS: Final = 15
"""Frames that residual consistency compares patches with, in one step."""

_PIXELS_A_PATCH: Final = 100
"""Pixels of a batch per patch of residual consistency: both then evaluate about as many points."""


@final
@dataclass(frozen=True)
class Batch:
    """Random samples of one training step.

    Attributes:
        pixels: (x, y, t), none in the last row or column of a frame.
        patches: centres (x, y, t) of 3x3 patches along the frames' borders, one pixel inside.
        others: frames that those patches' residuals are compared with.
    """

    pixels: Int[Tensor, "batch 3"]
    patches: Int[Tensor, "patch 3"]
    others: Int[Tensor, " other"]


class Matches(NamedTuple):
    """Matches by optical flow for the pixels of a batch whose flow passed the cross-check.

    Attributes:
        sample: index of the pixel in the batch.
        points_px: (x, y, t) of the flow's end point.
        weight: makes the weighted sum over the matches, divided by the batch's size, the mean of the means over
            forward and over backward matches.
    """

    sample: Int[Tensor, " match"]
    points_px: Float[Tensor, "match 3"]
    weight: Float[Tensor, " match"]


@final
@dataclass(frozen=True)
class Extent:
    """Size and length of a clip, which normalise its points.

    Attributes:
        size: working size.
        count: number of frames.
        dtype: of the points.
    """

    size: Size
    count: int
    dtype: torch.dtype = torch.float32

    def unit(self, points_px: Float[Tensor, "*batch 3"] | Int[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Normalise (x, y, t) from pixels and frames to [-1, 1]; the longer side spans it, y is down."""
        return points_px / self.half(points_px.device) - 1

    def half(self, device: torch.device) -> Float[Tensor, " 3"]:
        """Half of the longer side, twice, and of the frames: what 1 stands for in normalised points."""
        return torch.tensor([max(self.size) / 2, max(self.size) / 2, self.count / 2], dtype=self.dtype, device=device)


@final
@dataclass(frozen=True)
class Footage:
    """A shot as tensors, at working size.

    Attributes:
        frames: display-encoded, 0 to 255.
        masks: visible alpha of each layer, 0 to 255; the background's is 255 less the others.
        flow_px: optical flow from each frame to the next, and to the one before, working px.
        is_sure: where that flow passed the forward-backward cross-check.
        dtype: of points and colours computed from these.
        locked: whether each layer's alpha is fixed to its mask instead of learnt; empty if none is.
    """

    frames: UInt8[Tensor, "frame height width 3"]
    masks: UInt8[Tensor, "layer frame height width"]
    flow_px: Float32[Tensor, "way frame height width 2"]
    is_sure: Bool[Tensor, "way frame height width"]
    dtype: torch.dtype = torch.float32
    locked: tuple[bool, ...] = ()

    @property
    def extent(self) -> Extent:
        """Size and length."""
        return Extent(Size(self.frames.shape[2], self.frames.shape[1]), len(self.frames), self.dtype)

    @property
    def side_px(self) -> int:
        """The longer side of a frame."""
        return max(self.frames.shape[1:3])

    def unit(self, points_px: Float[Tensor, "*batch 3"] | Int[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """See :meth:`Extent.unit`."""
        return self.extent.unit(points_px)

    def colours(self, pixels: Int[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Look up the frames' colours at (x, y, t), display-encoded, 0 to 1."""
        x, y, t = pixels.unbind(-1)
        return self.frames[t, y, x].to(self.dtype) / 255

    def coarse_alpha(self, pixels: Int[Tensor, "batch 3"]) -> Float[Tensor, "layer batch"]:
        """Look up the masks' alpha at (x, y, t), 0 to 1."""
        x, y, t = pixels.unbind(-1)
        return self.masks[:, t, y, x].to(self.dtype) / 255

    def alpha_near(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch"]:
        """Interpolate the masks' alpha bilinearly at points normalised by :meth:`unit`, 0 to 1; edges are extended."""
        x, y, t = ((points.detach() + 1) * self.extent.half(points.device)).unbind(-1)
        height, width = self.masks.shape[2:]
        t = t.round().long().clamp(0, len(self.frames) - 1)
        x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
        left, top = x.long().clamp(max=width - 2), y.long().clamp(max=height - 2)
        alpha = torch.zeros(len(self.masks), len(points), dtype=self.dtype, device=points.device)
        for down in (0, 1):
            for across in (0, 1):
                weight = (1 - (x - left - across).abs()) * (1 - (y - top - down).abs())
                alpha += weight * self.masks[:, t, top + down, left + across].to(self.dtype) / 255
        return alpha

    def matches(self, pixels: Int[Tensor, "batch 3"]) -> Matches:
        """Match pixels (x, y, t) to the frames after and before by optical flow, where it passed the cross-check."""
        x, y, t = pixels.unbind(-1)
        samples, points, weights = [], [], []
        for way, step in enumerate(STEPS):
            sure = self.is_sure[way, t, y, x].nonzero()[:, 0]
            move = torch.nn.functional.pad(self.flow_px[way, t[sure], y[sure], x[sure]], (0, 1), value=step)
            samples.append(sure)
            points.append(pixels[sure] + move.to(self.dtype))
            share = len(pixels) / len(STEPS) / max(1, len(sure))
            weights.append(points[-1].new_full((len(sure),), share))
        return Matches(torch.cat(samples), torch.cat(points), torch.cat(weights))

    def draw(self, batch: int, generator: torch.Generator) -> Batch:
        """Draw random pixels, and patches along the borders; on the CPU, so they are the same on every device."""
        count, height, width = self.frames.shape[:3]
        patches = max(1, batch // _PIXELS_A_PATCH)

        def below(end: int, many: int) -> Int[Tensor, " many"]:
            return torch.randint(max(1, end), (many,), generator=generator)

        pixels = torch.stack([below(width - 1, batch), below(height - 1, batch), below(count, batch)], -1)
        along = torch.stack([1 + below(width - 2, patches), 1 + below(height - 2, patches)], -1)
        border, is_far = below(2, patches), below(2, patches)
        edges = torch.tensor([[1, width - 2], [1, height - 2]])
        along[torch.arange(patches), border] = edges[border, is_far]
        centres = torch.cat([along, below(count, patches)[:, None]], -1)
        device = self.frames.device
        return Batch(pixels.to(device), centres.to(device), below(count, OTHERS).to(device))


def prepare_footage(shot: Shot, device: torch.device, progress: Progress = SILENT) -> Footage:
    """Load a shot's frames and masks as tensors, and compute its optical flow both ways."""
    flow_px = np.zeros((len(STEPS), *shot.frames.shape[:3], 2), np.float32)
    is_sure = np.zeros(flow_px.shape[:-1], bool)
    greys = [luma8(frame) for frame in shot.frames]
    pairs = range(len(greys) - 1)
    flows = progress.track(map_ordered(lambda t: both_ways(shot, greys, t), pairs), len(pairs))
    for t, (there, back) in zip(pairs, flows, strict=True):
        flow_px[0, t], is_sure[0, t] = there, sure_flow(there, back)
        flow_px[1, t + 1], is_sure[1, t + 1] = back, sure_flow(back, there)
    frames, masks = (
        torch.from_numpy(np.asarray(shot.frames)).to(device),
        torch.from_numpy(np.stack(shot.alphas)).to(device),
    )
    locked = shot.locked if any(shot.locked) else ()
    flow, sure = torch.from_numpy(flow_px).to(device), torch.from_numpy(is_sure).to(device)
    return Footage(frames, masks, flow, sure, locked=locked)
