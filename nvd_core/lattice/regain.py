"""Parts of an object that its found masks miss, regained.

Motion alone misses what stands still for a while or is hard to follow: a leg, a head. What is missed is left to the
background, whose picture cannot show it, as most other frames see the ground there. So the layers are solved at a
small size, each is drawn whole in every frame, and what the background explains worse than the object becomes the
object's. With better masks the background's picture gets better, so this is done twice. (A few steps of
expectation maximisation in a layered model, as in Jojic and Frey, CVPR 2001.)

Nothing is taken from a mask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple, final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from nvd_core.checkpoints import Checkpoints
from nvd_core.clip.colour import display_from_linear
from nvd_core.lattice.imaging import blur, warp
from nvd_core.lattice.layer import LayerView
from nvd_core.lattice.photometry import Picture
from nvd_core.lattice.picture import layer_picture
from nvd_core.lattice.solve import kept_map
from nvd_core.lattice.spline import LayerMap
from nvd_core.masks.cues import log_odds
from nvd_core.masks.cut import cut
from nvd_core.masks.window import Bounds, Cutout, Window, around, look
from nvd_core.parallel import map_ordered
from nvd_core.scratch import Pictures
from nvd_core.settings import QUALITY
from nvd_core.steps import gathered, spread

_LINES: Final = 240
_ROUNDS: Final = 2
_SOLVING: Final = 0.9
"""Rough part of a round that solving the layers takes."""

_PLACE: Final = 0.3
_EXPLAINS: Final = 3.0
"""Weights of where the mask was, and of which layer explains a pixel better."""
_DOUBT: Final = 0.1
_SURE: Final = 1.5
"""The most that counts against and for the object, as the logarithm of how much better: that the background explains
a pixel, too, says little where both look alike, but keeps a gap between two legs open."""
_NOISE, _WRONG = 6.0, 40.0
"""Differences, of 255, that say nothing, and that say no more than "wrong"."""
_UNKNOWN: Final = 18.0
"""Difference that stands for that of an object in a place where it was never seen."""
_SHADOW, _LIGHT = (0.5, 1.15), (0.5, 1.8)
"""Light that a background, and an object, may be in against their pictures."""
_MOST, _TIMES = 90, 1.2
"""Most of what is around the object, in percent, and so many times what the background gets wrong there must be
exceeded: water and leaves are never explained well."""
_NEAR_PX: Final = 12.0
"""How far parts may lie from the mask, about two of it."""

_Mask = Bool[np.ndarray, "height width"]
_Plane = Float32[np.ndarray, "height width"]


def regain(
    frames: Pictures,
    masks: Mapping[str, Sequence[Cutout]],
    settled: Mapping[str, Collection[int]],
    window: int,
    scratch: Path,
    kept: Path,
) -> Generator[float, None, dict[str, list[Cutout]]]:
    """Add to the masks of objects what the background cannot explain.

    Args:
        frames: at working size.
        masks: by object, front to back, one for every frame.
        settled: by object, the frames whose mask stays as it is.
        window: so many frames are solved at once.
        scratch: a folder on whose disk frames may lie meanwhile.
        kept: a folder in which maps are kept, should this be interrupted.

    Yields:
        The part that is done, 0 to 1.

    Returns:
        The masks.
    """
    height, width = frames.shape[1:3]
    whole = Window.over(Bounds(0, 0, width, height), max(1.0, height / _LINES), least=1)
    clip = _Clip(Pictures.on_disk(scratch, (*whole.shape, 3)), whole, window, scratch)
    now = {name: list(some) for name, some in masks.items()}
    for frame in frames:
        clip.frames.append(look(frame, whole.places, whole.zoom))
        yield 0.0
    for done in range(_ROUNDS):
        now = yield from spread(_round(clip, now, settled, kept), done / _ROUNDS, 1 / _ROUNDS)
    return now


@final
@dataclass(frozen=True)
class _Clip:
    """The clip at small size: its frames, where their pixels lie, and how it is solved."""

    frames: Pictures
    whole: Window
    window: int
    scratch: Path

    def shape(self, mask: Cutout) -> _Mask:
        """A mask at small size."""
        return mask.at(self.whole.places) > 0.5


def _round(
    clip: _Clip, masks: Mapping[str, Sequence[Cutout]], settled: Mapping[str, Collection[int]], kept: Path
) -> Generator[float, None, dict[str, list[Cutout]]]:
    """Solve the layers, and look for what their masks miss."""
    parts = Checkpoints(kept / _digest(masks, clip.window), is_taken_up=False)
    background, *objects = yield from spread(_solved(clip, masks, parts), 0, _SOLVING)
    after: dict[str, list[Cutout]] = {}
    for name, layer in zip(masks, objects, strict=True):
        looking = _regained(clip, {**masks, **after}, name, settled.get(name, ()), background, layer)
        share = (1 - _SOLVING) / len(masks)
        after[name] = yield from spread(looking, _SOLVING + len(after) * share, share)
    return after


def _digest(masks: Mapping[str, Sequence[Cutout]], window: int) -> str:
    """Of what the maps follow from, besides the frames."""
    digest = hashlib.sha256(str(window).encode())
    for one in chain.from_iterable(masks.values()):
        digest.update(repr(one.window).encode() + one.mask.tobytes())
    return digest.hexdigest()[:16]


@final
@dataclass(frozen=True)
class _Layer:
    """A layer at small size."""

    mapping: LayerMap
    picture: Picture

    def at(self, t: int) -> _Drawn:
        """It alone, in a frame."""
        texels = self.picture.canvas.texels(self.mapping.positions(t))
        colour = display_from_linear(np.maximum(warp(self.picture.linear, texels), 0)) * 255
        return _Drawn(colour, warp(self.picture.covered, texels, outside=0) > 0.9)


class _Drawn(NamedTuple):
    """A layer in a frame: its colour, 0 to 255, and where it is known."""

    colour: Float32[np.ndarray, "height width 3"]
    known: _Mask

    def differs(self, frame: Float32[np.ndarray, "height width 3"], light: tuple[float, float]) -> _Plane:
        """From what is seen, of 255, but for light within bounds and for a pixel's shift."""
        lit = blur((frame * self.colour).sum(axis=-1), 1.5) / (blur((self.colour**2).sum(axis=-1), 1.5) + 1)
        gain, pixel = np.clip(lit, *light)[..., None], np.ones((3, 3), np.uint8)
        darkest, brightest = gain * cv2.erode(self.colour, pixel), gain * cv2.dilate(self.colour, pixel)
        beyond = np.maximum(0, np.maximum(darkest - frame, frame - brightest)).mean(axis=-1)
        return np.minimum(blur(beyond, 0.8), _WRONG)


