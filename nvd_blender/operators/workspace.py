"""Open Layers: the workspace to paint in. Show Coverage: what of an atlas is seen."""

from typing import ClassVar

import bpy

from .. import coverage, workspace
from .atlas import Found, OfLayer


class NVD_OT_open_layers(OfLayer, bpy.types.Operator):
    """Paint: the atlas and the shot side by side"""

    bl_idname = "nvd.open_layers"
    bl_label = "Open Layers"

    def run(self, context: bpy.types.Context, found: Found) -> None:
        """Open the workspace."""
        workspace.open_layers(context.window, found.scene, found.layer)


class NVD_OT_show_coverage(bpy.types.Operator):
    """Hatch what no frame shows: paint there is never seen"""

    bl_idname = "nvd.show_coverage"
    bl_label = "Show Coverage"
    bl_options: ClassVar = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Turn the overlay on or off."""
        coverage.show(is_shown=not coverage.is_shown())
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_open_layers, NVD_OT_show_coverage))
