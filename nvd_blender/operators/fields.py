"""Operators beside fields of the sidebar: browse for masks, and set a value instead of the preset's."""

from pathlib import Path
from typing import Any, ClassVar

import bpy

from nvd_core.spec.settings import QUALITY

from ..source.footage import chosen, pattern_of
from ..source.key_frames import is_carried
from ..source.objects import active_of, asked
from .objects import OnObjects


class NVD_OT_browse_mask(OnObjects, bpy.types.Operator):
    """Choose the mask: a movie, a picture, all pictures of a numbered sequence, or a folder of pictures"""

    bl_idname = "nvd.browse_mask"
    bl_label = "Choose Mask"

    filepath: bpy.props.StringProperty(subtype="FILE_PATH", options={"SKIP_SAVE", "HIDDEN"})
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"SKIP_SAVE", "HIDDEN"})
    files: bpy.props.CollectionProperty(type=bpy.types.OperatorFileListElement, options={"SKIP_SAVE", "HIDDEN"})
    filter_image: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_movie: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_folder: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    relative_path: bpy.props.BoolProperty(
        name="Relative Path", description="Note the place as seen from the .blend", default=True
    )
    sequence: bpy.props.BoolProperty(
        name="Detect Sequence",
        description="One picture of a numbered sequence stands for all of them; else it is the mask of every frame",
        default=True,
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Open the file browser in the mask's folder, else in the clip's."""
        owner, scene = chosen(context)
        item = active_of(asked(owner, scene))
        self.filepath = bpy.path.abspath((item.picture if is_carried(item) else item.path) or _folder_of(owner) + "/")
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Store the chosen files in the field."""
        item = active_of(asked(*chosen(context)))
        if item is None:  # removed while the browser was open
            return {"CANCELLED"}
        paths = [Path(self.directory, one.name) for one in self.files if one.name]
        path = paths[0] if paths else Path(self.directory or self.filepath)
        if not is_carried(item) and path.is_file() and (len(paths) > 1 or self.sequence):
            path = self._sequence_of(path, paths)
            if path is None:
                self.report({"ERROR"}, "The pictures are not numbered alike. Choose those of one sequence.")
                return {"CANCELLED"}
        said = bpy.path.relpath(str(path)) if self.relative_path and bpy.data.filepath else str(path)
        if is_carried(item):
            item.picture = said
        else:
            item.path = said
        return {"FINISHED"}

    @staticmethod
    def _sequence_of(path: Path, chosen: list[Path]) -> Path | None:
        """Pattern of numbered pictures; the path itself for a single picture; None for a mixture."""
        pattern = pattern_of(path)
        if len(chosen) > 1:
            return pattern if {pattern_of(one) for one in chosen} == {pattern} and pattern != path else None
        is_movie = path.suffix.lower() in bpy.path.extensions_movie
        others = () if is_movie or pattern == path else path.parent.iterdir()
        return pattern if any(one != path and pattern_of(one) == pattern for one in others) else path


def _folder_of(owner: Any) -> str:  # noqa: ANN401 (a strip's class differs)
    """Folder of a strip's or movie clip's files."""
    return (
        owner.directory if getattr(owner, "type", "") == "IMAGE" else str(Path(bpy.path.abspath(owner.filepath)).parent)
    )


class NVD_OT_own_lines(bpy.types.Operator):
    """Choose the height yourself, or leave it to the preset"""

    bl_idname = "nvd.own_lines"
    bl_label = "By Preset"
    bl_options: ClassVar = {"UNDO", "INTERNAL"}

    scene: bpy.props.StringProperty(name="Scene", description="Whose settings")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Set the height to the preset's, or leave it to the preset."""
        settings = bpy.data.scenes[self.scene].nvd.settings
        lines = QUALITY[settings.preset].lines * (2 if settings.preset == "preview" else 1)
        settings.height = 0 if settings.height else lines
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_browse_mask, NVD_OT_own_lines))
