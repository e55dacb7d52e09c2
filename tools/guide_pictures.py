"""Pictures for the guide: ``python tools/guide_pictures.py [FROM [TO]]``.

Cuts them from the screenshots that the tests in a Blender with its window have left in ``artifacts/gui``, and writes
them to ``docs/pictures`` with few colours, so that they stay small.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

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
SHOT: Final = ["IMAGE_EDITOR.VIEW/WINDOW"]
PICTURES: Final = {
    "engine": [("choose-engine", PREFERENCES)],
    "objects": [("forecast", [PANEL])],
    "masks": [("mask-sources", [PANEL])],
    "running": [("preview", [PANEL])],
    "resume": [("cancel", [PANEL])],
    "finished": [("finish", [PANEL])],
    "layers": [("open-layers", LAYERS)],
    "paint": [("paint", LAYERS)],
    "mask": [("paint-mask", ["IMAGE_EDITOR.PAINT/WINDOW", "IMAGE_EDITOR.VIEW/WINDOW"])],
    "unlit": [("last-frame", SHOT), ("unlit", SHOT)],
    "edit": [("back-to-the-edit", ["SEQUENCE_EDITOR.PREVIEW/PREVIEW"])],
}
"""Of each picture, side by side: the steps that show it, and the editors, all of which are in it."""


def main(source: Path, target: Path) -> None:
    """Write all pictures; their sizes are told."""
    regions = json.loads((source / "regions.json").read_text())
    target.mkdir(parents=True, exist_ok=True)
    for name, parts in PICTURES.items():
        cut = [_cut(source, regions, step, editors) for step, editors in parts]
        picture = Image.new("RGB", (sum(one.width for one in cut), max(one.height for one in cut)))
        for index, one in enumerate(cut):
            picture.paste(one, (sum(before.width for before in cut[:index]), 0))
        written = target / f"{name}.png"
        palette = picture.quantize(COLOURS)
        picture.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(written, optimize=True)
        print(f"{written}: {written.stat().st_size / 1024:.0f} KiB")


def _cut(source: Path, regions: dict[str, Any], step: str, editors: list[str]) -> Image.Image:
    path = next(source.glob(f"[0-9]*-{step}.png"))
    lefts, tops, rights, bottoms = zip(*(regions[path.stem][editor] for editor in editors), strict=True)
    return Image.open(path).convert("RGB").crop((max(0, min(lefts)), max(0, min(tops)), max(rights), max(bottoms)))


if __name__ == "__main__":
    named = [Path(argument) for argument in sys.argv[1:]]
    main(*named, *[ROOT / "artifacts" / "gui", ROOT / "docs" / "pictures"][len(named) :])
