"""The node tree: plate, one group a layer, keep-plate or rebuild, a viewer and an output.

It computes what :mod:`nvd_core.compositing` states; a test compares the two pixel by pixel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import bpy

from nvd_core.folder import Manifest

from . import compat

MODE_SWITCH: Final = "Rebuild from layers"
"""Name of the switch between keeping the plate (off) and rebuilding every pixel from the layers (on)."""

TOLERANCE_RELATIVE: Final = 0.01
TOLERANCE_ABSOLUTE: Final = 0.001
OWNED_FROM: Final = 0.9
"""As in :mod:`nvd_core.compositing`, which cannot be imported here: it needs numpy."""


def build_scene(folder: Path, manifest: Manifest) -> bpy.types.Scene:
    """A scene of its own that re-composites a decomposition; the user's scenes are not touched."""
    source = manifest.source
    scene = bpy.data.scenes.new(f"NVD {manifest.name}")
    scene["nvd_folder"] = str(folder)
    scene.render.resolution_x, scene.render.resolution_y = source.width, source.height
    scene.render.resolution_percentage = 100
    scene.render.fps, scene.render.fps_base = _rate(source.fps)
    scene.frame_start, scene.frame_end = source.first, source.last
    scene.frame_set(source.first)
    scene.render.use_sequencer = False
    scene.render.dither_intensity = 0.0
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform, scene.view_settings.look = "Standard", "None"
    scene.view_settings.exposure, scene.view_settings.gamma = 0.0, 1.0
    compat.set_image_format(scene.render.image_settings, "PNG")
    compat.use_exact_compositor(scene)
    build_tree(compat.new_scene_tree(scene, scene.name), folder, manifest)
    return scene
