"""Render Result: the edited shot as files, by Blender's own renderer, and those above the strip it comes from."""

from pathlib import Path
from typing import Final

import bpy

from nvd_core.spec.errors import InputError, NvdError, shown

from ..host import compat
from ..host.timers import lasting
from ..result import conform, rendered, undo

KINDS: Final = (
    ("EXR", "EXR Sequence", "Linear half-float pictures, for further work"),
    ("PNG", "PNG Sequence", "8-bit pictures, as they are seen"),
    ("MOVIE", "Movie", "H.264 in MP4"),
)
"""Formats, as an enumeration's items."""

_ENDS: Final = (bpy.app.handlers.render_complete, bpy.app.handlers.render_cancel)


class NVD_OT_render_result(bpy.types.Operator):
    """Render the edited shot to new files, and put them above the strip it was made from"""

    bl_idname = "nvd.render_result"
    bl_label = "Render Result"

    result: bpy.props.StringProperty(
        name="Result", description="Name of its scene; the newest if empty", options={"SKIP_SAVE"}
    )
    kind: bpy.props.EnumProperty(name="Format", items=KINDS)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Let the user choose the format."""
        return context.window_manager.invoke_props_dialog(self)

    def draw(self, _context: bpy.types.Context) -> None:
        """The dialog."""
        self.layout.prop(self, "kind")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start Blender's renderer; without a window, wait for it."""
        try:
            if bpy.app.is_job_running("RENDER"):
                raise InputError("Blender is rendering", hint="Wait until that has ended, or cancel it with Esc.")
            scene = conform.named(self.result)
            target = _prepare(scene, self.kind)
        except (NvdError, OSError) as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if bpy.app.background:
            bpy.ops.render.render(animation=True, scene=scene.name)
            _add(scene.name, target)
        else:
            _wait(scene.name, target)
            bpy.ops.render.render("INVOKE_DEFAULT", animation=True, scene=scene.name)
        self.report({"INFO"}, shown(f"The shot goes to {target.parent}"))
        return {"FINISHED"}


def _prepare(scene: bpy.types.Scene, kind: str) -> Path:
    """Set a result's output to a new folder; return the path of its last file.

    Raises:
        InputError: the decomposition or the plate is gone.
    """
    folder = rendered.folder_with_files(scene)
    place, name, render = rendered.free_version(folder, "render"), rendered.name_of(folder), scene.render
    place.mkdir(parents=True)
    render.use_file_extension = False
    if kind == "MOVIE":
        compat.set_movie_format(render)
        render.filepath = str(place / f"{name}.mp4")
        return place / f"{name}.mp4"
    compat.set_image_format(render.image_settings, "OPEN_EXR" if kind == "EXR" else kind)
    render.image_settings.color_mode = "RGB"
    render.image_settings.color_depth = "16" if kind == "EXR" else "8"
    render.filepath = str(place / f"{name}.####.{kind.lower()}")
    return place / f"{name}.{scene.frame_end:04d}.{kind.lower()}"


def _wait(scene: str, target: Path) -> None:
    """Add the files to the edit once Blender has rendered them; by a timer, as handlers must not change data."""

    @lasting(None)
    def ended(*_: object) -> None:
        bpy.app.timers.register(add, first_interval=0.1)

    @lasting(None)
    def add() -> None:
        for handlers in _ENDS:
            if ended in handlers:
                handlers.remove(ended)
        _add(scene, target)

    for handlers in _ENDS:
        handlers.append(ended)


def _add(scene: str, target: Path) -> None:
    """Add the rendered files above their strip; a cancelled render has no last file and is ignored."""
    result = bpy.data.scenes.get(scene)
    if result is None or not target.is_file():
        return
    files = [target]
    if target.suffix != ".mp4":
        name = target.name.removesuffix(f"{result.frame_end:04d}{target.suffix}")
        numbers = range(result.frame_start, result.frame_end + 1)
        files = [target.with_name(f"{name}{number:04d}{target.suffix}") for number in numbers]
    if rendered.add_to_edit(result, files, target.parent.parent.name):
        undo.keep("Render Result")


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.utils.register_class(NVD_OT_render_result)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    bpy.utils.unregister_class(NVD_OT_render_result)
    for handlers in _ENDS:
        handlers[:] = [one for one in handlers if one.__module__ != __name__]
