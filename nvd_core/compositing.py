"""From layers back to frames. Blender's node tree computes the same; these functions are its reference.

All colours are linear light. Shapes: ``surface`` is an atlas looked up by a layer's UV pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32

from nvd_core.conventions import (
    LEFT_AT_LEAST,
    OWNED_FROM,
    TOLERANCE_ABSOLUTE,
    TOLERANCE_RELATIVE,
    x_from_u,
    y_from_v,
)
from nvd_core.resample import resample

Colour = Float32[np.ndarray, "height width 3"]
Share = Float32[np.ndarray, "height width"]


@dataclass(frozen=True, slots=True)
class Look:
    """How a layer is shown.

    Attributes:
        opacity: 0 to 1, of the layer when the frame is rebuilt, of what was painted when the plate is kept.
        light: how much of the residual is used: 0 shows the atlas unlit, 1 lights it as in the shot.
        gain: factor on that light.
    """

    opacity: float = 1.0
    light: float = 1.0
    gain: float = 1.0

    def lit(self, residual: Colour) -> Colour:
        """The residual that this look asks for."""
        return np.float32(self.gain) * (1 + np.float32(self.light) * (residual - 1))


AS_SHOT: Final = Look()


def look_up(
    atlas: Float32[np.ndarray, "rows columns chan"], uv_atlas: Float32[np.ndarray, "height width 2"]
) -> Float32[np.ndarray, "height width chan"]:
    """Sample an atlas at STMap coordinates: bilinear, the edge goes on beyond [0, 1]."""
    rows, columns = atlas.shape[:2]
    x = np.clip(x_from_u(uv_atlas[..., 0], columns), 0, columns - 1)
    y = np.clip(y_from_v(uv_atlas[..., 1], rows), 0, rows - 1)
    return resample(atlas, x.astype(np.float32), y.astype(np.float32))


def changed(painted: Colour, original: Colour) -> Share:
    """Where an atlas was painted: 0 untouched, 1 painted, between them on soft strokes and borders."""
    difference = np.abs(painted - original).max(axis=-1)
    brightest = np.maximum(painted, original).max(axis=-1)
    tolerance = TOLERANCE_RELATIVE * brightest + TOLERANCE_ABSOLUTE
    return np.clip(difference / tolerance - 1, 0, 1)


def owned(alpha: Share) -> Share:
    """How far a layer alone makes up a pixel."""
    return np.clip((alpha - OWNED_FROM) / (1 - OWNED_FROM), 0, 1)


def rebuild(layers: list[tuple[Share, Colour, Colour]]) -> Colour:
    """The frame from its layers: sum of alpha x residual x surface.

    Args:
        layers: ``(alpha, residual, surface)`` of each.
    """
    total = np.zeros_like(layers[0][1])
    for alpha, residual, surface in layers:
        total += alpha[..., None] * residual * surface
    return total


def see_through(alphas: Sequence[Share], opacities: Sequence[float]) -> list[Share]:
    """Visible alphas, front to back, when layers get opacities: what one lets through shows those behind it.

    The bottom layer is behind every pixel. Of the others nothing is known where layers in front hide them wholly.
    """
    uncovered, let_through, seen = np.ones_like(alphas[0]), np.zeros_like(alphas[0]), []
    for alpha, opacity in zip(alphas, opacities, strict=True):
        is_bottom = len(seen) == len(alphas) - 1
        coverage = 1 if is_bottom else np.clip(alpha / np.maximum(uncovered, LEFT_AT_LEAST), 0, 1)
        seen.append(np.float32(opacity) * (alpha + coverage * let_through))
        uncovered, let_through = uncovered - alpha, let_through + alpha - seen[-1]
    return seen


def keep_plate(
    plate: Colour, alpha: Share, residual: Colour, painted: Colour, original: Colour, look: Look = AS_SHOT
) -> Colour:
    """The plate with what was painted on one layer; untouched pixels stay exactly what they are.

    Where the layer owns the pixel the painted surface replaces it. On the matte's edge, where other
    layers shine through, the difference of painted and original surface is added instead (RNA, section
    2.6 of the papers; a difference everywhere would leave a ghost of the old texture).
    """
    touched = np.float32(look.opacity) * changed(painted, original)
    was = residual * original
    difference = look.lit(residual) * painted - was
    return plate + (alpha * touched)[..., None] * difference + (owned(alpha) * touched)[..., None] * (was - plate)
