"""Pictures for the guide: ``python tools/guide_pictures.py [FROM [TO]]``.

Cuts them from the screenshots that the tests in a Blender with its window have left in ``artifacts/gui``, and writes
them to ``docs/pictures`` with few colours, so that they stay small.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from PIL import Image

ROOT: Final = Path(__file__).resolve().parent.parent
COLOURS: Final = 256

PANEL: Final = "SEQUENCE_EDITOR.SEQUENCER/UI"
PREFERENCES: Final = ["PREFERENCES./WINDOW"]
LAYERS: Final = [
    "IMAGE_EDITOR.VIEW/WINDOW",
    "IMAGE_EDITOR.PAINT/WINDOW",
    "NODE_EDITOR./WINDOW",
    "DOPESHEET_EDITOR./WINDOW",
]
PICTURES: Final = {
    "engine": ("choose-engine", PREFERENCES),
    "objects": ("forecast", [PANEL]),
    "masks": ("mask-sources", [PANEL]),
    "running": ("preview", [PANEL]),
    "resume": ("cancel", [PANEL]),
    "finished": ("finish", [PANEL]),
    "layers": ("open-layers", LAYERS),
    "paint": ("paint", LAYERS),
    "unlit": ("unlit", ["IMAGE_EDITOR.VIEW/WINDOW", "IMAGE_EDITOR.VIEW/UI"]),
    "edit": ("back-to-the-edit", ["SEQUENCE_EDITOR.PREVIEW/PREVIEW"]),
}
"""Of each picture: the step that shows it, and the editors, all of which are in it."""


def main(source: Path, target: Path) -> None:
    """Write all pictures; their sizes are told."""
    regions = json.loads((source / "regions.json").read_text())
    target.mkdir(parents=True, exist_ok=True)
    for name, (step, editors) in PICTURES.items():
        path = next(source.glob(f"[0-9]*-{step}.png"))
        lefts, tops, rights, bottoms = zip(*(regions[path.stem][editor] for editor in editors), strict=True)
        box = (max(0, min(lefts)), max(0, min(tops)), max(rights), max(bottoms))
        picture = Image.open(path).convert("RGB").crop(box)
        written = target / f"{name}.png"
        palette = picture.quantize(COLOURS)
        picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(written, optimize=True)
        print(f"{written}: {written.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    named = [Path(argument) for argument in sys.argv[1:]]
    main(*named, *[ROOT / "artifacts" / "gui", ROOT / "docs" / "pictures"][len(named) :])