def _solved(
    clip: _Clip, masks: Mapping[str, Sequence[Cutout]], checkpoints: Checkpoints
) -> Generator[float, None, list[_Layer]]:
    """The background, then every object."""
    alphas = [Pictures.on_disk(clip.scratch, clip.whole.shape) for _ in ("background", *masks)]
    for cutouts in zip(*masks.values(), strict=True):
        shapes = [clip.shape(one).astype(np.uint8) * 255 for one in cutouts]
        shapes.insert(0, 255 - cv2.dilate(np.maximum.reduce(shapes), np.ones((3, 3), np.uint8)))
        for alpha, shape in zip(alphas, shapes, strict=True):
            alpha.append(shape)
    layers = []
    for index, (name, alpha) in enumerate(zip(("background", *masks), alphas, strict=True)):
        view, start, share = LayerView(clip.frames, alpha), index / len(alphas), 1 / len(alphas)
        solving = kept_map(view, name, checkpoints, QUALITY["preview"], clip.window)
        mapping = yield from spread(solving, start, 0.8 * share)
        picture = yield from spread(layer_picture(view, mapping), start + 0.8 * share, 0.2 * share)
        layers.append(_Layer(mapping, picture))
    return layers


def _regained(
    clip: _Clip,
    masks: Mapping[str, Sequence[Cutout]],
    name: str,
    settled: Collection[int],
    background: _Layer,
    layer: _Layer,
) -> Generator[float, None, list[Cutout]]:
    """The masks of one object, with what they missed."""

    def seen(t: int) -> Cutout:
        mask = clip.shape(masks[name][t])
        if t in settled or not mask.any():
            return masks[name][t]
        taken = np.logical_or.reduce([clip.shape(some[t]) for some in masks.values()])  # by this one, too
        added = _missed(clip.frames[t], mask, taken, background.at(t), layer.at(t))
        return _with(masks[name][t], mask, added, clip.whole) if added.any() else masks[name][t]

    return (yield from gathered(map_ordered(seen, range(len(clip.frames))), len(clip.frames)))


def _missed(
    picture: UInt8[np.ndarray, "height width 3"],
    mask: _Mask,
    taken: _Mask,
    background: _Drawn,
    layer: _Drawn,
) -> _Mask:
    """Pixels beside the mask that are the object's, too."""
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
    return solid & np.isin(pieces, pieces[mask])  # what is not joined to the object is a ghost in one of the pictures


def _with(cutout: Cutout, mask: _Mask, added: _Mask, whole: Window) -> Cutout:
    """A mask and what is added to it; with the mask's rim there, so that no seam is between them."""
    joined = added | (mask & (cv2.dilate(added.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0))
    more = Cutout(whole, joined.astype(np.float32))
    places = (window := around([cutout, more])).beside(0)  # not kept with the mask, which is small
    return Cutout(window, (np.maximum(cutout.at(places), more.at(places)) > 0.5).astype(np.float32))
