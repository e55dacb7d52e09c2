"""Operators on a job: Cancel, Resume, Load, Forget, Copy Diagnostics, Open Log."""

from pathlib import Path
from typing import ClassVar

import bpy

from nvd_core.spec.errors import NvdError, as_told, shown

from ..jobs import diagnostics, queue
from ..jobs.job import Job
from ..source import footage
from ..source.mattes import masks_of


def report(operator: bpy.types.Operator, job: Job) -> set[str]:
    """Report a job's warnings and error; without a window, wait for its end first."""
    if bpy.app.background:
        queue.wait_for(job)
    for warning in job.warnings:
        operator.report({"WARNING"}, warning)
    if job.error:
        operator.report({"ERROR"}, job.error)
        return {"CANCELLED"}
    return {"FINISHED"}


class _OfJob:
    bl_options: ClassVar = {"INTERNAL"}

    job: bpy.props.StringProperty(name="Job", description="Which; the one that runs if empty", options={"SKIP_SAVE"})

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Do it, or say why not."""
        found = queue.find(self.job)
        if found is None:
            self.report({"ERROR"}, "There is no such job any more")
            return {"CANCELLED"}
        try:
            return self.run(context, found)
        except (NvdError, OSError) as error:
            self.report({"ERROR"}, str(as_told(error)))
            return {"CANCELLED"}


class NVD_OT_cancel(_OfJob, bpy.types.Operator):
    """Stop the decomposition, or take it out of the queue; it can be resumed"""

    bl_idname = "nvd.cancel"
    bl_label = "Cancel"
    bl_options: ClassVar = {"REGISTER"}

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while a job runs or waits."""
        return queue.any_running()

    def run(self, _context: bpy.types.Context, job: Job) -> set[str]:
        """Ask the worker to stop."""
        if not job.is_active:
            return {"CANCELLED"}
        job.cancel()
        return {"FINISHED"}


class NVD_OT_resume_job(_OfJob, bpy.types.Operator):
    """Take the same job up where it was, with the settings it was started with and the masks as they are now"""

    bl_idname = "nvd.resume_job"
    bl_label = "Resume"

    def run(self, _context: bpy.types.Context, job: Job) -> set[str]:
        """Start the worker again."""
        if job.is_active:
            return report(self, job)
        shown = footage.showing(job.record)
        if shown and (shown.name != job.record.name or not len(shown.asked.masks)):
            shown = None  # another strip or no objects: keep the record's masks, perhaps the only copy
        return report(self, queue.resume(job, masks_of(shown) if shown else None))


class NVD_OT_load_job(_OfJob, bpy.types.Operator):
    """Load the result, which is finished but not in this file"""

    bl_idname = "nvd.load_job"
    bl_label = "Load"

    def run(self, _context: bpy.types.Context, job: Job) -> set[str]:
        """Build its scene."""
        queue.load(job)
        return report(self, job)


class NVD_OT_forget_job(_OfJob, bpy.types.Operator):
    """Take the job off this list. Its folder stays as it is"""

    bl_idname = "nvd.forget_job"
    bl_label = "Forget"

    def run(self, _context: bpy.types.Context, job: Job) -> set[str]:
        """Remove its record."""
        if job.is_active:
            return {"CANCELLED"}
        queue.forget(job)
        return {"FINISHED"}


class NVD_OT_copy_diagnostics(_OfJob, bpy.types.Operator):
    """Copy what a developer needs to know: the error, versions, and the last that the worker said"""

    bl_idname = "nvd.copy_diagnostics"
    bl_label = "Copy Diagnostics"

    def run(self, context: bpy.types.Context, job: Job) -> set[str]:
        """Fill the clipboard."""
        context.window_manager.clipboard = diagnostics.text(job)
        self.report({"INFO"}, "The diagnostics are in the clipboard")
        return {"FINISHED"}


class NVD_OT_open_log(bpy.types.Operator):
    """Open the folder of the log in the system's file browser"""

    bl_idname = "nvd.open_log"
    bl_label = "Open Log"
    bl_options: ClassVar = {"INTERNAL"}

    folder: bpy.props.StringProperty(name="Folder", description="Where the log lies", subtype="DIR_PATH")

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Open the folder of the log."""
        if not Path(self.folder).is_dir():
            self.report({"ERROR"}, shown(f"The log is gone ({self.folder})."))
            return {"CANCELLED"}
        return bpy.ops.wm.path_open(filepath=self.folder)


register, unregister = bpy.utils.register_classes_factory(
    (NVD_OT_cancel, NVD_OT_resume_job, NVD_OT_load_job, NVD_OT_forget_job, NVD_OT_copy_diagnostics, NVD_OT_open_log)
)
