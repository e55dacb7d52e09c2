"""Render Clean Plate: the edited shot without its objects, by the engine; and its Cancel."""

from pathlib import Path
from typing import ClassVar

import bpy

from nvd_core.spec.errors import InputError, NvdError, as_told

from ..engine import tasks
from ..jobs import clean_plate
from ..result import conform, rendered
from .engine import TaskOperator
from .render import KINDS

_WIDTH_PX = 400


class NVD_PG_taken_out(bpy.types.PropertyGroup):
    """An object of a result, by its name."""

    is_taken_out: bpy.props.BoolProperty(name="Take Out", description="Its place shows what is behind it", default=True)


class NVD_OT_render_clean_plate(TaskOperator, bpy.types.Operator):
    """Render the shot without its objects."""

    bl_idname = "nvd.render_clean_plate"
    bl_label = "Render Clean Plate"
    bl_description = (
        "Render the shot without its objects to new files, and put them above the strip it was made from. Objects "
        "whose eye is closed are taken out; if every eye is open, all"
    )
    bl_options: ClassVar = {"REGISTER"}

    result: bpy.props.StringProperty(
        name="Result", description="Name of its scene; the newest if empty", options={"SKIP_SAVE"}
    )
    objects: bpy.props.CollectionProperty(
        name="Take Out",
        description="Objects; if empty, those whose eye is closed, or all",
        type=NVD_PG_taken_out,
        options={"SKIP_SAVE"},
    )
    kind: bpy.props.EnumProperty(name="Format", items=KINDS)
    folder: bpy.props.StringProperty(
        name="Folder",
        description="Where the files go; a new one beside the result if empty",
        subtype="DIR_PATH",
        options={"SKIP_SAVE"},
    )
    replace: bpy.props.BoolProperty(
        name="Replace",
        description="Write over files of the same names that are in the folder",
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Let the user choose objects, format and folder."""
        try:
            self._fill_in()
        except (NvdError, OSError) as error:
            self.report({"ERROR"}, str(as_told(error)))
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(self, width=_WIDTH_PX)

    def draw(self, _context: bpy.types.Context) -> None:
        """The dialog."""
        layout = self.layout
        layout.use_property_split = True
        column = layout.column(heading="Take Out")
        for one in self.objects:
            column.prop(one, "is_taken_out", text=one.name)
        layout.prop(self, "kind")
        layout.prop(self, "folder")
        layout.prop(self, "replace", text="Replace Files That Are There")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Begin; without a window, wait for the end."""
        return self.run(self._begin)

    def _begin(self) -> tasks.Task:
        scene = self._fill_in()
        hidden = [one.name for one in self.objects if one.is_taken_out]
        if not hidden:
            raise InputError("No object is taken out", hint="Tick one, or use Render Result.")
        place = Path(bpy.path.abspath(self.folder)).absolute()
        task = clean_plate.start(scene, hidden, place, self.kind, replaces=self.replace)
        for said in task.warnings:
            self.report({"INFO"}, said)
        return task

    def _fill_in(self) -> bpy.types.Scene:
        """Fill in what was not chosen; return the result's scene.

        Raises:
            NvdError: there is no such result, its files are gone, or it has no object.
        """
        scene = conform.named(self.result)
        names = clean_plate.objects(scene)
        if not self.objects:
            out = clean_plate.meant(scene, names)
            for name in names:
                one = self.objects.add()
                one.name, one.is_taken_out = name, name in out
        self.folder = self.folder or str(rendered.free_version(rendered.folder_with_files(scene), "clean"))
        return scene


class NVD_OT_end_clean_plate(bpy.types.Operator):
    """Stop rendering the clean plate, which leaves nothing half-written; or take its outcome off the panel"""

    bl_idname = "nvd.end_clean_plate"
    bl_label = "Cancel"
    bl_options: ClassVar = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Cancel the task, or forget it."""
        task = tasks.latest()
        if isinstance(task, clean_plate.CleanPlate):
            (task.cancel if task.state == "running" else tasks.forget)()
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (NVD_PG_taken_out, NVD_OT_render_clean_plate, NVD_OT_end_clean_plate)
)
