"""Run the demo: render a clip, decompose it, paint on both atlases, re-composite."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from nvd_core.clip.pictures import read_rgb, write_png
from nvd_core.export.sheet import lettered
from nvd_core.faces.demo_clip import write_clip
from nvd_core.image.exr import rgba_channels, to_half, write_exr
from nvd_core.pipeline import decompose
from nvd_core.result.decomposition import AtlasColour, Decomposition
from nvd_core.result.rendering import frame_writer, render
from nvd_core.runtime.progress import Tell
from nvd_core.spec.atlas_pairs import Pair
from nvd_core.spec.choices.mask_origins import MaskPath
from nvd_core.spec.errors import InputError, SetupError
from nvd_core.spec.folder import report_path
from nvd_core.spec.manifest import inside
from nvd_core.spec.path_safety import check_plain
from nvd_core.spec.protocol import Caution, Stage
from nvd_core.spec.settings import Job, MaskSource

_MADE: Final = {"clip", "decomposition", "edited", "edited.mp4", "before_and_after.png"}

_WORDS: Final = ("BLUE", "PAINTED ONCE")
"""Words painted on the sign and on the wall."""


def run_demo(out: Path, tell: Tell) -> list[Path]:
    """Render the clip, decompose it, paint, and re-composite: in Blender's compositor if ``bpy`` is installed.

    Args:
        out: folder of all files; new, empty, or that of an earlier demo.
        tell: hears the events of the decomposition, and stages.

    Returns:
        Pictures and video that show the result.

    Raises:
        InputError: the folder holds other files, or a link.
        SetupError: Blender's compositor failed.
    """
    folder, edited = out / "decomposition", out / "edited"
    if out.is_dir() and not {path.name for path in out.iterdir()} <= _MADE:
        raise InputError("The folder holds something else", where=out, hint="Choose a new or empty one with -o.")
    check_plain(out, _MADE)
    clip = write_clip(out / "clip")
    masks = tuple(MaskSource(name=name, path=MaskPath(str(path))) for name, path in clip.masks.items())
    decompose(Job(clip=str(clip.frames), masks=masks), folder, tell, replaces=True)
    tell(Stage(name="paint"))
    paint(Decomposition.open(folder))
    with_blender = find_spec("bpy") is not None and find_spec("nvd_blender") is not None
    tell(Stage(name="composite in Blender" if with_blender else "composite"))
    if with_blender:
        _composite_in_blender(folder, edited)
    else:
        tell(Caution(message="bpy is not installed", hint="The shot was composited by nvd render instead of Blender."))
        _composite(folder, edited)
    _composite(folder, out / "edited.mp4")
    sheet = out / "before_and_after.png"
    write_png(sheet, _before_and_after(clip.frames, edited))
    return [sheet, out / "edited.mp4", report_path(folder) / "contact_sheet.png"]


def paint(decomposition: Decomposition) -> None:
    """Paint a word and a disc on every atlas, in the file that an artist paints on."""
    for name, word in zip(decomposition.manifest.names, _WORDS, strict=True):
        manifest, folder = decomposition.manifest, decomposition.folder
        path = inside(folder, manifest.atlas_files[name])
        if Pair(path, inside(folder, manifest.original_files[name])).is_painted:
            continue  # an earlier demo or an artist painted it
        original = decomposition.original(name)
        covered = decomposition.covered(name)
        rows, columns = np.nonzero(covered > 0.5)
        (left, right), (top, bottom) = (np.percentile(axis, (10, 90)).astype(int).tolist() for axis in (columns, rows))
        middle, radius = ((left + right) // 2, (top + bottom) // 2), min(right - left, bottom - top) * 9 // 20
        painted = lettered(_disc(original, middle, radius), word, left, right, middle[1])
        write_exr(path, rgba_channels(to_half(np.dstack([painted, covered]))))


def _disc(picture: AtlasColour, centre: tuple[int, int], radius: int) -> AtlasColour:
    share = np.zeros(picture.shape[:2], np.uint8)
    cv2.circle(share, centre, radius, 255, -1, cv2.LINE_AA)
    opacity = 0.85 * share[..., None].astype(np.float32) / 255
    return picture * (1 - opacity) + opacity * np.array([0.03, 0.12, 0.5], np.float32)


def _composite_in_blender(folder: Path, edited: Path) -> None:
    """Composite in a process of its own, so that Blender's output and crashes do not reach the demo."""
    places = [str(path.absolute()) for path in (folder, edited)]
    command = [sys.executable, "-P", "-m", "nvd_blender.result.recomposite", *places]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise SetupError(f"Blender's compositor failed: {last}", where=" ".join(command))


def _composite(folder: Path, out: Path) -> None:
    decomposition = Decomposition.open(folder)
    with frame_writer(decomposition, out, "png", replaces=True) as write:
        for frame in render(decomposition, {}, "keep-plate"):
            write(frame)


def _before_and_after(frames: Path, edited: Path) -> np.ndarray:
    """Sheet of the first, middle and last plate, above the same frames of the edited shot."""
    rows = []
    for folder in (frames, edited):
        paths = sorted(folder.glob("*.png"))
        rows.append(np.hstack([read_rgb(paths[index]) for index in (0, len(paths) // 2, -1)]))
    return np.vstack(rows)
