"""Little clips that have one thing wrong with them, and their twins that have not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from support import texture, write_masks

from nvd_core.clip.pictures import write_png
from nvd_core.spec.conventions import Size
from nvd_core.spec.settings import Job, MaskSource, Settings

SIZE = Size(192, 108)
COUNT = 12


class Shown(NamedTuple):
    """A picture and, if there is an object, its mask."""

    picture: np.ndarray
    mask: np.ndarray | None = None


Clip = Callable[[], Iterator[Shown]]


def job_of(clip: Clip, folder: Path) -> Job:
    """Written to disk, ready to be decomposed."""
    frames = list(clip())
    for index, shown in enumerate(frames):
        write_png(folder / "clip" / f"clip.{index + 1:04d}.png", shown.picture)
    masks = [shown.mask for shown in frames if shown.mask is not None]
    sources = (MaskSource.of(name="thing", path=str(write_masks(folder / "masks", masks))),) if masks else ()
    # What has no mask here stays in the background: that it moves by itself is for the diagnosis to find.
    return Job(clip=str(folder / "clip"), masks=sources, settings=Settings.of(preset="preview", find="nothing"))


WALL = texture(Size(900, 300), seed=1)
SKIN = texture(Size(400, 200), seed=2)[..., ::-1] // 2 + 90


def window(picture: np.ndarray, x: float, y: float, size: Size = SIZE) -> np.ndarray:
    """What of a picture is seen from there."""
    motion = np.array([[1, 0, x], [0, 1, y]], np.float32)
    return cv2.warpAffine(picture, motion, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def wall(t: float, pan_px: float = 1.5, seed: int = 1) -> np.ndarray:
    """The background, the camera passing it."""
    return window(WALL if seed == 1 else texture(Size(900, 300), seed), 40 + pan_px * t, 40 + 0.3 * t)


def oval(x: float, y: float, half: tuple[float, float] = (32, 24)) -> np.ndarray:
    """Coverage of an object, 8 bit, with a soft edge."""
    fine = np.zeros((SIZE.height * 4, SIZE.width * 4), np.uint8)
    centre, axes = (round(4 * x), round(4 * y)), (round(4 * half[0]), round(4 * half[1]))
    cv2.ellipse(fine, centre, axes, 0, 0, 360, 255, -1)
    return cv2.resize(fine, SIZE, interpolation=cv2.INTER_AREA)


def over(front: np.ndarray, cover: np.ndarray, behind: np.ndarray) -> np.ndarray:
    share = cover[..., None] / 255
    return np.rint(front * share + behind * (1 - share)).astype(np.uint8)


def carried(t: float, step_px: float = 3.0) -> Shown:
    """An object that is carried past the wall."""
    x, y = 55 + step_px * t, 54 + 0.5 * t
    mask = oval(x, y)
    return Shown(over(window(SKIN, 100 - x, 100 - y), mask, wall(t)), mask)


def good() -> Iterator[Shown]:
    """Nothing is wrong."""
    return (carried(t) for t in range(COUNT))


def pan(start: int = 0, count: int = COUNT, pan_px: float = 1.5, seed: int = 1) -> Iterator[Shown]:
    return (Shown(wall(t, pan_px, seed)) for t in range(start, start + count))


def blurred() -> Iterator[Shown]:
    """The focus is lost for three frames."""
    for t in range(COUNT):
        shown = carried(t)
        yield Shown(cv2.GaussianBlur(shown.picture, (0, 0), 1.8), shown.mask) if t in (6, 7) else shown


def soft() -> Iterator[Shown]:
    """All of it is a little out of focus."""
    return (Shown(cv2.GaussianBlur(shown.picture, (0, 0), 1.2), shown.mask) for shown in good())


def still() -> Iterator[Shown]:
    """Neither camera nor object moves."""
    rng = np.random.default_rng(4)
    for _ in range(COUNT):
        grain = rng.normal(0, 2, (SIZE.height, SIZE.width, 3))
        shown = carried(5)
        yield Shown(np.clip(shown.picture + grain, 0, 255).astype(np.uint8), shown.mask)


def locked() -> Iterator[Shown]:
    """The camera stands, the object moves."""
    for t in range(COUNT):
        x, y = 55 + 4 * t, 54
        mask = oval(x, y)
        yield Shown(over(window(SKIN, 100 - x, 100 - y), mask, wall(0)), mask)


def leaping() -> Iterator[Shown]:
    """The camera leaps by two fifths of the frame from frame to frame, back and forth."""
    rng = np.random.default_rng(5)
    places = np.cumsum([0, *rng.choice([-1, 1], 40) * 76])
    return (Shown(window(texture(Size(4000, 300), 3), 2000 + places[t], 40 + 20 * (t % 2))) for t in range(COUNT))


def brisk() -> Iterator[Shown]:
    """The camera pans fast, by a tenth of the frame from frame to frame."""
    return (Shown(window(texture(Size(900, 300), 3), 20 + 19 * t, 40)) for t in range(COUNT))


def behind_posts() -> Iterator[Shown]:
    """The object passes behind a wall with gaps, and its mask has only what is seen."""
    for t in range(20):
        shown = carried(t, 2.0)
        gaps = np.zeros((SIZE.height, SIZE.width), np.uint8)
        for left in range(14, SIZE.width, 60):
            gaps[:, left : left + 18] = 255
        gaps[:, :96] |= 255 * (np.arange(96) < 24).astype(np.uint8)
        mask = np.minimum(shown.mask, gaps)
        yield Shown(over(shown.picture, mask, wall(t)), mask)


def behind_a_post() -> Iterator[Shown]:
    """The object passes behind one post."""
    for t in range(20):
        shown = carried(t, 2.0)
        post = np.full((SIZE.height, SIZE.width), 255, np.uint8)
        post[:, 90:108] = 0
        mask = np.minimum(shown.mask, post)
        yield Shown(over(shown.picture, mask, wall(t)), mask)


def drum(t: float, turn: float) -> Shown:
    """A drum that turns about its upright axis."""
    x, y, radius, half = 70 + 2 * t, 54, 34, 36
    column = np.arange(SIZE.width) - x
    angle = np.arcsin(np.clip(column / radius, -1, 1))
    skin = texture(Size(600, 80), 6)
    u = np.broadcast_to(300 + radius * (angle + turn * t), (SIZE.height, SIZE.width)).astype(np.float32)
    v = np.broadcast_to((np.arange(SIZE.height) - y + 40)[:, None], u.shape).astype(np.float32)
    mask = np.zeros((SIZE.height, SIZE.width), np.uint8)
    mask[y - half : y + half, np.abs(column) < radius - 1] = 255
    return Shown(over(cv2.remap(skin, u, v, cv2.INTER_LINEAR), mask, wall(t)), mask)


def turning() -> Iterator[Shown]:
    """The drum turns by half."""
    return (drum(t, np.pi / COUNT) for t in range(COUNT))


def swaying() -> Iterator[Shown]:
    """It turns by a sixth of that."""
    return (drum(t, np.pi / 6 / COUNT) for t in range(COUNT))


def wide_mask() -> Iterator[Shown]:
    """The mask covers wall all around the object."""
    return (Shown(shown.picture, cv2.dilate(shown.mask, np.ones((15, 15), np.uint8))) for shown in good())


def narrow_mask() -> Iterator[Shown]:
    """The mask misses the object's lower third."""
    for shown in good():
        mask = shown.mask.copy()
        mask[int(np.nonzero(mask.any(axis=1))[0].mean()) + 8 :] = 0
        yield Shown(shown.picture, mask)


