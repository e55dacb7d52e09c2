"""What can be done with a layer's atlas: paint, save, reload, exchange, revert, edit in another program.

And with its masks, where they were carried or found: correct them.
"""

from pathlib import Path
from typing import ClassVar, NamedTuple

import bpy

from nvd_core.errors import InputError, NvdError, SetupError

from .. import atlas_files, carried, layers, workspace
from ..results import atlas_nodes, path_of, results


class Found(NamedTuple):
    """A layer of a result."""

    scene: bpy.types.Scene
    layer: str

    @property
    def atlas(self) -> bpy.types.Image:
        """What is painted on."""
        return atlas_nodes(self.scene)[self.layer].image


def find_layer(context: bpy.types.Context, result: str, layer: str) -> Found:
    """A layer of a result.

    Args:
        context: whose scene is looked at first.
        result: name of the result's scene; if empty, the context's, else the newest.
        layer: its name; the front layer if empty.

    Raises:
        InputError: there is none.
    """
    for scene in (context.scene, *results()):
        names = list(atlas_nodes(scene))
        if names and scene.name == (result or scene.name) and (not layer or layer in names):
            return Found(scene, layer or names[0])
    if result and result not in bpy.data.scenes:
        raise InputError(f"There is no result {result!r} any more", hint="Load it again.")
    if layer:
        raise InputError(f"There is no layer {layer!r}", hint="It was renamed or deleted in the result's node tree.")
    raise InputError("There is no result to paint on", hint="Decompose a clip first.")


def set_canvas(context: bpy.types.Context, scene: bpy.types.Scene, image: bpy.types.Image) -> None:
    """Make a picture of a result the paint canvas here and there, and show it in the Image editors beside the shot."""
    areas = [area for area in (context.screen.areas if context.screen else ()) if area.type == "IMAGE_EDITOR"]
    shots = [space for area in areas if _shows_shot(space := area.spaces.active) and not space.use_image_pin]
    for space in shots:
        space.use_image_pin = True  # a canvas is shown in every Image editor that is not pinned
    for one in {context.scene, scene}:
        paint = one.tool_settings.image_paint
        paint.mode, paint.canvas = "IMAGE", image
    for space in shots:
        space.use_image_pin = False
    for area in areas:
        space = area.spaces.active
        if not _shows_shot(space):
            space.image, space.ui_mode = image, "PAINT"
            workspace.fit(context.window, area)


def _shows_shot(space: bpy.types.SpaceImageEditor) -> bool:
    return space.image is not None and space.image.type == "COMPOSITING"


