"""A mask that is carried does not grow onto what looks or moves as the object does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from support import texture

from nvd_core.image.geometry import pixel_grid
from nvd_core.quality.metrics import mask_iou
from nvd_core.roto.cache import Kept
from nvd_core.roto.camera import follow_camera
from nvd_core.roto.propagate import propagate, track_motion
from nvd_core.roto.window import Cutout
from nvd_core.spec.conventions import Size

SHAPE, WATERLINE = (128, 208), 64
SHORE, BODY = texture(Size(500, 300)), 255 - texture(Size(80, 80), 1)


def mirrored(t: int) -> tuple[np.ndarray, np.ndarray]:
    """Something that swims, with its image in the water, which trembles a little; and its mask."""
    size = SHAPE[::-1]
    view = np.float32([[1, 0, 60 + 2 * t], [0, 1, 50]])
    frame = cv2.warpAffine(SHORE, view, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    frame[WATERLINE:] //= 3
    x = 70 + int(1.5 * t)
    mask = cv2.ellipse(np.zeros(SHAPE, np.uint8), (x, WATERLINE), (30, 26), 0, 180, 360, 1, -1)
    mask[WATERLINE:] = 0
    body = cv2.warpAffine(BODY, np.float32([[1, 0, x - 40], [0, 1, WATERLINE - 60]]), size) // 2
    frame[mask > 0] = body[mask > 0]
    places = pixel_grid(Size(SHAPE[1], WATERLINE))
    places[..., 0] += np.sin(np.arange(WATERLINE, dtype=np.float32) / 4 + 1.3 * t)[:, None]
    above = np.dstack([frame, 255 * mask])[:WATERLINE][::-1].astype(np.float32)
    image = cv2.remap(above, places, None, cv2.INTER_LINEAR)
    part = 0.8 * image[..., 3:] / 255
    frame[WATERLINE:] = (part * image[..., :3] + (1 - part) * frame[WATERLINE:]).astype(np.uint8)
    return frame, mask


def turning(t: int) -> tuple[np.ndarray, np.ndarray]:
    """Something that gets narrower as it passes, and so leaves ground that looks much as it does; and its mask."""
    size, x, width = SHAPE[::-1], 90 + t, 34 - 0.3 * t
    ground = SHORE.copy()
    ground[50:210, 90:250] = cv2.resize(255 - texture(Size(120, 120), 2), (160, 160))
    frame = cv2.warpAffine(ground, np.float32([[1, 0, 60 + t], [0, 1, 50]]), size, flags=cv2.WARP_INVERSE_MAP)
    centre, radii = (round(8 * (x + 0.8 * (34 - width))), 8 * 64), (int(8 * width), 8 * 30)
    mask = cv2.ellipse(np.zeros(SHAPE, np.uint8), centre, radii, 0, 0, 360, 1, -1, shift=3)
    body = cv2.warpAffine(255 - texture(Size(120, 120), 1), np.float32([[1, 0, x - 60], [0, 1, 4]]), size)
    frame[mask > 0] = body[mask > 0]
    return frame, mask


def overlaps(scene: Callable[[int], tuple[np.ndarray, np.ndarray]], count: int, kept: Path) -> list[float]:
    """Of each frame, with the first one's mask given."""
    frames, masks = zip(*map(scene, range(count)), strict=True)
    given = {0: Cutout.of(masks[0].astype(np.float32))}
    camera = follow_camera(frames)
    follow = partial(track_motion, Kept(kept, "body"))
    carried = propagate(camera, given, follow)
    return [
        mask_iou((one.at(pixel_grid(Size(SHAPE[1], SHAPE[0]))) > 0.5).astype(np.float32), mask.astype(np.float32))
        for one, mask in zip(carried, masks, strict=True)
    ]


def test_a_mask_does_not_grow_onto_the_objects_image_in_water(tmp_path: Path) -> None:
    assert min(overlaps(mirrored, 20, tmp_path)) > 0.9


def test_ground_that_the_object_leaves_is_given_up_again(tmp_path: Path) -> None:
    assert overlaps(turning, 36, tmp_path)[-1] > 0.85
