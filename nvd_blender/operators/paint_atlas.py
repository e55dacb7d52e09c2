"""Paint Atlas: a layer's flat picture becomes the canvas of Texture Paint."""

import bpy

from ..compositor import atlas_nodes


def find_atlas(context: bpy.types.Context, layer: str) -> tuple[bpy.types.Scene, bpy.types.Image] | None:
    """A layer's atlas and the result it belongs to: the one that the context shows, else the newest.

    The front layer's if none is named.
    """
    for scene in (context.scene, *reversed(bpy.data.scenes)):
        nodes = atlas_nodes(scene)
        if nodes and not layer:
            return scene, next(iter(nodes.values())).image
        if layer in nodes:
            return scene, nodes[layer].image
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

    layer: bpy.props.StringProperty(name="Layer", description="Whose atlas; the front layer's if empty")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Set the canvas."""
        found = find_atlas(context, self.layer)
        if found is None:
            self.report({"ERROR"}, f"There is no layer {self.layer!r}." if self.layer else "Decompose a clip first.")
            return {"CANCELLED"}
        set_canvas(context, *found)
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_paint_atlas,))
