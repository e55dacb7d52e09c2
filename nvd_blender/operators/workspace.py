"""Open Layers: the workspace to paint in. Show Coverage: what of an atlas is seen."""

from typing import ClassVar

import bpy

from nvd_core.errors import NvdError

from .. import coverage, workspace
from .atlas import find_layer


class NVD_OT_open_layers(bpy.types.Operator):
    """Paint: the atlas and the shot side by side"""

    bl_idname = "nvd.open_layers"
    bl_label = "Open Layers"

    result: bpy.props.StringProperty(
        name="Result", description="Name of the result's scene; the newest if empty", options={"SKIP_SAVE"}
    )
    layer: bpy.props.StringProperty(
        name="Layer", description="Whose atlas; the front layer's if empty", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Open the workspace."""
        try:
            found = find_layer(context, self.result, self.layer)
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        workspace.open_layers(context.window, found.scene, found.layer)
        return {"FINISHED"}


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
