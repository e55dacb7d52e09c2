"""Load Result: a decomposition that was made elsewhere, on a farm or another machine."""

from pathlib import Path
from typing import ClassVar

import bpy

from nvd_core.spec.errors import InputError, NvdError, as_told, shown
from nvd_core.spec.manifest import read_manifest

from ..jobs import frame_check
from ..result import atlas_check
from ..result.compositor import check_files, load_result
from ..result.scenes import folder_of


def load_whole(folder: Path) -> bpy.types.Scene:
    """Load a decomposition if none of its files is missing; otherwise create nothing in Blender.

    Raises:
        InputError: it is none, is not finished, or something of it is missing, or an atlas cannot be used.
    """
    manifest = read_manifest(folder)
    for number in manifest.source.numbers:
        if not (frame := manifest.frame_path(folder, number)).is_file():
            raise InputError("The decomposition lacks a file", where=frame, hint="Copy all of its folder.")
    check_files(folder, manifest)
    atlas_check.check_all(folder, manifest)
    return load_result(folder)


class NVD_OT_load_result(bpy.types.Operator):
    """Load a decomposition from its folder, wherever it was made"""

    bl_idname = "nvd.load_result"
    bl_label = "Load Result…"
    bl_options: ClassVar = {"REGISTER", "UNDO"}

    directory: bpy.props.StringProperty(name="Folder", description="Of the decomposition", subtype="DIR_PATH")
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Ask for the folder."""
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Build its scene."""
        try:
            scene = load_whole(Path(bpy.path.abspath(self.directory)))
        except (NvdError, OSError, MemoryError) as error:
            self.report({"ERROR"}, str(as_told(error)))
            return {"CANCELLED"}
        frame_check.begin(folder_of(scene))
        self.report({"INFO"}, shown(f"The result is in the scene {scene.name}"))
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_load_result,))
