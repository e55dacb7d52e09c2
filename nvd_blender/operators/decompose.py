"""The operator Decompose Clip."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import bpy

from nvd_core.spec.errors import InputError, NvdError, as_told
from nvd_core.spec.versions import held, versions

from ..host.labels import paragraph
from ..jobs import forecast, preflight, queue
from ..jobs.forecast import Existing
from ..jobs.job import Job
from ..result import edit_record
from ..result.conform import uses_of
from ..source import footage
from ..source.mattes import masks_of, refuse_stills
from ..source.objects import take_over
from ..source.properties import chosen_settings
from .jobs import report

_WIDTH_PX = 400


def start_job(context: bpy.types.Context, *, resume: bool, existing: Existing = "AUTO") -> Job:
    """Start or queue a job for the selected footage.

    Raises:
        NvdError: nothing suitable is selected, a mask or the engine is missing, the folder is in use, or the disk is
            too full.
    """
    chosen = footage.selected(context)
    forecast.refuse_without_room(chosen)
    job = chosen.footage.job
    job["settings"] |= chosen_settings(chosen.scene)
    masks = masks_of(chosen)
    refuse_stills(chosen)
    job["masks"] = masks.job
    output, replaces = forecast.output_of(chosen), existing == "REPLACE"
    folder = output.own if replaces else output.folder
    if folder is None:
        raise InputError(
            f"{chosen.name} has no result of these frames and objects to replace",
            where=forecast.named_folder(chosen),
            hint="Choose New Version.",
        )
    if resume:
        folder = _unfinished(job, forecast.named_folder(chosen)) or folder
    edit_record.write_all(folder)
    started = queue.start(chosen.name, folder, job, resume=resume, replaces=replaces, fill=masks.leave)
    if take_over(chosen.owner, chosen.scene):
        started.warnings.append(f"The objects that this file kept with its scene belong to {chosen.name} now")
    return started


class NVD_OT_decompose_clip(bpy.types.Operator):
    """Decompose the selected clip into layers whose atlases can be painted"""

    bl_idname = "nvd.decompose_clip"
    bl_label = "Decompose Clip"
    told: ClassVar[Sequence[str]] = ()

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """Only if there is no known fault; otherwise the tooltip names it."""
        found = preflight.objections(context)
        if found:
            cls.poll_message_set("\n".join(one.sentence for one in found))
        return not found

    resume: bpy.props.BoolProperty(
        name="Resume", description="Take up what a cancelled run of the same job has finished", options={"SKIP_SAVE"}
    )
    existing: bpy.props.EnumProperty(
        name="Existing Result",
        description="What becomes of a result that the clip has already",
        items=[
            ("AUTO", "Ask", "Ask where there is one; without a window, a new version"),
            ("NEW", "New Version", "It stays, and the new result goes beside it"),
            ("REPLACE", "Replace", "It is written over, but for what you have painted"),
        ],
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """Show a dialog if there is a result, to keep or to replace it."""
        try:
            chosen = footage.selected(context)
            refuse_stills(chosen)
            own = forecast.output_of(chosen).own
        except (NvdError, OSError):
            return self.execute(context)
        if own is None or self.resume or self.existing != "AUTO":
            return self.execute(context)
        type(self).told, self.existing = _holding(own), "NEW"
        return context.window_manager.invoke_props_dialog(self, width=_WIDTH_PX)

    def draw(self, _context: bpy.types.Context) -> None:
        """The dialog."""
        for said in self.told:
            paragraph(self.layout, said, width_px=_WIDTH_PX)
        row = self.layout.row(align=True)
        row.prop_enum(self, "existing", "NEW")
        row.prop_enum(self, "existing", "REPLACE")

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Start or queue the job; without a window, wait for its end."""
        try:
            return report(self, start_job(context, resume=self.resume, existing=self.existing))
        except (NvdError, OSError) as error:
            self.report({"ERROR"}, str(as_told(error)))
            return {"CANCELLED"}


def _unfinished(job: dict[str, Any], folder: Path) -> Path | None:
    """Newest version of a result that a job of the same clip, frames and objects has left unfinished.

    Found by jobs' records, not by the folder's: rasterised masks have other paths in every job.
    """
    queue.look_for_left()
    asked = _names(job)
    own = (one.record for one in queue.listed() if one.record.is_of(job) and _names(one.record.job) == asked)
    left = {record.folder.absolute() for record in own if record.has_checkpoint}
    return next((path for path in versions(folder) if path.absolute() in left), None)


def _names(job: dict[str, Any]) -> set[str]:
    return {mask["name"] for mask in job.get("masks", ())}


def _holding(folder: Path) -> list[str]:
    """Describe the result in a folder and its uses in this .blend, for the dialog."""
    uses = uses_of(folder)
    used = f", used by {' and '.join(uses)}" if uses else ""
    return [f"{folder.name} holds {held(folder)}{used}.", "Replace keeps what you have painted, and saves it first."]


register, unregister = bpy.utils.register_classes_factory((NVD_OT_decompose_clip,))
