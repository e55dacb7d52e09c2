"""Composite layers into frames; the reference of Blender's node tree, which computes the same.

All colours are linear light. ``surface`` is an atlas sampled at a layer's UV pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Float32

from nvd_core.image.filters import fill_holes
from nvd_core.image.geometry import bounding_box
from nvd_core.image.sample import resample
from nvd_core.shot.solution import LayerFrame
from nvd_core.spec.conventions import (
    HIDDEN_BELOW,
    LEAST_LIGHT,
    LEFT_AT_LEAST,
    OWNED_FROM,
    RIM,
    SEEN_FROM,
    TOLERANCE_ABSOLUTE,
    TOLERANCE_RELATIVE,
    x_from_u,
    y_from_v,
)
from nvd_core.spec.manifest import Kind

Colour = Float32[np.ndarray, "height width 3"]
Share = Float32[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True)
class Look:
    """Opacity and lighting of a layer in the composite.

    Attributes:
        opacity: 0 to 1, of the layer when the frame is rebuilt, of the paint when the plate is kept.
        light: blend between no light (0) and the shot's residual (1).
        gain: factor on that light.
    """

    opacity: float = 1.0
    light: float = 1.0
    gain: float = 1.0

    def lit(self, residual: Colour) -> Colour:
        """Residual with light and gain applied."""
        return np.float32(self.gain) * (1 + np.float32(self.light) * (residual - 1))


AS_SHOT: Final = Look()


def look_up(
    atlas: Float32[np.ndarray, "rows columns chan"], uv_atlas: Float32[np.ndarray, "height width 2"]
) -> Float32[np.ndarray, "height width chan"]:
    """Sample an atlas at STMap coordinates: bilinear, edge texels repeated beyond [0, 1]."""
    rows, columns = atlas.shape[:2]
    x = np.clip(x_from_u(uv_atlas[..., 0], columns), 0, columns - 1)
    y = np.clip(y_from_v(uv_atlas[..., 1], rows), 0, rows - 1)
    return resample(atlas, x.astype(np.float32), y.astype(np.float32))


def changed(painted: Colour, original: Colour) -> Share:
    """Matte of the paint on an atlas: 0 untouched, 1 painted, between them on soft strokes and borders."""
    difference = np.abs(painted - original).max(axis=-1)
    brightest = np.maximum(painted, original).max(axis=-1)
    tolerance = TOLERANCE_RELATIVE * brightest + TOLERANCE_ABSOLUTE
    return np.clip(difference / tolerance - 1, 0, 1)


def owned(alpha: Share) -> Share:
    """Ownership of each pixel by a layer, 0 to 1: linear in alpha from 0.9 to 1."""
    return np.clip((alpha - OWNED_FROM) / (1 - OWNED_FROM), 0, 1)


def is_seen(alpha: Share) -> bool:
    """Whether a frame shows a layer at all: where it does not, nothing of it goes beyond its outline either."""
    return bool((alpha > HIDDEN_BELOW).mean() > SEEN_FROM)


def rebuild(layers: Iterable[tuple[Share, Colour, Colour]]) -> Colour:
    """Composite a frame from its layers: the sum of alpha x residual x surface.

    Args:
        layers: ``(alpha, residual, surface)`` of each.
    """
    total = np.zeros(1, np.float32)
    for alpha, residual, surface in layers:
        total = total + alpha[..., None] * residual * surface
    return total


def see_through(alphas: Sequence[Share], opacities: Sequence[float], kinds: Sequence[Kind]) -> list[Share]:
    """Visible alphas, front to back, of layers with opacities: a layer made transparent reveals those behind it.

    The background is behind every pixel. The others are unknown, and stay empty, where layers in front occlude
    them wholly.
    """
    uncovered, let_through, seen = np.ones_like(alphas[0]), np.zeros_like(alphas[0]), []
    for alpha, opacity, kind in zip(alphas, opacities, kinds, strict=True):
        coverage = 1 if kind == "background" else np.clip(alpha / np.maximum(uncovered, LEFT_AT_LEAST), 0, 1)
        seen.append(np.float32(opacity) * (alpha + coverage * let_through))
        uncovered, let_through = uncovered - alpha, let_through + alpha - seen[-1]
    return seen


class Over(NamedTuple):
    """A picture with transparency that lies over a surface.

    Attributes:
        colour: premultiplied by its share.
        share: of each pixel that it covers, 0 to 1.
    """

    colour: Colour
    share: Share

    def over(self, below: Over) -> Over:
        """Composite it over another one."""
        left = 1 - self.share
        return Over(below.colour * left[..., None] + self.colour, below.share * left + self.share)

    def on(self, surface: Colour) -> Colour:
        """Composite it over an opaque surface."""
        return surface * (1 - self.share)[..., None] + self.colour

    def times(self, factor: float | Share) -> Over:
        """Make it more transparent."""
        if isinstance(factor, float) and factor == 1:
            return self
        share = np.broadcast_to(np.float32(factor), self.share.shape)
        return Over(self.colour * share[..., None], self.share * share)


def paint(painted: Colour, original: Colour) -> Over:
    """Separate the paint on an atlas from its original."""
    touched = changed(painted, original)
    return Over(painted * touched[..., None], touched)


def unlit(plate: Colour, alpha: Share, residual: Colour, painted: Colour, touched: Share) -> Colour:
    """Surface that blend modes of a layer's inserts see: the plate without the layer's light.

    So a tint keeps the plate's grain, which the atlas, an average over frames, does not have, and beyond the outline it
    tints what is there. On the outline's soft edge, and where the layer is painted, it is the atlas.
    """
    free = np.where(alpha > 0.5, 1 - touched, 1)
    share = (owned(np.maximum(alpha, 1 - alpha)) * free)[..., None].astype(np.float32)
    return painted + share * (plate / np.maximum(residual, LEAST_LIGHT) - painted)


def keep_plate(
    plate: Colour, alpha: Share, residual: Colour, edit: Over, original: Colour, look: Look = AS_SHOT
) -> Colour:
    """Composite one layer's edit over the plate; untouched pixels keep the plate's values exactly.

    Where the layer owns the pixel, the edit lies over the plate. On the matte's edge, where other layers shine
    through, the difference of edited and original surface is added instead (RNA, Lee et al., 2024; a difference
    everywhere would leave a ghost of the old texture).
    """
    colour, share = edit.times(look.opacity)
    was = residual * original
    difference = look.lit(residual) * colour - share[..., None] * was
    return plate + alpha[..., None] * difference + (owned(alpha) * share)[..., None] * (was - plate)


class Behind(NamedTuple):
    """What is seen behind a layer.

    Attributes:
        share: of each pixel, 0 to 1.
        colour: of the layers there as solved, by their shares.
    """

    share: Share
    colour: Colour


def beyond_outline(
    plate: Colour, layer: LayerFrame, edits: tuple[Over, Over], original: Colour, behind: Behind, look: Look = AS_SHOT
) -> Colour:
    """Change of the plate by what of a layer's edit shows beyond its outline, before the layers behind it.

    As :func:`keep_plate`: where no layer is in front, it replaces the plate, and on their soft edges a difference is
    added.

    Args:
        plate: of the frame.
        layer: in that frame.
        edits: within its outline, which :func:`keep_plate` composites; and beyond it.
        original: its surface.
        behind: it.
        look: of the layer.
    """
    (_, within), (colour, share) = (edit.times(look.opacity) for edit in edits)
    difference = behind.share[..., None] * look.lit(layer.residual) * colour - share[..., None] * behind.colour
    replaced = np.maximum(owned(layer.alpha + behind.share) * share - owned(layer.alpha) * within, 0)
    was = layer.alpha[..., None] * layer.residual * original + behind.colour
    return difference + replaced[..., None] * (was - plate)


def hole(hidden: Share) -> Share:
    """Matte of what is replaced where layers are hidden: 1 on them and their rim, with a soft edge outside, else 0.

    The edge is about twice as wide as the rim.

    Args:
        hidden: visible alpha of the hidden layers together.
    """
    rim_px = _rim_px(hidden)
    return cv2.blur(_grown(hidden > HIDDEN_BELOW, 3 * rim_px), (2 * rim_px + 1, 2 * rim_px + 1))


def light_in_hole(residual: Colour, alpha: Share, matte: Share) -> Colour:
    """Residual of the background in a hole: that under the hidden object, continued over its rim.

    On the rim itself the residual is measured, with what the object's edge and its shadow do to it.

    Args:
        residual: of the background.
        alpha: its visible alpha.
        matte: the hole.
    """
    box = bounding_box(matte > 0)
    if box is None or not (under := alpha[box.slices] < HIDDEN_BELOW).any():
        return residual
    lit, inside = residual.copy(), residual[box.slices]
    continued = fill_holes(inside, under.astype(np.float32))
    lit[box.slices] = np.where(_grown(under, 5 * _rim_px(alpha))[..., None] > 0, continued, inside)
    return lit


def _rim_px(picture: Share) -> int:
    return max(1, round(RIM * len(picture)))


def _grown(mask: Bool[np.ndarray, "height width"], radius_px: int) -> Share:
    around = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius_px + 1, 2 * radius_px + 1))
    return cv2.dilate(mask.astype(np.float32), around)