def rough_mask() -> Iterator[Shown]:
    """The mask's edge is two pixels off here and there."""
    for t, shown in enumerate(good()):
        grow = cv2.dilate if t % 2 else cv2.erode
        yield Shown(shown.picture, grow(shown.mask, np.ones((3, 3), np.uint8)))


def with_pole() -> Iterator[Shown]:
    """A pole nearer to the camera passes the wall."""
    pole = texture(Size(900, 300), 7)
    for t in range(COUNT):
        cover = np.zeros((SIZE.height, SIZE.width), np.uint8)
        left = 150 - 6 * t
        cover[:, max(0, left) : left + 22] = 255
        yield Shown(over(window(pole, 40 + 6 * t, 40), cover, wall(t)))


def slanted() -> Iterator[Shown]:
    """The camera moves along a wall that it sees at an angle: all of it moves, none of it the same."""
    for t in range(COUNT):
        corners = np.float32([[0, 0], [192, 0], [192, 108], [0, 108]])
        seen = corners + np.float32([[40 + 2 * t, 40], [80 + 4 * t, 20], [80 + 4 * t, 150], [40 + 2 * t, 130]])
        picture = cv2.warpPerspective(WALL, cv2.getPerspectiveTransform(seen, corners), SIZE, flags=cv2.INTER_LINEAR)
        yield Shown(picture)


def boiling() -> Iterator[Shown]:
    """The object's surface is another in every frame, as a fire's is."""
    for t, shown in enumerate(good()):
        noise = cv2.GaussianBlur(np.random.default_rng(t).standard_normal((SIZE.height, SIZE.width)), (0, 0), 2.5)
        surface = np.clip(128 * np.exp(noise / noise.std()), 5, 255).astype(np.uint8)
        yield Shown(over(np.dstack([surface] * 3), shown.mask, shown.picture), shown.mask)


def lit() -> Iterator[Shown]:
    """A soft shadow passes over everything."""
    across = np.linspace(0, 1, SIZE.width)
    for t, shown in enumerate(good()):
        shade = 1 - 0.5 * np.exp(-(((across - 0.2 - 0.04 * t) / 0.15) ** 2))
        yield Shown(np.rint(shown.picture * shade[None, :, None]).astype(np.uint8), shown.mask)


def noise() -> Iterator[Shown]:
    """Every frame is another picture; nothing can be followed."""
    return (Shown(texture(SIZE, 50 + t)) for t in range(COUNT))


def two_shots() -> Iterator[Shown]:
    """Another wall of the same kind from the eighth frame on."""
    yield from pan(0, 7)
    yield from pan(7, 5, seed=9)
