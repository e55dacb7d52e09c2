"""Install Engine, Remove Engine, Check, Cancel: the buttons of the preferences."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import bpy

from nvd_core.spec.errors import NvdError, as_told

from ..engine import location, tasks
from ..engine.lockfile import locked
from ..host.labels import paragraph
from ..jobs import installation

_DIALOG_PX = 460
_UNPACKED = 3
"""Size of unpacked packages, relative to their download."""


class TaskOperator:
    """Starts a task; without a window, waits for it."""

    bl_options: ClassVar = {"INTERNAL"}

    def run(self, begin: Callable[[], tasks.Task]) -> set[str]:
        """Start a task, without a window wait for its end, and report an error."""
        try:
            task = begin()
            while bpy.app.background and task.state == "running":
                task.wait(0.05)
        except (NvdError, OSError) as error:
            self.report({"ERROR"}, str(as_told(error)))
            return {"CANCELLED"}
        if task.error:
            self.report({"ERROR"}, task.error)
            return {"CANCELLED"}
        return {"FINISHED"}

    def ask(self, context: bpy.types.Context, refuse: Callable[[], object], yes: str) -> set[str]:
        """Show a dialog, or report an error if the action is refused anyway."""
        try:
            refuse()
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(self, width=_DIALOG_PX, title=self.bl_label, confirm_text=yes)

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw the question of the dialog."""
        for text in self.question():
            paragraph(self.layout, text, width_px=_DIALOG_PX)


class NVD_OT_install_engine(TaskOperator, bpy.types.Operator):
    """Install what the decomposition runs on into a folder of its own. Blender goes on meanwhile"""

    bl_idname = "nvd.install_engine"
    bl_label = "Install Engine"

    neural: bpy.props.BoolProperty(name="Neural solver", description="Install torch, too")
    offline: bpy.props.StringProperty(name="Offline wheel folder", description="The only source, if named")
    own_settings: bpy.props.BoolProperty(name="Pip's settings", description="Take the index from pip's settings")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Show a dialog with the download and its folder."""
        return self.ask(context, lambda: installation.plan(neural=self.neural, offline=self._source()), "Install")

    def question(self) -> list[str]:
        """Text of the dialog: size of the download, folder, and space that it needs."""
        source, lock = self._source(), locked(neural=self.neural)
        index = "the index of pip's settings" if self.own_settings else "Python's package registry"
        return [
            f"{lock.amount}, are taken from {source}; nothing is downloaded."
            if source
            else f"{lock.amount}, are downloaded from {index}.",
            f"They are these and no others, and each is checked by its hash: {', '.join(lock.packages)}.",
            f"They take about {_UNPACKED * lock.megabytes:.0f} MB in {location.private().folder}.",
            "It needs no administrator's rights, and Blender can be used meanwhile.",
        ]

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Begin."""
        return self.run(
            lambda: installation.install(neural=self.neural, offline=self._source(), own_settings=self.own_settings)
        )

    def _source(self) -> Path | None:
        return location.full_path(self.offline, "The wheel folder") if self.offline else None


class NVD_OT_remove_engine(TaskOperator, bpy.types.Operator):
    """Delete the engine that was installed with Install Engine. Results stay"""

    bl_idname = "nvd.remove_engine"
    bl_label = "Remove Engine"

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Show a dialog with the folder that is deleted."""
        return self.ask(context, installation.refuse_while_running, "Remove")

    def question(self) -> list[str]:
        """Text of the dialog: folder that is deleted."""
        return [f"{location.private().folder} is deleted. It can be installed again at any time."]

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Begin."""
        return self.run(installation.remove)


class NVD_OT_check_engine(TaskOperator, bpy.types.Operator):
    """Ask the chosen Python whether it has all that the engine needs"""

    bl_idname = "nvd.check_engine"
    bl_label = "Check"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Begin."""
        return self.run(installation.check)


class NVD_OT_cancel_engine(bpy.types.Operator):
    """Stop it. A half-made engine is not used; the next installation makes it anew"""

    bl_idname = "nvd.cancel_engine"
    bl_label = "Cancel"
    bl_options: ClassVar = {"INTERNAL"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while a task is running."""
        return tasks.running()

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Cancel the running task."""
        tasks.latest().cancel()
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (NVD_OT_install_engine, NVD_OT_remove_engine, NVD_OT_check_engine, NVD_OT_cancel_engine)
)
