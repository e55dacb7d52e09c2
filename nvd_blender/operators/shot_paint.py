"""Paint on the Shot: a sheet of the current frame, whose strokes go to the layers or are discarded; and its undo."""

from typing import ClassVar

import bpy

from nvd_core.spec.errors import InputError, NvdError

from ..engine import tasks
from ..jobs import shot_paint
from ..result import conform, mask_view, shot_sheet, workspace
from .engine import TaskOperator


class _OfResult:
    result: bpy.props.StringProperty(
        name="Result", description="Name of its scene; the newest if empty", options={"SKIP_SAVE"}
    )


class NVD_OT_paint_on_shot(_OfResult, bpy.types.Operator):
    """Paint on the picture of this frame. The strokes go to the layers that are seen there, and every frame follows"""

    bl_idname = "nvd.paint_on_shot"
    bl_label = "Paint on the Shot"
    bl_options: ClassVar = {"REGISTER", "UNDO"}  # undoing the first stroke leads back to here

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make the sheet, if there is none yet, and set the canvas."""
        try:
            scene = conform.named(self.result)
            sheet = shot_sheet.sheet_of(scene) or shot_sheet.make(scene)
        except (NvdError, OSError, RuntimeError) as error:  # Blender's own words, where it cannot render
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        mask_view.end(scene)
        workspace.set_canvas(context.window, scene, sheet)
        return {"FINISHED"}


class _Paints(TaskOperator, _OfResult):
    begin: ClassVar  # of a scene; typing would keep a class given here for good, and Blender 4 crash at its end

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Begin; without a window, wait for the end."""
        return self.run(self._begin)

    def _begin(self) -> tasks.Task:
        task = type(self).begin(conform.named(self.result))
        for said in task.warnings:
            self.report({"INFO"}, said)
        return task


class NVD_OT_apply_to_layers(_Paints, bpy.types.Operator):
    """Carry the strokes to the atlases of the layers that are seen under them. Unsaved paint there is saved first"""

    bl_idname = "nvd.apply_to_layers"
    bl_label = "Apply to Layers"
    bl_options: ClassVar = {"UNDO", "INTERNAL"}  # undoing it has the sheet back, with its strokes
    begin = staticmethod(shot_paint.apply)


class NVD_OT_undo_paint_on_shot(_Paints, bpy.types.Operator):
    """Restore the atlases of before the last paint on the shot; a second time, those of after it"""

    bl_idname = "nvd.undo_paint_on_shot"
    bl_label = "Undo Paint on the Shot"
    begin = staticmethod(shot_paint.take_back)


class NVD_OT_discard_sheet(_OfResult, bpy.types.Operator):
    """Throw away the sheet and all strokes on it. The layers stay as they are"""

    bl_idname = "nvd.discard_sheet"
    bl_label = "Discard"
    bl_options: ClassVar = {"UNDO", "INTERNAL"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask, if anything is painted on it."""
        scene = bpy.data.scenes.get(self.result)
        sheet = scene and shot_sheet.sheet_of(scene)
        if sheet and shot_sheet.has_strokes(sheet):
            return context.window_manager.invoke_confirm(self, event)
        return self.execute(context)

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Remove it."""
        try:
            scene = conform.named(self.result)
            tasks.refuse_second()
            sheet = shot_sheet.sheet_of(scene)
            if sheet is None:
                raise InputError("There is no sheet of this result", hint="Begin with Paint on the Shot.")
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        shot_sheet.pack(sheet)
        if not bpy.app.background:
            bpy.ops.ed.undo_push(message="Paint on the Shot")
        shot_paint.leave(scene)
        return {"FINISHED"}


class NVD_OT_forget_shot_paint(bpy.types.Operator):
    """Take the outcome off the panel"""

    bl_idname = "nvd.forget_shot_paint"
    bl_label = "Forget"
    bl_options: ClassVar = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Forget the task."""
        tasks.forget()
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (
        NVD_OT_paint_on_shot, NVD_OT_apply_to_layers, NVD_OT_undo_paint_on_shot, NVD_OT_discard_sheet,
        NVD_OT_forget_shot_paint,
    )
)  # fmt: skip
