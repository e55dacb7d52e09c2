"""Operators Open Layers (the workspace to paint in), Show Coverage (the overlay), Open Report (quality of a result)."""

from pathlib import Path
from typing import ClassVar

import bpy

from nvd_core.spec.errors import shown
from nvd_core.spec.folder import report_path

from ..result import coverage, workspace
from ..result.quality import MEANING
from .atlas import Found, OfLayer


class NVD_OT_open_layers(OfLayer, bpy.types.Operator):
    """Paint: the atlas and the shot side by side"""

    bl_idname = "nvd.open_layers"
    bl_label = "Open Layers"

    def run(self, context: bpy.types.Context, found: Found) -> None:
        """Open the workspace."""
        workspace.open_layers(context.window, found.scene, found.layer)


class NVD_OT_show_coverage(bpy.types.Operator):
    """Hatch what no frame shows: paint there is never seen"""

    bl_idname = "nvd.show_coverage"
    bl_label = "Show Coverage"
    bl_options: ClassVar = {"INTERNAL"}

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Turn the overlay on or off."""
        coverage.show(is_shown=not coverage.is_shown())
        return {"FINISHED"}


class NVD_OT_open_report(bpy.types.Operator):
    """Open the folder of a result's report in the system's file browser."""

    bl_idname = "nvd.open_report"
    bl_label = "Open Report"
    bl_description = f"Pictures and words on how good the result is. {MEANING}"
    bl_options: ClassVar = {"INTERNAL"}

    folder: bpy.props.StringProperty(name="Folder", description="Of the result", subtype="DIR_PATH")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Open the folder of the report."""
        report = report_path(Path(self.folder))
        if not report.is_dir():
            self.report({"ERROR"}, shown(f"The report is gone ({report})."))
            return {"CANCELLED"}
        return bpy.ops.wm.path_open(filepath=str(report))


register, unregister = bpy.utils.register_classes_factory(
    (NVD_OT_open_layers, NVD_OT_show_coverage, NVD_OT_open_report)
)
