"""Install Engine, Remove Engine, Check, Cancel: the buttons of the preferences."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import bpy

from nvd_core.errors import NvdError, as_told

from .. import chores, engine, installation, platforms
from ..labels import paragraph

_DIALOG_PX = 460
_UNPACKED = 3
"""How many times as large packages are when they are unpacked."""


class _Chore:
    """Starts a chore; without a window, waits for it."""

    bl_options: ClassVar = {"INTERNAL"}

    def run(self, begin: Callable[[], chores.Chore]) -> set[str]:
        """Begin it and report what there is to say."""
        try:
            chore = begin()
            while bpy.app.background and chore.state == "running":
                chore.wait(0.05)
        except (NvdError, OSError) as error:
            self.report({"ERROR"}, str(as_told(error)))
            return {"CANCELLED"}
        if chore.error:
            self.report({"ERROR"}, chore.error)
            return {"CANCELLED"}
        return {"FINISHED"}

    def ask(self, context: bpy.types.Context, refuse: Callable[[], object], yes: str) -> set[str]:
        """Ask first, unless it is refused anyway."""
        try:
            refuse()
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return context.window_manager.invoke_props_dialog(self, width=_DIALOG_PX, title=self.bl_label, confirm_text=yes)

    def draw(self, _context: bpy.types.Context) -> None:
        """What is asked."""
        for text in self.question():
            paragraph(self.layout, text, width_px=_DIALOG_PX)


class NVD_OT_install_engine(_Chore, bpy.types.Operator):
    """Install what the decomposition runs on into a folder of its own. Blender goes on meanwhile"""

    bl_idname = "nvd.install_engine"
    bl_label = "Install Engine"

    neural: bpy.props.BoolProperty(name="Neural solver", description="Install torch, too")
    offline: bpy.props.StringProperty(name="Offline wheel folder", description="The only source, if named")

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Say what will be downloaded, and where to."""
        return self.ask(context, lambda: installation.plan(neural=self.neural, offline=self._source()), "Install")

    def question(self) -> list[str]:
        """What is downloaded, where it goes, what it needs."""
        source = self._source()
        megabytes = platforms.download_mb(neural=self.neural)
        return [
            f"The packages are taken from {source}; nothing is downloaded."
            if source
            else f"Up to about {megabytes} MB are downloaded from Python's package registry.",
            f"They take about {_UNPACKED * megabytes} MB in {engine.private().folder}.",
            "It needs no administrator's rights, and Blender can be used meanwhile.",
        ]

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Begin."""
        return self.run(lambda: installation.install(neural=self.neural, offline=self._source()))

    def _source(self) -> Path | None:
        return Path(bpy.path.abspath(self.offline)) if self.offline else None


class NVD_OT_remove_engine(_Chore, bpy.types.Operator):
    """Delete the engine that was installed with Install Engine. Results stay"""

    bl_idname = "nvd.remove_engine"
    bl_label = "Remove Engine"

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Say what will be deleted."""
        return self.ask(context, installation.refuse_while_running, "Remove")

    def question(self) -> list[str]:
        """What is deleted."""
        return [f"{engine.private().folder} is deleted. It can be installed again at any time."]

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Begin."""
        return self.run(installation.remove)


class NVD_OT_check_engine(_Chore, bpy.types.Operator):
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
        """Only while something runs."""
        return chores.running()

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """End the programs."""
        chores.latest().cancel()
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory(
    (NVD_OT_install_engine, NVD_OT_remove_engine, NVD_OT_check_engine, NVD_OT_cancel_engine)
)
