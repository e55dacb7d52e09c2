"""Complete masks that were segmented from motion: add parts of the object that the background cannot explain.

Motion alone misses parts that stand still for a while or are hard to track: a leg, a head. Missed parts fall to the
background, whose picture cannot show them, as most other frames see the ground there. So the layers are solved at a
small size, each is rendered whole in every frame, and pixels that the background explains worse than the object are
added to the object's mask by graph cut. Better masks improve the background's picture, so this is done twice. (A few
steps of expectation maximisation in a layered model, as in Jojic and Frey, CVPR 2001.)

Masks only grow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from nvd_core.image.colour import display_from_linear
from nvd_core.image.filters import blur
from nvd_core.image.geometry import Box
from nvd_core.image.sample import warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.picture.average import layer_picture
from nvd_core.lattice.picture.photometry import Picture
from nvd_core.lattice.register.spline import LayerMap
from nvd_core.lattice.solve import kept_map
from nvd_core.roto.cues import log_odds
from nvd_core.roto.graph_cut import cut
from nvd_core.roto.window import Cutout, Window, around, look
from nvd_core.runtime.checkpoints import Checkpoints
from nvd_core.runtime.parallel import map_all
from nvd_core.runtime.picture_store import Pictures
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.spec.settings import QUALITY

_LINES: Final = 240
_ROUNDS: Final = 2
_SOLVING: Final = 0.9
"""Rough share of solving the layers in a round."""

_PLACE: Final = 0.3
_EXPLAINS: Final = 3.0
"""Weights of the two terms of the score: nearness to the mask, and which layer explains a pixel better."""
_DOUBT: Final = 0.1
_SURE: Final = 1.5
"""Bounds of the log-ratio of errors, against and for the object: a pixel that the background explains, too, says
little where both look alike, but keeps a gap between two legs open."""
_NOISE, _WRONG = 6.0, 40.0
"""Differences, of 255: one that noise makes, and the largest, above which all are equally wrong."""
_UNKNOWN: Final = 18.0
"""Difference, of 255, assumed of an object in places where it was never seen."""
_SHADOW, _LIGHT = (0.5, 1.15), (0.5, 1.8)
"""Range of the relighting gain of a background, and of an object, against their pictures."""
_MOST, _TIMES = 90, 1.2
"""Percentile of the background's error around the object, and factor by which a pixel's must exceed it: water and
leaves are never explained well."""
_NEAR_PX: Final = 12.0
"""Sigma of nearness to the mask, small px; added parts lie within about two of it."""

_Mask = Bool[np.ndarray, "height width"]
_Plane = Float32[np.ndarray, "height width"]


def regain(
    frames: Pictures,
    masks: Mapping[str, Sequence[Cutout]],
    settled: Mapping[str, Collection[int]],
    window: int,
    scratch: Path,
    kept: Path,
    progress: Progress = SILENT,
) -> dict[str, list[Cutout]]:
    """Grow the masks of objects by pixels that the background cannot explain.

    Args:
        frames: at working size.
        masks: by object, front to back, one for every frame.
        settled: by object, the frames whose mask stays unchanged.
        window: most frames solved at once.
        scratch: folder on whose disk temporary frames lie.
        kept: folder of checkpoints of the maps, for resuming.
        progress: of completing.

    Returns:
        The masks, by object.
    """
    height, width = frames.shape[1:3]
    whole = Window.over(Box(0, 0, width, height), max(1.0, height / _LINES), least=1)
    clip = _Clip(Pictures.on_disk(scratch, (*whole.shape, 3)), whole, window, scratch)
    now = {name: list(some) for name, some in masks.items()}
    for frame in frames:
        clip.frames.append(look(frame, whole.places, whole.zoom))
        progress(0.0)
    for _, part in progress.each(range(_ROUNDS)):
        now = _round(clip, now, settled, kept, part)
    return now


@final
@dataclass(frozen=True)
class _Clip:
    """The clip at small size, and how it is solved.

    Attributes:
        frames: 8-bit display-encoded RGB.
        whole: sampling grid of the small frame in the working picture.
        window: most frames solved at once.
        scratch: folder on whose disk temporary pictures lie.
    """

    frames: Pictures
    whole: Window
    window: int
    scratch: Path

    def shape(self, mask: Cutout) -> _Mask:
        """Sample a mask at small size."""
        return mask.at(self.whole.places) > 0.5


def _round(
    clip: _Clip,
    masks: Mapping[str, Sequence[Cutout]],
    settled: Mapping[str, Collection[int]],
    kept: Path,
    progress: Progress,
) -> dict[str, list[Cutout]]:
    """Solve all layers, then grow the objects' masks, front to back."""
    parts = Checkpoints(kept / _digest(masks, clip.window), is_taken_up=False)
    solving, growing = progress.split(_SOLVING, 1 - _SOLVING)
    background, *objects = _solved(clip, masks, parts, solving)
    after: dict[str, list[Cutout]] = {}
    for (name, layer), part in growing.each(list(zip(masks, objects, strict=True))):
        after[name] = _regained(clip, {**masks, **after}, name, settled.get(name, ()), background, layer, part)
    return after


def _digest(masks: Mapping[str, Sequence[Cutout]], window: int) -> str:
    """Digest of the inputs of the maps besides the frames."""
    digest = hashlib.sha256(str(window).encode())
    for one in chain.from_iterable(masks.values()):
        digest.update(repr(one.window).encode() + one.mask.tobytes())
    return digest.hexdigest()[:16]


