"""Draw the contact sheet, which an artist looks at first: frames, layers, a test edit, and the atlases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Num, UInt8

from nvd_core.image.colour import display_from_linear, to_linear, to_uint8
from nvd_core.image.sample import bands, resized
from nvd_core.result.decomposition import AtlasColour, Frame
from nvd_core.shot.compositing import keep_plate, look_up, paint
from nvd_core.spec.conventions import Size

_WIDTH: Final = 480
_GREY: Final = 0.18
_INK: Final = ((0.90, 0.30, 0.05), (0.05, 0.35, 0.75))
"""Two colours of the checker, linear."""

_ENOUGH: Final = 2e6
"""Most texels of an atlas that tiles are drawn from, several times as many as they show."""

Tile = UInt8[np.ndarray, "_ _ 3"]
"""An 8-bit picture of any size, display-encoded."""


def checker_edit(atlas: AtlasColour, covered: Float32[np.ndarray, "height width"], text: str) -> AtlasColour:
    """Paint a tinted checker and a word on an atlas, to see whether paint sticks.

    Args:
        atlas: linear light.
        covered: 1 where the clip shows the layer, else 0.
        text: painted large over the middle of the covered part.
    """
    rows, columns = np.nonzero(covered > 0.5)
    if not rows.size:
        return atlas
    left, right = np.percentile(columns, (2, 98)).astype(int).tolist()
    top, bottom = np.percentile(rows, (2, 98)).astype(int).tolist()
    cell = max(4, int(max(right - left, bottom - top) / 24))
    y, x = np.mgrid[: atlas.shape[0], : atlas.shape[1]]
    odd = ((x // cell + y // cell) % 2).astype(bool)[..., None]
    tinted = atlas * 0.5 + 0.5 * np.where(odd, _INK[0], _INK[1]).astype(np.float32)
    return lettered(tinted, text, left, right, (top + bottom) // 2)


def lettered(picture: AtlasColour, text: str, left: int, right: int, middle: int) -> AtlasColour:
    """Draw white letters with a black outline, centred between two columns, around a row."""
    scale = (right - left) * 0.55 / cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1, 1)[0][0]
    thick = max(2, round(scale * 2.5))
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thick)
    corner = (int((left + right - width) // 2), int(middle + height // 2))
    for light, weight in ((0.0, 3 * thick), (1.0, thick)):
        ink = np.zeros(picture.shape[:2], np.uint8)
        cv2.putText(ink, text, corner, cv2.FONT_HERSHEY_DUPLEX, scale, 255, weight, cv2.LINE_AA)
        share = ink[..., None].astype(np.float32) / 255
        picture = picture * (1 - share) + np.float32(light) * share
    return picture


def frame_rows(frame: Frame, originals: dict[str, AtlasColour], edits: dict[str, AtlasColour]) -> dict[str, Tile]:
    """Draw the tiles of one frame, by caption: plate, rebuilt, every layer alone, and the frame with the edits."""
    plate = to_linear(frame.plate)
    tiles = {"plate": _tile(plate), "rebuilt": _tile(frame.rebuilt)}
    edited = plate.copy()
    for name, layer in frame.layers.items():
        drawn = np.empty_like(plate)
        for rows in bands(plate):
            uv_atlas, alpha, residual = layer.uv_atlas[rows], layer.alpha[rows], layer.residual[rows]
            surface = look_up(originals[name], uv_atlas)
            drawn[rows] = alpha[..., None] * residual * surface + (1 - alpha[..., None]) * _GREY
            edit = paint(look_up(edits[name], uv_atlas), surface)
            edited[rows] = edited[rows] + keep_plate(plate[rows], alpha, residual, edit, surface) - plate[rows]
        tiles[name] = _tile(drawn)
    tiles["painted"] = _tile(edited)
    return tiles


def contact_sheet(columns: Sequence[tuple[str, dict[str, Tile]]], atlases: dict[str, Tile]) -> Tile:
    """Assemble the sheet: a column for each frame, a row for each caption, the atlases below."""
    rows = [
        np.hstack([_captioned(tiles[caption], f"{caption}  {number}") for number, tiles in columns])
        for caption in columns[0][1]
    ]
    width = rows[0].shape[1]
    for name, atlas in atlases.items():
        fitted = _fit(atlas, Size(width, 3 * _WIDTH // 2))
        space = np.full((fitted.shape[0], width - fitted.shape[1], 3), 46, np.uint8)
        rows.append(_captioned(np.hstack([fitted, space]), f"atlas of {name}  {atlas.shape[1]}x{atlas.shape[0]}"))
    return np.vstack(rows)


def shown_atlas(atlas: AtlasColour, covered: Float32[np.ndarray, "height width"]) -> Tile:
    """Display an atlas with the parts that no frame shows darkened and hatched."""
    shown = np.empty(atlas.shape, np.uint8)
    for rows in bands(atlas):
        display = to_uint8(display_from_linear(atlas[rows]))
        y, x = np.ogrid[rows, : atlas.shape[1]]
        hatched = ((x + y) // 16 % 2 * 12).astype(np.uint8)[..., None]
        shown[rows] = np.where(covered[rows][..., None] > 0.5, display, display // 4 + hatched)
    return shown


def enough(atlas: Num[np.ndarray, "height width *chan"]) -> Num[np.ndarray, "rows columns *chan"]:
    """Shrink an atlas to at most two million texels, more than tiles can show."""
    height, width = atlas.shape[:2]
    shrink = min(1.0, (_ENOUGH / (height * width)) ** 0.5)
    return resized(atlas, Size(round(width * shrink), round(height * shrink)))


def _tile(linear: Float32[np.ndarray, "height width 3"]) -> Tile:
    height, width = linear.shape[:2]
    return to_uint8(resized(display_from_linear(linear), Size(_WIDTH, round(_WIDTH * height / width))))


def _fit(picture: Tile, room: Size) -> Tile:
    height, width = picture.shape[:2]
    scale = min(1.0, room.width / width, room.height / height)
    return resized(picture, Size(max(1, round(width * scale)), max(1, round(height * scale))))


def _captioned(tile: Tile, text: str) -> Tile:
    bar = np.full((22, tile.shape[1], 3), 28, np.uint8)
    cv2.putText(bar, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (225, 225, 225), 1, cv2.LINE_AA)
    return np.vstack([bar, tile])
