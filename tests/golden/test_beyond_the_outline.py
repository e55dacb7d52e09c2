"""A flag that stands out from the demo's sign, before the wall and behind a post: against its true rendering."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
from support import solve

from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.faces import demo_clip
from nvd_core.faces.demo_clip import DemoClip, write_clip
from nvd_core.image.colour import display_from_linear, linear_from_display, to_linear, to_uint8
from nvd_core.image.geometry import transform, translation
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.editing import insert_picture, remove_insert
from nvd_core.result.rendering import render
from nvd_core.spec.conventions import Size
from nvd_core.spec.settings import Job, MaskSource, Settings

COUNT, SIZE = 14, Size(288, 162)
REFERENCE = 6
FLAG = (100, -40, 190, 50)
"""Left, top, right and bottom of the flag, texels of the sign, of which it covers the upper right corner."""

POST = (0.12, 0.1, 0.08)


class Scene(NamedTuple):
    """The clip with its masks, and the truth of the edit.

    Attributes:
        demo: without the post.
        folder: of ``frames``, ``sign`` and ``post``.
        edited: true pictures with the flag.
        shares: visible share of the flag where the sign is not, by frame.
    """

    demo: DemoClip
    folder: Path
    edited: list[np.ndarray]
    shares: list[np.ndarray]


def flag() -> np.ndarray:
    """Checks with a disc cut out: RGBA of 8 bits, straight alpha."""
    height, width = FLAG[3] - FLAG[1], FLAG[2] - FLAG[0]
    y, x = np.mgrid[:height, :width] // 18
    colour = np.where(((x + y) % 2)[..., None] > 0, np.uint8((210, 60, 40)), np.uint8((240, 225, 120)))
    alpha = np.full((height, width), 255, np.uint8)
    cv2.circle(alpha, (60, 28), 12, 0, -1, cv2.LINE_AA)
    return np.dstack([colour, alpha]).astype(np.uint8)


def with_flag(sign: np.ndarray) -> np.ndarray:
    """The sign's texture on a larger canvas, and the flag over it."""
    canvas = cv2.copyMakeBorder(sign, 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    picture = flag().astype(np.float32) / 255
    alpha = picture[..., 3:]
    part = np.dstack([linear_from_display(picture[..., :3]) * alpha, alpha])
    place = np.s_[FLAG[1] + 60 : FLAG[3] + 60, FLAG[0] + 60 : FLAG[2] + 60]
    canvas[place] = part + canvas[place] * (1 - alpha)
    return canvas


def before_post(picture: np.ndarray, index: int) -> tuple[np.ndarray, np.ndarray]:
    """The picture with the post in front, and the post's share."""
    left = 60 + 11 * index
    share = np.zeros(picture.shape[:2], np.float32)
    share[:, left : left + 14] = 1
    share = cv2.GaussianBlur(share, (0, 0), 0.7)
    grain = 1 + 0.5 * np.random.default_rng(5).random((picture.shape[0], 1, 1))
    linear = to_linear(picture) * (1 - share[..., None]) + share[..., None] * np.array(POST) * grain
    return to_uint8(display_from_linear(linear.astype(np.float32))), share


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("flag")
    demo = write_clip(folder / "demo", frames=COUNT, size=SIZE)
    wall, sign = demo_clip._wall(), demo_clip._sign()
    edited, shares = [], []
    for index in range(COUNT):
        t = index / (COUNT - 1)
        to_wall, to_sign = demo.motions["background"][index], demo.motions["sign"][index]
        to_canvas = translation(np.array([60, 60])) @ to_sign
        plate, _ = before_post(read_rgb(demo.frames / f"demo.{index + 1:04d}.png"), index)
        mask = read_rgb(demo.masks["sign"] / f"sign.{index + 1:04d}.png")[..., 0] / np.float32(255)
        truth, both = demo_clip._frame(wall, with_flag(sign), to_wall, to_canvas, t, SIZE)
        truth, post = before_post(truth, index)
        for name, picture in (("frames", plate), ("sign", mask * (1 - post)), ("post", post)):
            shown = picture if name == "frames" else np.dstack([to_uint8(picture)] * 3)
            write_png(folder / name / f"{name}.{index + 1:04d}.png", shown)
        edited.append(truth)
        shares.append(np.clip(both / np.float32(255) - mask, 0, 1) * (1 - post))
    return Scene(demo, folder, edited, shares)


@pytest.fixture(scope="module")
def decomposition(scene: Scene) -> Decomposition:
    masks = tuple(MaskSource.of(name=name, path=str(scene.folder / name)) for name in ("post", "sign"))
    job = Job(clip=str(scene.folder / "frames"), masks=masks, settings=Settings.of(preset="standard"))
    solve(job, scene.folder / "nvd")
    return Decomposition.open(scene.folder / "nvd")


def test_the_flag_moves_with_the_sign_and_is_lit_and_hidden_as_in_truth(
    scene: Scene, decomposition: Decomposition
) -> None:
    left, top, right, bottom = FLAG
    outline = np.array([(left, top), (right, top), (right, bottom), (left, bottom)]) - 0.5
    corners = transform(np.linalg.inv(scene.demo.motions["sign"][REFERENCE]), outline.astype(np.float64)) + 0.5
    points = [(float(x), float(y)) for x, y in corners]
    picture, path = flag(), scene.folder / "flag.png"
    write_png(path, picture)
    insert = insert_picture(decomposition, "sign", path, points, REFERENCE + 1)
    # An artist chooses colours by eye, in the light of a frame: so is the brightness of the picture here.
    where = scene.shares[REFERENCE] > 0.99
    first = list(render(decomposition, {}, "keep-plate"))[REFERENCE].linear[where]
    gain = np.median(to_linear(scene.edited[REFERENCE])[where] / first)
    remove_insert(decomposition, insert.name)
    picture[..., :3] = to_uint8(display_from_linear(to_linear(picture[..., :3]) * np.float32(gain)))
    write_png(path, picture)
    insert_picture(decomposition, "sign", path, points, REFERENCE + 1)
    errors, overlaps, before = [], [], []
    for done, truth, share, plate in zip(
        render(decomposition, {}, "keep-plate"), scene.edited, scene.shares, decomposition.frames(), strict=True
    ):
        shown = to_uint8(display_from_linear(done.linear)).astype(float)
        errors.append(np.square(shown - truth)[share > 0.5])
        before.append(np.square(plate.plate.astype(float) - truth)[share > 0.5])
        changed = (np.abs(shown - plate.plate).max(axis=-1) > 12) & (plate.layers["sign"].alpha < 0.5)
        true = (np.abs(truth.astype(float) - plate.plate).max(axis=-1) > 12) & (plate.layers["sign"].alpha < 0.5)
        overlaps.append((np.count_nonzero(changed & true), np.count_nonzero(changed | true)))
    psnr, unedited = (10 * np.log10(255**2 / np.concatenate(one).mean()) for one in (errors, before))
    overlap = sum(one for one, _ in overlaps) / sum(other for _, other in overlaps)
    assert unedited < 14
    assert psnr >= 21
    assert overlap >= 0.9
