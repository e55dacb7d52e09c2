"""The extension's preferences: the engine that it installs for itself, or a Python that has one."""

import bpy

from nvd_core import __version__
from nvd_core.errors import SetupError

from . import chores, engine, installation, platforms
from .labels import paragraph


class NVD_AP_preferences(bpy.types.AddonPreferences):
    """Where the engine is."""

    bl_idname = __package__

    neural: bpy.props.BoolProperty(
        name="With the Neural Solver",
        description="Install torch, too, which the published networks run on. The default solver does without",
    )
    wheels: bpy.props.StringProperty(
        name="Offline Wheel Folder",
        description="Install from the wheels in this folder alone, without going online. They must be for this "
        "system and for Blender's version of Python",
        subtype="DIR_PATH",
    )
    python: bpy.props.StringProperty(
        name="Existing Python",
        description="Python that has nvd-blender[engine] installed; used instead of the engine above",
        subtype="FILE_PATH",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """Drawn in the preferences window."""
        layout = self.layout
        _draw_private(layout.box(), self)
        _draw_chosen(layout.box(), self)
        _draw_chore(layout)


def _draw_private(layout: bpy.types.UILayout, chosen: NVD_AP_preferences) -> None:
    private = engine.private()
    contents = private.contents()
    text, button, icon = "Decompositions run on an engine of their own, outside Blender.", "Install Engine", "INFO"
    if contents is not None:
        torch = ", with the neural solver" if contents.neural else ""
        text, button, icon = f"The engine {contents.version} is installed{torch}.", "", "CHECKMARK"
        if contents.outdated:
            text = f"The installed engine has version {contents.version}, the extension {__version__}: update it."
            button, icon = "Update Engine", "ERROR"
        elif chosen.neural and not contents.neural:
            button = "Add Neural Solver"
    elif chores.running():
        text = f"{chores.latest().name}: Blender can be used meanwhile."
    elif private.folder.exists():
        text = "The installation was not finished, or Blender's Python has moved: install the engine again."
    paragraph(layout, text, icon=icon)
    column = layout.column()
    column.enabled = not chores.running()
    extra = platforms.download_mb(neural=True) - platforms.download_mb(neural=False)
    column.prop(chosen, "neural", text=f"With the neural solver (torch, about {extra} MB more to download)")
    column.prop(chosen, "wheels")
    if not (chosen.wheels or bpy.app.online_access):
        paragraph(column, str(installation.OFFLINE), icon="INTERNET_OFFLINE")
    row = column.row()
    if button:
        install = row.operator("nvd.install_engine", text=button, icon="IMPORT")
        install.neural = chosen.neural or bool(contents and contents.neural)
        install.offline = chosen.wheels
    if private.folder.exists():
        row.operator("nvd.remove_engine", icon="TRASH")


def _draw_chosen(layout: bpy.types.UILayout, chosen: NVD_AP_preferences) -> None:
    layout.label(text="Use Existing Python")
    row = layout.row()
    row.enabled = not chores.running()
    row.prop(chosen, "python", text="")
    if chosen.python:
        row.operator("nvd.check_engine", icon="VIEWZOOM")
    try:
        if engine.chosen_python():
            paragraph(layout, "Decompositions run on this Python; clear the field to use the engine above.")
    except SetupError as error:
        paragraph(layout, str(error), icon="ERROR")


def _draw_chore(layout: bpy.types.UILayout) -> None:
    chore = chores.latest()
    if chore is None:
        return
    if chore.state == "running":
        text = ": ".join(filter(None, (chore.stage, chore.progress.doing)))
        layout.progress(factor=chore.progress.share(chore.expected_mb), text=text)
        layout.operator("nvd.cancel_engine", icon="X")
    elif chore.error:
        paragraph(layout, chore.error, icon="ERROR")
        if chore.state == "failed":
            paragraph(layout, f"Everything that was said is in {chore.log}.")
            layout.operator("nvd.open_log", icon="TEXT").folder = str(chore.log.parent)
    elif chore.success:
        paragraph(layout, chore.success, icon="CHECKMARK")


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.utils.register_class(NVD_AP_preferences)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    bpy.utils.unregister_class(NVD_AP_preferences)
