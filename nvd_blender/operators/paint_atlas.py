"""Paint Atlas: a layer's flat picture becomes the canvas of Texture Paint."""

from typing import ClassVar

import bpy

from ..compositor import atlas_nodes, results


def find_atlas(context: bpy.types.Context, result: str, layer: str) -> tuple[bpy.types.Scene, bpy.types.Image] | None:
    """A layer's atlas and the result's scene it belongs to.

    Args:
        context: whose scene is looked at first.
        result: name of the result's scene; if empty, the context's, else the newest.
        layer: its name; the front layer if empty.
    """
    for scene in (context.scene, *results()):
        nodes = atlas_nodes(scene)
        if nodes and scene.name == (result or scene.name) and (not layer or layer in nodes):
            return scene, (nodes[layer] if layer else next(iter(nodes.values()))).image
    return None


def set_canvas(context: bpy.types.Context, scene: bpy.types.Scene, atlas: bpy.types.Image) -> None:
    """Make an atlas the paint canvas here and in its result, and show it in the open Image editors."""
    for one in {context.scene, scene}:
        paint = one.tool_settings.image_paint
        paint.mode, paint.canvas = "IMAGE", atlas
    for area in context.screen.areas if context.screen else ():
        if area.type == "IMAGE_EDITOR":
            space = area.spaces.active
            space.image, space.ui_mode = atlas, "PAINT"


class NVD_OT_paint_atlas(bpy.types.Operator):
    """Paint on a layer's atlas: every frame of the shot follows"""

    bl_idname = "nvd.paint_atlas"
    bl_label = "Paint Atlas"
    bl_options: ClassVar = {"UNDO"}  # undoing the first stroke leads back to here

    result: bpy.props.StringProperty(name="Result", description="Name of the result's scene; the newest if empty")
    layer: bpy.props.StringProperty(name="Layer", description="Whose atlas; the front layer's if empty")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Set the canvas."""
        found = find_atlas(context, self.result, self.layer)
        if found is None:
            self.report({"ERROR"}, f"There is no layer {self.layer!r}." if self.layer else "Decompose a clip first.")
            return {"CANCELLED"}
        set_canvas(context, *found)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_paint_atlas,))
