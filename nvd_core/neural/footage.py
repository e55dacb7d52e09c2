"""A shot as tensors, with optical flow there and back, and the random pixels that a step looks at."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int, UInt8
from torch import Tensor

from nvd_core.clip.colour import luma8
from nvd_core.flow.dis import FlowPx, Grey, dis_flow
from nvd_core.parallel import map_ordered
from nvd_core.resample import resample
from nvd_core.shot import Shot

STEPS: Final = (1, -1)
"""Frames that flow goes: to the next, and to the one before."""

_SURE_PX: Final = 1.0
"""Flow counts where following it there and back ends within this of the start (papers: 1 px)."""

OTHERS: Final = 15
"""Frames at which residual consistency looks in a step."""

_PIXELS_A_PATCH: Final = 100
"""One patch of residual consistency for so many pixels of a batch: its look-ups then are as many as theirs."""


@final
@dataclass(frozen=True)
class Batch:
    """What one step looks at.

    Attributes:
        pixels: (x, y, t), none in the last row or column of a frame.
        patches: (x, y, t) of the centres of 3x3 patches along the frames' borders, one pixel inside.
        others: frames at which those patches are looked at again.
    """

    pixels: Int[Tensor, "batch 3"]
    patches: Int[Tensor, "patch 3"]
    others: Int[Tensor, " other"]


class Matches(NamedTuple):
    """Optical flow at some samples of a batch.

    Attributes:
        sample: index of each in the batch.
        points_px: (x, y, t) where it leads.
        weight: such that a sum over matches, taken as the batch's mean, is the mean of both ways' means.
    """

    sample: Int[Tensor, " match"]
    points_px: Float[Tensor, "match 3"]
    weight: Float[Tensor, " match"]


@final
@dataclass(frozen=True)
class Footage:
    """A shot as tensors.

    Attributes:
        frames: display-encoded.
        masks: visible alpha of each layer; the background's is what the others leave.
        flow_px: from each frame to the next, and to the one before.
        is_sure: where that flow can be relied on.
        dtype: of the points and colours that are made of these.
        locked: whether each layer's alpha is its mask and not learnt; empty if none is.
    """

    frames: UInt8[Tensor, "frame height width 3"]
    masks: UInt8[Tensor, "layer frame height width"]
    flow_px: Float32[Tensor, "way frame height width 2"]
    is_sure: Bool[Tensor, "way frame height width"]
    dtype: torch.dtype = torch.float32
    locked: tuple[bool, ...] = ()

    @property
    def side_px(self) -> int:
        """The longer side of a frame."""
        return max(self.frames.shape[1:3])

    def unit(self, points_px: Float[Tensor, "*batch 3"] | Int[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """(x, y, t) in pixels and frames to [-1, 1]; the longer side fills it, y is down."""
        return points_px / self._half - 1

    @property
    def _half(self) -> Float[Tensor, " 3"]:
        half = [self.side_px / 2, self.side_px / 2, len(self.frames) / 2]
        return torch.tensor(half, dtype=self.dtype, device=self.frames.device)

    def colours(self, pixels: Int[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
        """Of the frames at (x, y, t), 0 to 1."""
        x, y, t = pixels.unbind(-1)
        return self.frames[t, y, x].to(self.dtype) / 255

    def coarse_alpha(self, pixels: Int[Tensor, "batch 3"]) -> Float[Tensor, "layer batch"]:
        """Of the masks at (x, y, t), 0 to 1."""
        x, y, t = pixels.unbind(-1)
        return self.masks[:, t, y, x].to(self.dtype) / 255

    def alpha_near(self, points: Float[Tensor, "batch 3"]) -> Float[Tensor, "layer batch"]:
        """Of the masks at (x, y, t) as :meth:`unit` gives them, between pixels, 0 to 1; outside, what the edge has."""
        x, y, t = ((points.detach() + 1) * self._half).unbind(-1)
        height, width = self.masks.shape[2:]
        t = t.round().long().clamp(0, len(self.frames) - 1)
        x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
        left, top = x.long().clamp(max=width - 2), y.long().clamp(max=height - 2)
        found = torch.zeros(len(self.masks), len(points), dtype=self.dtype, device=points.device)
        for down in (0, 1):
            for across in (0, 1):
                weight = (1 - (x - left - across).abs()) * (1 - (y - top - down).abs())
                found += weight * self.masks[:, t, top + down, left + across].to(self.dtype) / 255
        return found

    def matches(self, pixels: Int[Tensor, "batch 3"]) -> Matches:
        """Optical flow from pixels (x, y, t) to the frames after and before, where it is sure."""
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
        """Random pixels, and patches along the borders; drawn on the CPU, so the same on every device."""
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


def prepare_footage(shot: Shot, device: torch.device) -> Generator[float, None, Footage]:
    """A shot's frames and masks as they are, and flow.

    Yields:
        The part that is done, 0 to 1.
    """
    flow_px = np.zeros((len(STEPS), *shot.frames.shape[:3], 2), np.float32)
    is_sure = np.zeros(flow_px.shape[:-1], bool)
    greys = [luma8(frame) for frame in shot.frames]
    pairs = range(len(greys) - 1)
    for t, (there, back) in zip(pairs, map_ordered(lambda t: both_ways(shot, greys, t), pairs), strict=True):
        flow_px[0, t], is_sure[0, t] = there, sure_flow(there, back)
        flow_px[1, t + 1], is_sure[1, t + 1] = back, sure_flow(back, there)
        yield (t + 1) / len(pairs)
    frames, masks = (
        torch.from_numpy(np.asarray(shot.frames)).to(device),
        torch.from_numpy(np.stack(shot.alphas)).to(device),
    )
    locked = shot.locked if any(shot.locked) else ()
    flow, sure = torch.from_numpy(flow_px).to(device), torch.from_numpy(is_sure).to(device)
    return Footage(frames, masks, flow, sure, locked=locked)


def sure_flow(there: FlowPx, back: FlowPx) -> Bool[np.ndarray, "height width"]:
    """Where flow ends inside the frame, and flow back from there within a pixel of the start."""
    height, width = there.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = x + there[..., 0], y + there[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside & (np.linalg.norm(there + resample(back, x, y), axis=-1) < _SURE_PX)


def both_ways(shot: Shot, greys: Sequence[Grey], t: int) -> tuple[FlowPx, FlowPx]:
    """Flow from a frame to the next and back: as it is given, or by dense inverse search on the shot's greys."""
    if shot.flow is not None:
        return shot.flow.pair(t, t + 1)
    return dis_flow(greys[t], greys[t + 1]), dis_flow(greys[t + 1], greys[t])
