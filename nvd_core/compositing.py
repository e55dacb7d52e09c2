"""From layers back to frames. Blender's node tree computes the same; these functions are its reference.

All colours are linear light. Shapes: ``surface`` is an atlas looked up by a layer's UV pass.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float32

from nvd_core.conventions import x_from_u, y_from_v
from nvd_core.resample import resample

Colour = Float32[np.ndarray, "height width 3"]
Share = Float32[np.ndarray, "height width"]

TOLERANCE_RELATIVE: Final = 0.01
TOLERANCE_ABSOLUTE: Final = 0.001
"""A painted texel counts as changed when it differs from the original by more than this, in linear
light. It is what saving an atlas with 8 bits a channel may change, and no painter can see it."""

OWNED_FROM: Final = 0.9
"""From this alpha upwards, and wholly at 1, a layer owns a pixel: painted colour replaces the plate."""


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


def keep_plate(plate: Colour, alpha: Share, residual: Colour, painted: Colour, original: Colour) -> Colour:
    """The plate with what was painted on one layer; untouched pixels stay exactly what they are.

    Where the layer owns the pixel the painted surface replaces it. On the matte's edge, where other
    layers shine through, the difference of painted and original surface is added instead (RNA, section
    2.6 of the papers; a difference everywhere would leave a ghost of the old texture).
    """
    touched = changed(painted, original)
    difference = residual * (painted - original)
    mismatch = residual * original - plate
    return plate + (alpha * touched)[..., None] * difference + (owned(alpha) * touched)[..., None] * mismatch
