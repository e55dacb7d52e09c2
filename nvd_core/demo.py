"""The whole path once, on a clip of our own: decompose, paint on both atlases, re-composite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.decomposition import AtlasColour, Decomposition
from nvd_core.demo_clip import write_clip
from nvd_core.errors import InputError, SetupError
from nvd_core.export.atlases import is_painted
from nvd_core.export.sheet import lettered
from nvd_core.exr import rgba_channels, write_exr
from nvd_core.folder import inside, report_path
from nvd_core.pipeline import decompose
from nvd_core.protocol import Caution, Event, Stage
from nvd_core.render import frame_writer, render
from nvd_core.settings import Job, MaskSource

_MADE: Final = {"clip", "decomposition", "edited", "edited.mp4", "before_and_after.png"}

_WORDS: Final = ("BLUE", "PAINTED ONCE")
"""What is painted on the sign and on the wall."""


def run_demo(out: Path) -> Generator[Event, None, list[Path]]:
    """Make the clip, decompose it, paint, and re-composite in Blender's compositor where ``bpy`` is there.

    Args:
        out: folder for everything; new, empty, or that of an earlier demo.

    Yields:
        Events of the decomposition, and stages.

    Returns:
        The pictures to look at.

    Raises:
        InputError: the folder holds something else.
        SetupError: Blender's compositor failed.
    """
    folder, edited = out / "decomposition", out / "edited"
    if out.is_dir() and not {path.name for path in out.iterdir()} <= _MADE:
        raise InputError("The folder holds something else", where=out, hint="Choose a new or empty one with -o.")
    clip = write_clip(out / "clip")
    masks = tuple(MaskSource(name=name, path=str(path)) for name, path in clip.masks.items())
    yield from decompose(Job(clip=str(clip.frames), masks=masks), folder)
    yield Stage(name="paint")
    paint(Decomposition.open(folder))
    with_blender = find_spec("bpy") is not None and find_spec("nvd_blender") is not None
    yield Stage(name="composite in Blender" if with_blender else "composite")
    if with_blender:
        _composite_in_blender(folder, edited)
    else:
        yield Caution(message="bpy is not installed", hint="The shot was composited by nvd render instead of Blender.")
        _composite(folder, edited)
    _composite(folder, out / "edited.mp4")
    sheet = out / "before_and_after.png"
    write_png(sheet, _before_and_after(clip.frames, edited))
    return [sheet, out / "edited.mp4", report_path(folder) / "contact_sheet.png"]


def paint(decomposition: Decomposition) -> None:
    """Paint a word and a disc on every atlas, in its own file, as an artist would."""
    for name, word in zip(decomposition.manifest.layers, _WORDS, strict=True):
        manifest, folder = decomposition.manifest, decomposition.folder
        path = inside(folder, manifest.atlas_files[name])
        if is_painted(path, inside(folder, manifest.original_files[name])):
            continue  # by an earlier demo, or by whoever tried it: that stays
        original = decomposition.original(name)
        covered = decomposition.covered(name)
        rows, columns = np.nonzero(covered > 0.5)
        (left, right), (top, bottom) = (np.percentile(axis, (10, 90)).astype(int).tolist() for axis in (columns, rows))
        middle, radius = ((left + right) // 2, (top + bottom) // 2), min(right - left, bottom - top) * 9 // 20
        painted = lettered(_disc(original, middle, radius), word, left, right, middle[1])
        write_exr(path, rgba_channels(np.dstack([painted, covered]).astype(np.float16)))


def _disc(picture: AtlasColour, centre: tuple[int, int], radius: int) -> AtlasColour:
    share = np.zeros(picture.shape[:2], np.uint8)
    cv2.circle(share, centre, radius, 255, -1, cv2.LINE_AA)
    opacity = 0.85 * share[..., None].astype(np.float32) / 255
    return picture * (1 - opacity) + opacity * np.array([0.03, 0.12, 0.5], np.float32)


def _composite_in_blender(folder: Path, edited: Path) -> None:
    """In a process of its own: what Blender prints, and how it ends, does not reach the demo."""
    command = [sys.executable, "-m", "nvd_blender.recomposite", str(folder), str(edited)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SetupError(f"Blender's compositor failed: {last}", where=" ".join(command))


def _composite(folder: Path, out: Path) -> None:
    decomposition = Decomposition.open(folder)
    with frame_writer(decomposition, out, "png") as write:
        for frame in render(decomposition, {}, "keep-plate"):
            write(frame)


def _before_and_after(frames: Path, edited: Path) -> np.ndarray:
    """First, middle and last plate, above the same frames of the painted shot."""
    rows = []
    for folder in (frames, edited):
        paths = sorted(folder.glob("*.png"))
        rows.append(np.hstack([read_rgb(paths[index]) for index in (0, len(paths) // 2, -1)]))
    return np.vstack(rows)
