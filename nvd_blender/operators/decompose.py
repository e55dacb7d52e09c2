"""Decompose Clip, and Cancel."""

from pathlib import Path

import bpy

from nvd_core.errors import InputError, NvdError
from nvd_core.folder import read_manifest

from .. import compat, footage, jobs
from ..compositor import build_scene
from ..properties import chosen_settings


def load_result(folder: Path) -> bpy.types.Scene:
    """Build the scene of a finished decomposition.

    Raises:
        InputError: the folder is none.
    """
    return build_scene(folder, read_manifest(folder))


def start_job(context: bpy.types.Context, *, resume: bool) -> jobs.Job:
    """Start decomposing what is selected: the Clip editor's clip, else the Sequencer's active strip.

    Raises:
        NvdError: nothing suitable is selected, or there is no engine, or the folder is in use.
    """
    clip = getattr(context, "edit_movieclip", None)
    scene = context.scene if clip else compat.sequencer_scene(context)
    if clip:
        found, name = footage.from_movie_clip(clip, scene), clip.name
    else:
        editor = scene.sequence_editor
        strip = editor.active_strip if editor else None
        found, name = footage.from_strip(strip, scene), strip.name if strip else ""
    folder = Path(bpy.path.abspath(scene.nvd.folder)) if scene.nvd.folder else found.result_folder
    if jobs.running(folder):
        raise InputError("A job is writing to that folder already", where=folder, hint="Wait for it or cancel it.")
    job = found.job
    job["settings"] |= chosen_settings(scene)
    job["masks"] = [{"name": mask.name, "path": bpy.path.abspath(mask.path)} for mask in scene.nvd.masks]
    return jobs.start(name, folder, job, load_result, resume=resume)


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
            job = start_job(context, resume=self.resume)
            while bpy.app.background and job.state == "running":
                job.wait(0.05)
        except NvdError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        for warning in job.warnings:
            self.report({"WARNING"}, warning)
        if job.error:
            self.report({"ERROR"}, job.error)
            return {"CANCELLED"}
        return {"FINISHED"}


class NVD_OT_cancel(bpy.types.Operator):
    """Stop the running decomposition; it can be resumed"""

    bl_idname = "nvd.cancel"
    bl_label = "Cancel"

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        """Only while a job runs."""
        job = jobs.latest()
        return job is not None and job.state == "running"

    def execute(self, _context: bpy.types.Context) -> set[str]:
        """Ask the worker to stop."""
        jobs.latest().cancel()
        return {"FINISHED"}


register, unregister = bpy.utils.register_classes_factory((NVD_OT_decompose_clip, NVD_OT_cancel))
