"""Pictures for the guide: ``python tools/guide_pictures.py [FROM [TO]]``.

Cuts them from the screenshots that the tests in a Blender with its window have left in ``artifacts/gui``, and writes
them to ``docs/pictures`` with few colours, so that they stay small.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from pathlib import Path
from typing import Final

import cv2
import numpy as np

ROOT: Final = Path(__file__).resolve().parent.parent
COLOURS: Final = 96
_SAMPLES: Final = 20_000
_ROWS_AT_ONCE: Final = 16

PANEL: Final = "SEQUENCE_EDITOR.SEQUENCER/UI"
PICTURES: Final = {
    "install": ("install", ["PREFERENCES./UI", "PREFERENCES./WINDOW"]),
    "engine": ("choose-engine", ["PREFERENCES./WINDOW"]),
    "objects": ("forecast", [PANEL]),
    "running": ("preview", [PANEL]),
    "resume": ("cancel", [PANEL]),
    "finished": ("finish", [PANEL]),
    "paint": ("paint", ["IMAGE_EDITOR.VIEW/WINDOW", "IMAGE_EDITOR.PAINT/WINDOW"]),
    "edit": ("edited", ["SEQUENCE_EDITOR.PREVIEW/PREVIEW"]),
}
"""Of each picture: the step that shows it, and the editors, all of which are in it."""


def main(source: Path, target: Path) -> None:
    """Write all pictures; their sizes are told."""
    regions = json.loads((source / "regions.json").read_text())
    target.mkdir(parents=True, exist_ok=True)
    for name, (step, editors) in PICTURES.items():
        path = next(source.glob(f"[0-9]*-{step}.png"))
        boxes = np.array([regions[path.stem][editor] for editor in editors]).clip(0)
        (left, top), (right, bottom) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
        written = target / f"{name}.png"
        written.write_bytes(few_colours(cv2.imread(str(path))[top:bottom, left:right, ::-1]))
        print(f"{written}: {written.stat().st_size / 1024:.0f} KiB")


def few_colours(picture: np.ndarray) -> bytes:
    """A PNG with a palette, the same for the same picture.

    Args:
        picture: 8 bit, (height, width, RGB).
    """
    seen = np.unique(picture.reshape(-1, 3), axis=0)
    if len(seen) <= COLOURS:
        palette = seen.astype(np.float32)
    else:
        pixels = picture.reshape(-1, 3).astype(np.float32)
        sample = pixels[np.random.default_rng(0).integers(len(pixels), size=_SAMPLES)]
        cv2.setRNGSeed(0)
        enough = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 0.5)
        palette = np.round(cv2.kmeans(sample, COLOURS, None, enough, 1, cv2.KMEANS_PP_CENTERS)[2])
    nearest = np.concatenate(
        [
            np.square(rows[:, :, None] - palette).sum(axis=-1).argmin(axis=-1)
            for rows in np.array_split(picture.astype(np.float32), -(-len(picture) // _ROWS_AT_ONCE))
        ]
    ).astype(np.uint8)
    height, width = nearest.shape
    lines = np.pad(nearest, ((0, 0), (1, 0)))  # each begins with its filter: none
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = {
        b"IHDR": header,
        b"PLTE": palette.astype(np.uint8).tobytes(),
        b"IDAT": zlib.compress(lines.tobytes(), 9),
        b"IEND": b"",
    }
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks.items()
    )


if __name__ == "__main__":
    named = [Path(argument) for argument in sys.argv[1:]]
    main(*named, *[ROOT / "artifacts" / "gui", ROOT / "docs" / "pictures"][len(named) :])