class OfLayer:
    """An operator on a layer of a result."""

    bl_options: ClassVar = {"INTERNAL"}

    result: bpy.props.StringProperty(
        name="Result", description="Name of the result's scene; the newest if empty", options={"SKIP_SAVE"}
    )
    layer: bpy.props.StringProperty(name="Layer", description="Which; the front layer if empty", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Do it, or say why not."""
        try:
            self.run(context, find_layer(context, self.result, self.layer))
        except (NvdError, RuntimeError) as error:  # Blender's own words, where it refuses
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class NVD_OT_paint_atlas(OfLayer, bpy.types.Operator):
    """Paint on the layer's atlas: every frame of the shot follows"""

    bl_idname = "nvd.paint_atlas"
    bl_label = "Paint Atlas"
    bl_options: ClassVar = {"REGISTER", "UNDO"}  # undoing the first stroke leads back to here

    def run(self, context: bpy.types.Context, found: Found) -> None:
        """Set the canvas."""
        set_canvas(context, found.scene, found.atlas)


class NVD_OT_save_atlas(OfLayer, bpy.types.Operator):
    """Save what was painted to the atlas's file"""

    bl_idname = "nvd.save_atlas"
    bl_label = "Save Atlas"

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Save it."""
        found.atlas.save()


class NVD_OT_reload_atlas(OfLayer, bpy.types.Operator):
    """Read the atlas from its file again. What was painted here and not saved is lost"""

    bl_idname = "nvd.reload_atlas"
    bl_label = "Reload Atlas"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first where something would be lost."""
        try:
            has_paint = find_layer(context, self.result, self.layer).atlas.is_dirty
        except NvdError:
            has_paint = False
        return context.window_manager.invoke_confirm(self, event) if has_paint else self.execute(context)

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Reload it."""
        if not path_of(found.atlas).is_file():
            raise InputError(
                "The atlas's file is gone", where=path_of(found.atlas), hint="Save it here to have it back."
            )
        atlas_files.reload(found.scene, found.layer)


class NVD_OT_revert_atlas(OfLayer, bpy.types.Operator):
    """Take all paint off the atlas, which cannot be undone. Its file stays as it is until it is saved"""

    bl_idname = "nvd.revert_atlas"
    bl_label = "Revert to Original"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first."""
        return context.window_manager.invoke_confirm(self, event)

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Copy the original."""
        atlas_files.revert(found.scene, found.layer)


class NVD_OT_exchange_atlas(OfLayer, bpy.types.Operator):
    """Use another picture as the atlas, of any size: one that was painted elsewhere, or another version"""

    bl_idname = "nvd.exchange_atlas"
    bl_label = "Use Another File"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(default="*.exr;*.png;*.tif;*.tiff;*.jpg;*.jpeg", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Let the user choose a file."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def run(self, context: bpy.types.Context, found: Found) -> None:
        """Load it."""
        path = Path(bpy.path.abspath(self.filepath))
        if not path.is_file():
            raise InputError("There is no such picture", where=path, hint="Choose a file.")
        atlas_files.exchange(found.scene, found.layer, path)
        set_canvas(context, found.scene, found.atlas)


class NVD_OT_edit_atlas_elsewhere(OfLayer, bpy.types.Operator):
    """Save the atlas and open it in the image editor that Blender's preferences name; saved there, it is shown here"""

    bl_idname = "nvd.edit_atlas_elsewhere"
    bl_label = "Edit in Another Program"

    def run(self, context: bpy.types.Context, found: Found) -> None:
        """Open it."""
        if not context.preferences.filepaths.image_editor:
            raise SetupError(
                "Blender does not know your image editor", hint="Name it in Preferences, File Paths, Applications."
            )
        if atlas_files.is_newer_on_disk(found.atlas):
            raise InputError(
                "Another program has saved this atlas",
                where=path_of(found.atlas),
                hint="Reload it, or save yours first.",
            )
        if found.atlas.is_dirty:
            found.atlas.save()
        bpy.ops.image.external_edit(filepath=str(path_of(found.atlas)))


class NVD_OT_correct_mask(OfLayer, bpy.types.Operator):
    """Paint this frame's mask better, white for the object. The next Decompose keeps it so, and carries it on"""

    bl_idname = "nvd.correct_mask"
    bl_label = "Correct Mask"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    def run(self, context: bpy.types.Context, found: Found) -> None:
        """Set the canvas."""
        set_canvas(context, found.scene, carried.mask_of(found.scene, found.layer))


class NVD_OT_save_masks(OfLayer, bpy.types.Operator):
    """Save the layer's masks that were painted on"""

    bl_idname = "nvd.save_masks"
    bl_label = "Save Masks"

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Save them."""
        carried.save(carried.unsaved(found.scene, found.layer))


class _Switch(OfLayer):
    bl_options: ClassVar = {"UNDO", "INTERNAL"}
    switch: ClassVar[layers.Switch]

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Turn it."""
        if layers.group_of(found.scene, found.layer) is None:
            raise InputError(f"The node of {found.layer} was changed", hint="Load the result again.")
        layers.turn(found.scene, found.layer, self.switch)


class NVD_OT_show_layer(_Switch, bpy.types.Operator):
    """Show or hide the layer, or its paint where the plate is kept"""

    bl_idname = "nvd.show_layer"
    bl_label = "Show Layer"
    switch = "hidden"


class NVD_OT_solo_layer(_Switch, bpy.types.Operator):
    """Show no other layers than those on solo"""

    bl_idname = "nvd.solo_layer"
    bl_label = "Solo Layer"
    switch = "solo"


register, unregister = bpy.utils.register_classes_factory(
    (
        NVD_OT_paint_atlas, NVD_OT_save_atlas, NVD_OT_reload_atlas, NVD_OT_revert_atlas, NVD_OT_exchange_atlas,
        NVD_OT_edit_atlas_elsewhere, NVD_OT_correct_mask, NVD_OT_save_masks, NVD_OT_show_layer, NVD_OT_solo_layer,
    )
)  # fmt: skip
