"""Paint Atlas: a layer's flat picture becomes the canvas of Texture Paint."""

import bpy

from ..compositor import atlas_nodes


def canvas_of(context: bpy.types.Context, layer: str) -> bpy.types.Image | None:
    """The atlas of a layer in the result that the context shows, or in the newest one; front layer if unnamed."""
    shown = [context.scene, *reversed(bpy.data.scenes)]
    nodes = next((found for scene in shown if (found := atlas_nodes(scene))), {})
    node = nodes.get(layer) if layer else next(iter(nodes.values()), None)
    return node.image if node else None


def set_canvas(context: bpy.types.Context, atlas: bpy.types.Image) -> None:
    """Make an atlas the paint canvas of every scene, and show it in the open Image editors."""
    for scene in bpy.data.scenes:
        paint = scene.tool_settings.image_paint
        paint.mode, paint.canvas = "IMAGE", atlas
    for area in context.screen.areas if context.screen else ():
        if area.type == "IMAGE_EDITOR":
            space = area.spaces.active
            space.image, space.ui_mode = atlas, "PAINT"


class NVD_OT_paint_atlas(bpy.types.Operator):
    """Paint on a layer's atlas: every frame of the shot follows"""

    bl_idname = "nvd.paint_atlas"
    bl_label = "Paint Atlas"

    layer: bpy.props.StringProperty(name="Layer", description="Whose atlas; the front layer's if empty")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Set the canvas."""
        atlas = canvas_of(context, self.layer)
        if atlas is None:
            self.report({"ERROR"}, f"There is no layer {self.layer!r}." if self.layer else "Decompose a clip first.")
            return {"CANCELLED"}
        set_canvas(context, atlas)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_paint_atlas,))
