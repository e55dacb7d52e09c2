"""The extension's preferences: install its private engine, or choose an existing Python."""

from collections.abc import Callable
from typing import NamedTuple

import bpy

from nvd_core import __version__
from nvd_core.spec.errors import SetupError

from ..engine import location, tasks
from ..engine.lockfile import Locked, locked
from ..engine.private import Contents, PrivateEngine
from ..host import compat, disk
from ..host.labels import paragraph
from ..jobs import installation


def _name_in_full(name: str) -> Callable[[bpy.types.AddonPreferences, bpy.types.Context], None]:
    """Create an update callback that makes a chosen path absolute: it must not depend on the next opened .blend."""

    def update(chosen: bpy.types.AddonPreferences, _context: bpy.types.Context) -> None:
        path = getattr(chosen, name)
        if path.startswith("//") and bpy.data.filepath:
            setattr(chosen, name, bpy.path.abspath(path))

    return update


class NVD_AP_preferences(bpy.types.AddonPreferences):
    """Where the engine is."""

    bl_idname = compat.EXTENSION

    neural: bpy.props.BoolProperty(
        name="With the Neural Solver",
        description="Install torch, too, which the published networks run on. The default solver does without",
    )
    wheels: bpy.props.StringProperty(
        name="Offline Wheel Folder",
        description="Install from the wheels in this folder alone, without going online. They must be for this "
        "system and for Blender's version of Python, of the versions that the extension has locked",
        subtype="DIR_PATH",
        update=_name_in_full("wheels"),
    )
    own_settings: bpy.props.BoolProperty(
        name="Use pip's Settings",
        description="Fetch from where this machine's pip settings and PIP_ variables say, such as a studio's mirror. "
        "What is installed is the same: every file is checked by its hash",
    )
    python: bpy.props.StringProperty(
        name="Existing Python",
        description="Python that has nvd-blender[engine] installed; used instead of the engine above",
        subtype="FILE_PATH",
        update=_name_in_full("python"),
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """Drawn in the preferences window."""
        layout = self.layout
        _draw_private(layout.box(), self)
        _draw_chosen(layout.box(), self)
        _draw_task(layout)


class _Known(NamedTuple):
    """State of the private engine on disk.

    Attributes:
        contents: see :meth:`PrivateEngine.contents`.
        is_begun: whether its folder exists.
        inability: why it cannot be made; empty if it can.
        offer: locked download, or a message why there is none; None until the disk has answered.
    """

    contents: Contents | None = None
    is_begun: bool = False
    inability: str = ""
    offer: Locked | str | None = None


def _look(private: PrivateEngine, neural: bool) -> _Known:  # noqa: FBT001 (see disk.known)
    contents = private.contents()
    inability = private.inability(installation.BASE)
    try:
        offer = locked(neural=neural or bool(contents and contents.neural))
    except SetupError as error:
        offer = str(error)
    return _Known(contents, private.folder.exists(), str(inability or ""), offer)


def _draw_private(layout: bpy.types.UILayout, chosen: NVD_AP_preferences) -> None:
    known = disk.known(_Known(), _look, location.private(), chosen.neural)
    neural = chosen.neural or bool(known.contents and known.contents.neural)
    text, button, icon = _state(known, neural=neural)
    paragraph(layout, text, icon=icon)
    column = layout.column()
    column.enabled = not tasks.running()
    column.prop(chosen, "neural", text="With the neural solver, which needs torch")
    column.prop(chosen, "wheels")
    column.prop(chosen, "own_settings")
    if known.inability:
        paragraph(column, known.inability, icon="ERROR")
        button = ""
    elif button:
        button = _draw_fetched(column, chosen, button, known.offer)
    row = column.row()
    if button:
        install = row.operator("nvd.install_engine", text=button, icon="IMPORT")
        install.neural, install.offline, install.own_settings = neural, chosen.wheels, chosen.own_settings
    if known.is_begun:
        row.operator("nvd.remove_engine", icon="TRASH")


def _state(known: _Known, *, neural: bool) -> tuple[str, str, str]:
    """Text, button and icon for the state of the private engine."""
    install, contents = "Install Engine with torch" if neural else "Install Engine", known.contents
    if contents is None and tasks.running():
        return f"{tasks.latest().name}: Blender can be used meanwhile.", install, "INFO"
    if contents is None and known.is_begun:
        text = "The installation was not finished, or Blender's Python has moved: install the engine again."
        return text, install, "INFO"
    if contents is None:
        return "Decompositions run on an engine of their own, outside Blender.", install, "INFO"
    if contents.outdated:
        text = f"The installed engine has version {contents.version}, the extension {__version__}: update it."
        return text, "Update Engine", "ERROR"
    torch = ", with the neural solver" if contents.neural else ""
    button = "Add torch" if neural and not contents.neural else ""
    return f"The engine {contents.version} is installed{torch}.", button, "CHECKMARK"


def _draw_fetched(
    layout: bpy.types.UILayout, chosen: NVD_AP_preferences, button: str, offer: Locked | str | None
) -> str:
    """Draw what the button will download; return the button's text, empty if there is nothing to download."""
    if not isinstance(offer, Locked):
        if offer:
            paragraph(layout, offer, icon="ERROR")
        return ""
    if not (chosen.wheels or bpy.app.online_access):
        paragraph(layout, str(installation.OFFLINE), icon="INTERNET_OFFLINE")
    where = "taken from that folder" if chosen.wheels else "downloaded"
    paragraph(layout, f"{offer.amount}, will be {where}, each checked by its hash: {', '.join(offer.packages)}.")
    return button


def _draw_chosen(layout: bpy.types.UILayout, chosen: NVD_AP_preferences) -> None:
    layout.label(text="Use Existing Python")
    row = layout.row()
    row.enabled = not tasks.running()
    row.prop(chosen, "python", text="")
    if chosen.python:
        row.operator("nvd.check_engine", icon="VIEWZOOM")
        if said := disk.known("", _lack_of, chosen.python):
            paragraph(layout, said, icon="ERROR")
        else:
            paragraph(layout, "Decompositions run on this Python; clear the field to use the engine above.")


def _lack_of(python: str) -> str:
    """Message if the chosen Python does not exist; else empty."""
    try:
        location.existing(python)
    except SetupError as error:
        return str(error)
    return ""


def _draw_task(layout: bpy.types.UILayout) -> None:
    task = tasks.latest()
    if task is None:
        return
    if task.state == "running":
        text = ": ".join(filter(None, (task.stage, task.progress.doing)))
        layout.progress(factor=task.progress.share, text=text)
        layout.operator("nvd.cancel_engine", icon="X")
    elif task.error:
        paragraph(layout, task.error, icon="ERROR")
        if task.state == "failed":
            paragraph(layout, f"Everything that was said is in {task.log}.")
            layout.operator("nvd.open_log", icon="TEXT").folder = str(task.log.parent)
    elif task.success:
        paragraph(layout, task.success, icon="CHECKMARK")


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.utils.register_class(NVD_AP_preferences)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    bpy.utils.unregister_class(NVD_AP_preferences)
