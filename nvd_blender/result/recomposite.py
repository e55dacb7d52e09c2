"""Re-composite a decomposition in Blender's compositor without a window.

``python -m nvd_blender.result.recomposite FOLDER OUT``
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

from nvd_core.spec.manifest import read_manifest

from .compositor import build_scene


def recomposite(folder: Path, out: Path) -> None:
    """Render all frames of a decomposition as 8-bit PNG pictures."""
    manifest = read_manifest(folder)
    scene = build_scene(folder.absolute(), manifest)
    scene.render.filepath = str(out.absolute() / f"{manifest.name}.####.png")
    bpy.ops.render.render(animation=True, scene=scene.name)


if __name__ == "__main__":
    recomposite(Path(sys.argv[1]), Path(sys.argv[2]))
