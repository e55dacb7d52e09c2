"""Render a short clip with ground truth: a sign is carried past a painted wall while the light changes.

Both are planes, so that a homography per layer and frame is the exact map from pixels to texture.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Float32, Float64

from nvd_core.clip.pictures import write_png
from nvd_core.image.colour import display_from_linear, linear_from_display, to_uint8
from nvd_core.spec.conventions import BACKGROUND, Size

SIZE: Final = Size(480, 270)
FRAMES: Final = 30
OBJECT: Final = "sign"

_WALL: Final = Size(820, 480)
_SIGN: Final = Size(150, 190)
_FINER: Final = 3
"""Samples per pixel along each axis, for antialiasing."""

Texture = Float32[np.ndarray, "height width 3"]
Motion = Float64[np.ndarray, "3 3"]


@final
@dataclass(frozen=True)
class DemoClip:
    """A rendered clip and its ground truth.

    Attributes:
        frames: folder of PNG pictures, numbered from 1.
        masks: folder of the masks of each object.
        motions: for each layer and frame, the homography from pixels of the frame to texels of the layer.
    """

    frames: Path
    masks: dict[str, Path]
    motions: dict[str, tuple[Motion, ...]]


def write_clip(folder: Path, frames: int = FRAMES, size: Size = SIZE) -> DemoClip:
    """Render the clip and its masks into a folder.

    Args:
        folder: receives ``frames/`` and ``masks/``.
        frames: number of frames.
        size: of the pictures, px; the scene is scaled to it.
    """
    wall, sign = _wall(), _sign()
    motions: dict[str, list[Motion]] = {OBJECT: [], BACKGROUND: []}
    for index in range(frames):
        t = index / max(1, frames - 1)
        to_wall, to_sign = (np.linalg.inv(motion) for motion in (_camera(t, size), _carried(t, size)))
        motions[BACKGROUND].append(to_wall)
        motions[OBJECT].append(to_sign)
        picture, mask = _frame(wall, sign, to_wall, to_sign, t, size)
        write_png(folder / "frames" / f"demo.{index + 1:04d}.png", picture)
        write_png(folder / "masks" / OBJECT / f"{OBJECT}.{index + 1:04d}.png", np.dstack([mask] * 3))
    done = {name: tuple(matrices) for name, matrices in motions.items()}
    return DemoClip(folder / "frames", {OBJECT: folder / "masks" / OBJECT}, done)


def _frame(
    wall: Texture,
    sign: Float32[np.ndarray, "sign_height sign_width 4"],
    to_wall: Motion,
    to_sign: Motion,
    t: float,
    size: Size,
) -> tuple[np.ndarray, np.ndarray]:
    """Render picture and mask, 8 bit: composite the layers in linear light, then average the samples of each pixel."""
    fine = Size(size.width * _FINER, size.height * _FINER)
    to_pixels = _moved(np.eye(2) / _FINER, np.full(2, 0.5 / _FINER - 0.5))
    behind, front = (
        cv2.warpPerspective(
            texture, motion @ to_pixels, fine, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=border
        )
        for texture, motion, border in ((wall, to_wall, cv2.BORDER_REFLECT), (sign, to_sign, cv2.BORDER_CONSTANT))
    )
    y, x = np.mgrid[: fine.height, : fine.width] / np.array([fine.height, fine.width]).reshape(2, 1, 1)
    lamp = np.exp(-(((x - 0.1 - 0.8 * t) / 0.3) ** 2) - ((y - 0.35) / 0.6) ** 2)
    light = (0.62 + 0.12 * np.sin(5 * t) + 0.55 * lamp).astype(np.float32)[..., None]
    alpha = front[..., 3:]
    shine = np.float32(1.15 - 0.4 * t)  # the sign turns away from the light
    linear = light * (front[..., :3] * shine + behind * (1 - alpha))
    shrunk, mask = (cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in (linear, alpha))
    return to_uint8(display_from_linear(shrunk)), to_uint8(mask)


def _camera(t: float, size: Size) -> Motion:
    """Homography from the wall to the frame at time t, 0 to 1: a pan with a little roll and zoom."""
    zoom, roll = 0.95 + 0.12 * t, np.deg2rad(-1.5 + 3 * t)
    turn = zoom * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    centre = np.array([300 + 190 * t, 240 - 25 * np.sin(3 * t)])
    middle = np.array([SIZE.width - 1, SIZE.height - 1]) / 2
    return _scaled(size) @ _moved(turn, middle - turn @ centre)


def _carried(t: float, size: Size) -> Motion:
    """Homography from the sign to the frame at time t, 0 to 1: moved on an arc, swinging, turning about its axis."""
    swing, turn = np.deg2rad(8 * np.sin(6 * t)), 0.75 * (t - 0.4)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * np.array([_SIGN.width, _SIGN.height]) / 2
    depth = 1 + corners[:, :1] / _SIGN.width * np.sin(turn) * 0.35
    upright = corners * [np.cos(turn), 1] * (0.78 + 0.1 * t) / depth
    swung = upright @ np.array([[np.cos(swing), np.sin(swing)], [-np.sin(swing), np.cos(swing)]])
    placed = swung + np.array([120 + 235 * t, 145 - 30 * np.sin(np.pi * t)])
    from_corners = corners + np.array([_SIGN.width - 1, _SIGN.height - 1]) / 2
    return _scaled(size) @ cv2.getPerspectiveTransform(from_corners.astype(np.float32), placed.astype(np.float32))


def _scaled(size: Size) -> Motion:
    """Scale from pixels of the default size to pixels of another; centres of pixels are whole numbers."""
    scale = np.array([size.width / SIZE.width, size.height / SIZE.height])
    return _moved(np.diag(scale), scale / 2 - 0.5)


def _moved(linear: Float64[np.ndarray, "2 2"], shift: Float64[np.ndarray, " 2"]) -> Motion:
    return np.vstack([np.column_stack([linear, shift]), [0, 0, 1]])


def _wall() -> Texture:
    """Texture of the wall, bricks with a mural, linear light."""
    noise = _noise(_WALL, seed=1)
    picture = np.empty((_WALL.height, _WALL.width, 3), np.uint8)
    picture[:] = (176, 170, 160)
    rng = np.random.default_rng(2)
    for row, top in enumerate(range(0, _WALL.height, 22)):
        for left in range(-(row % 2) * 26, _WALL.width, 52):
            tone = int(rng.integers(-16, 17))
            colour = (150 + tone, 84 + tone // 2, 66 + tone // 3)
            cv2.rectangle(picture, (left + 2, top + 2), (left + 49, top + 19), colour, -1)
    for centre, radius, colour in (
        ((330, 210), 105, (236, 178, 52)),
        ((470, 300), 82, (38, 118, 140)),
        ((585, 165), 70, (196, 62, 76)),
    ):
        paint = picture.copy()
        cv2.circle(paint, centre, radius, colour, -1, cv2.LINE_AA)
        picture = cv2.addWeighted(paint, 0.82, picture, 0.18, 0)
    cv2.putText(picture, "RIVERSIDE", (190, 372), cv2.FONT_HERSHEY_TRIPLEX, 2.6, (235, 230, 214), 7, cv2.LINE_AA)
    return linear_from_display(np.clip(picture / 255 + 0.09 * noise[..., None], 0.02, 0.98).astype(np.float32))


def _sign() -> Float32[np.ndarray, "height width 4"]:
    """Texture of the sign, a board with a pattern and round corners: RGBA in linear light, premultiplied."""
    picture = np.empty((_SIGN.height, _SIGN.width, 3), np.uint8)
    picture[:] = (224, 214, 190)
    for index, top in enumerate(range(10, _SIGN.height, 24)):
        cv2.rectangle(picture, (10, top), (_SIGN.width - 11, top + 9), ((40, 96, 82), (178, 96, 40))[index % 2], -1)
    cv2.circle(picture, (75, 95), 46, (246, 240, 226), -1, cv2.LINE_AA)
    cv2.circle(picture, (75, 95), 46, (52, 60, 74), 5, cv2.LINE_AA)
    cv2.putText(picture, "7", (52, 119), cv2.FONT_HERSHEY_TRIPLEX, 2.2, (52, 60, 74), 5, cv2.LINE_AA)
    shape = np.zeros((_SIGN.height, _SIGN.width), np.uint8)
    cv2.rectangle(shape, (14, 4), (_SIGN.width - 15, _SIGN.height - 5), 255, -1)
    cv2.rectangle(shape, (4, 14), (_SIGN.width - 5, _SIGN.height - 15), 255, -1)
    for x in (14, _SIGN.width - 15):
        for y in (14, _SIGN.height - 15):
            cv2.circle(shape, (x, y), 10, 255, -1, cv2.LINE_AA)
    alpha = shape[..., None].astype(np.float32) / 255
    grain = 0.07 * _noise(_SIGN, seed=3)[..., None]
    colour = linear_from_display(np.clip(picture / 255 + grain, 0.02, 0.98).astype(np.float32))
    return np.dstack([colour * alpha, alpha])


def _noise(size: Size, seed: int) -> Float32[np.ndarray, "height width"]:
    """Sum of Gaussian noise at four scales, about -1 to 1."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size.height, size.width), np.float32)
    for radius in (0.8, 2.0, 6.0, 18.0):
        layer = cv2.GaussianBlur(rng.standard_normal(total.shape).astype(np.float32), (0, 0), radius)
        total += layer / layer.std()
    return total / 4
