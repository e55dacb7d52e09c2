"""Decompose Clip."""

import bpy

from nvd_core.errors import NvdError, as_told

from .. import footage, jobs, outlook
from ..job import Job
from ..mattes import masks_of
from ..properties import chosen_settings
from .jobs import report


def start_job(context: bpy.types.Context, *, resume: bool) -> Job:
    """Start decomposing what is selected, or queue it.

    Raises:
        NvdError: nothing suitable is selected, a mask or the engine is not there, the folder is in use, or the disk is
            too full.
    """
    chosen = footage.selected(context)
    outlook.refuse_without_room(chosen)
    scene, job = chosen.scene, chosen.footage.job
    job["settings"] |= chosen_settings(scene)
    masks = masks_of(chosen)
    job["masks"] = masks.job
    return jobs.start(chosen.name, outlook.folder_of(chosen), job, resume=resume, fill=masks.leave)


class NVD_OT_decompose_clip(bpy.types.Operator):
    """Decompose the selected clip into layers whose atlases can be painted"""

    bl_idname = "nvd.decompose_clip"
    bl_label = "Decompose Clip"

    resume: bpy.props.BoolProperty(
        name="Resume", description="Take up what a cancelled run of the same job has finished", options={"SKIP_SAVE"}
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start the worker; without a window, wait for it."""
        try:
            return report(self, start_job(context, resume=self.resume))
        except (NvdError, OSError) as error:
            self.report({"ERROR"}, str(as_told(error)))
            return {"CANCELLED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_decompose_clip,))