@final
@dataclass(frozen=True)
class _Layer:
    """A solved layer at small size."""

    mapping: LayerMap
    picture: Picture

    def at(self, t: int) -> _Drawn:
        """Render the layer alone in a frame, unoccluded and unlit."""
        texels = self.picture.canvas.texels(self.mapping.positions(t))
        colour = display_from_linear(np.maximum(warp(self.picture.linear, texels), 0)) * 255
        return _Drawn(colour, self.picture.shows(texels))


class _Drawn(NamedTuple):
    """A layer rendered in a frame: display-encoded colour, 0 to 255, and where some frame shows it."""

    colour: Float32[np.ndarray, "height width 3"]
    known: _Mask

    def differs(self, frame: Float32[np.ndarray, "height width 3"], light: tuple[float, float]) -> _Plane:
        """Difference from a frame, of 255, up to a gain within ``light`` and a shift of a pixel."""
        lit = blur((frame * self.colour).sum(axis=-1), 1.5) / (blur((self.colour**2).sum(axis=-1), 1.5) + 1)
        gain, pixel = np.clip(lit, *light)[..., None], np.ones((3, 3), np.uint8)
        darkest, brightest = gain * cv2.erode(self.colour, pixel), gain * cv2.dilate(self.colour, pixel)
        beyond = np.maximum(0, np.maximum(darkest - frame, frame - brightest)).mean(axis=-1)
        return np.minimum(blur(beyond, 0.8), _WRONG)


def _solved(
    clip: _Clip, masks: Mapping[str, Sequence[Cutout]], checkpoints: Checkpoints, progress: Progress
) -> list[_Layer]:
    """Solve map and picture of the background, then of every object."""
    alphas = [Pictures.on_disk(clip.scratch, clip.whole.shape) for _ in ("background", *masks)]
    for cutouts in zip(*masks.values(), strict=True):
        shapes = [clip.shape(one).astype(np.uint8) * 255 for one in cutouts]
        shapes.insert(0, 255 - cv2.dilate(np.maximum.reduce(shapes), np.ones((3, 3), np.uint8)))
        for alpha, shape in zip(alphas, shapes, strict=True):
            alpha.append(shape)
    layers = []
    for (name, alpha), part in progress.each(list(zip(("background", *masks), alphas, strict=True))):
        view, (solving, averaging) = LayerView(clip.frames, alpha), part.split(8, 2)
        mapping = kept_map(view, name, checkpoints, QUALITY["preview"], clip.window, solving)
        layers.append(_Layer(mapping, layer_picture(view, mapping, progress=averaging)))
    return layers


def _regained(
    clip: _Clip,
    masks: Mapping[str, Sequence[Cutout]],
    name: str,
    settled: Collection[int],
    background: _Layer,
    layer: _Layer,
    progress: Progress,
) -> list[Cutout]:
    """Grow the masks of one object in all frames."""

    def grown(t: int) -> Cutout:
        mask = clip.shape(masks[name][t])
        if t in settled or not mask.any():
            return masks[name][t]
        taken = np.logical_or.reduce([clip.shape(some[t]) for some in masks.values()])  # this object's, too
        added = _missed(clip.frames[t], mask, taken, background.at(t), layer.at(t))
        return _with(masks[name][t], mask, added, clip.whole) if added.any() else masks[name][t]

    return map_all(grown, range(len(clip.frames)), progress)


def _missed(
    picture: UInt8[np.ndarray, "height width 3"],
    mask: _Mask,
    taken: _Mask,
    background: _Drawn,
    layer: _Drawn,
) -> _Mask:
    """Segment pixels beside the mask that belong to the object, by graph cut; only those connected to the mask."""
    frame, shape = picture.astype(np.float32), mask.astype(np.float32)
    near, rim = blur(shape, _NEAR_PX), blur(shape, 2.0)
    beside = (near > 0.01) & (rim < 0.02) & background.known & ~taken
    wrong = background.differs(frame, _SHADOW)
    usual = _TIMES * float(np.percentile(wrong[beside], _MOST)) if beside.any() else _WRONG
    expected = np.where(layer.known, layer.differs(frame, _LIGHT), _UNKNOWN)
    better = np.log((wrong + _NOISE) / (np.maximum(expected, usual) + _NOISE))
    score = _EXPLAINS * np.clip(better, -_DOUBT, _SURE) * background.known + _PLACE * log_odds(rim)
    score[(near < 0.004) | (taken & ~mask)] = -8
    added = cut(score.astype(np.float32), picture) & ~taken
    solid = cv2.morphologyEx(added.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    _, pieces = cv2.connectedComponents((solid | mask).astype(np.uint8))
    return solid & np.isin(pieces, pieces[mask])  # a piece apart from the object is a ghost in one of the pictures


def _with(cutout: Cutout, mask: _Mask, added: _Mask, whole: Window) -> Cutout:
    """Join a mask and the pixels added to it, overlapping at the mask's rim so that no seam is left."""
    joined = added | (mask & (cv2.dilate(added.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0))
    more = Cutout(whole, joined.astype(np.float32))
    places = (window := around([cutout, more])).beside(0)  # not kept with the mask, which is small
    return Cutout(window, (np.maximum(cutout.at(places), more.at(places)) > 0.5).astype(np.float32))
