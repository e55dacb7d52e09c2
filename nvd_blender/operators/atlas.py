"""Operators on a layer's atlas: paint, save, reload, exchange, revert, edit in another program.

And on its generated masks: correct, save, reload.
"""

from pathlib import Path
from typing import ClassVar, NamedTuple

import bpy

from nvd_core.spec.errors import InputError, NvdError, SetupError

from ..result import atlas_files, generated_masks, layers, mask_view, paint, workspace
from ..result.scenes import atlas_nodes, path_of, results


class Found(NamedTuple):
    """A layer of a result."""

    scene: bpy.types.Scene
    layer: str

    @property
    def atlas(self) -> bpy.types.Image:
        """Image of the layer's atlas."""
        return atlas_nodes(self.scene)[self.layer].image


def find_layer(context: bpy.types.Context, result: str, layer: str) -> Found:
    """Find a layer of a result.

    Args:
        context: whose scene is searched first.
        result: name of the result's scene; if empty, the context's, else the newest.
        layer: its name; the front layer if empty.

    Raises:
        InputError: there is no such result or layer.
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


def _file_of(found: Found) -> Path:
    """Path of a layer's atlas.

    Raises:
        InputError: the artist has put a new picture there that has no file yet.
    """
    path = path_of(found.atlas)
    if path is None:
        raise InputError(f"The picture {found.atlas.name!r} has no file yet", hint="Save it in the Image Editor first.")
    return path


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
        mask_view.end(found.scene)
        workspace.set_canvas(context.window, found.scene, found.atlas)


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
        """Show a dialog if unsaved paint would be lost."""
        try:
            has_paint = find_layer(context, self.result, self.layer).atlas.is_dirty
        except NvdError:
            has_paint = False
        return context.window_manager.invoke_confirm(self, event) if has_paint else self.execute(context)

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Reload it."""
        path = _file_of(found)
        if not path.is_file():
            raise InputError("The atlas's file is gone", where=path, hint="Save it here to have it back.")
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
    """Use another picture of the same shape as the atlas: one that was painted elsewhere, or another version"""

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
        if said := atlas_files.exchange(found.scene, found.layer, path):
            self.report({"INFO"}, said)
        workspace.set_canvas(context.window, found.scene, found.atlas)


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
        path = _file_of(found)
        if paint.is_newer_on_disk(found.atlas):
            raise InputError(
                "Another program has saved this atlas",
                where=path,
                hint="Reload it, or save yours first.",
            )
        if found.atlas.is_dirty:
            found.atlas.save()
        bpy.ops.image.external_edit(filepath=str(path))


class NVD_OT_correct_mask(OfLayer, bpy.types.Operator):
    """Paint this frame's mask better: it lies in red over the shot. The next Decompose keeps and carries it"""

    bl_idname = "nvd.correct_mask"
    bl_label = "Correct Mask"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    def run(self, context: bpy.types.Context, found: Found) -> None:
        """Set the canvas."""
        mask_view.begin(context.window, found.scene, found.layer)


class NVD_OT_mask_brush(OfLayer, bpy.types.Operator):
    """What the brush paints"""

    bl_idname = "nvd.mask_brush"
    bl_label = "Brush"

    is_object: bpy.props.BoolProperty(name="Object", description="Whether it adds to the object")

    @classmethod
    def description(cls, _context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        """Tooltip of the brush."""
        return "Paint what is the object" if properties.is_object else "Paint what is not the object"

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Choose its colours."""
        colours = mask_view.OBJECT, mask_view.NOT_OBJECT
        mask_view.set_brush(found.scene, *(colours if self.is_object else colours[::-1]))


class NVD_OT_save_masks(OfLayer, bpy.types.Operator):
    """Save the layer's masks that were painted on"""

    bl_idname = "nvd.save_masks"
    bl_label = "Save Masks"

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Save them."""
        for mask in generated_masks.unsaved(found.scene, found.layer):
            paint.save_to(mask, path_of(mask))


class NVD_OT_reload_masks(OfLayer, bpy.types.Operator):
    """Read the masks again that another program has saved. What was painted on them here is lost"""

    bl_idname = "nvd.reload_masks"
    bl_label = "Reload Masks"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask first."""
        return context.window_manager.invoke_confirm(self, event)

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Reload them."""
        for mask in filter(paint.is_newer_on_disk, generated_masks.unsaved(found.scene, found.layer)):
            atlas_files.reload_mask(mask)


class _Switch(OfLayer):
    bl_options: ClassVar = {"UNDO", "INTERNAL"}
    switch: ClassVar[layers.Switch]

    def run(self, _context: bpy.types.Context, found: Found) -> None:
        """Turn it."""
        if layers.group_of(found.scene, found.layer) is None:
            raise InputError(f"The node of {found.layer} was changed", hint="Load the result again.")
        layers.turn(found.scene, found.layer, self.switch)


class NVD_OT_show_layer(_Switch, bpy.types.Operator):
    """Show or hide a layer, or its paint."""

    bl_idname = "nvd.show_layer"
    bl_label = "Show Layer"
    bl_description = (
        "Show or hide the layer with Rebuild from Layers. Where the plate is kept, only its paint: the object stays in "
        "the shot until Render Clean Plate takes it out"
    )
    switch = "hidden"


class NVD_OT_solo_layer(_Switch, bpy.types.Operator):
    """Show no other layers than those on solo"""

    bl_idname = "nvd.solo_layer"
    bl_label = "Solo Layer"
    switch = "solo"


register, unregister = bpy.utils.register_classes_factory(
    (
        NVD_OT_paint_atlas, NVD_OT_save_atlas, NVD_OT_reload_atlas, NVD_OT_revert_atlas, NVD_OT_exchange_atlas,
        NVD_OT_edit_atlas_elsewhere, NVD_OT_correct_mask, NVD_OT_mask_brush, NVD_OT_save_masks,
        NVD_OT_reload_masks,
        NVD_OT_show_layer, NVD_OT_solo_layer,
    )
)  # fmt: skip
