"""Draw jobs in panel and status bar: progress, outcome, and buttons to cancel, resume, load or forget them."""

from __future__ import annotations

from typing import Final

import bpy

from nvd_core.spec.forecast import spoken

from ..engine import tasks
from ..host.labels import paragraph
from ..jobs import previews, queue
from ..jobs.clean_plate import CleanPlate
from ..jobs.job import Job
from ..result.scenes import result_scene

_PICTURE: Final = 8.0
_SMALL_PICTURE: Final = 4.0
_IN_STATUS_BAR: Final = 20.0

_STAGES: Final = {
    "rasterise": "Drawing the masks",
    "start": "Starting the engine",
    "masks": "Reading the clip",
    "camera": "Following the camera",
    "find": "Finding what moves",
    "carry": "Carrying the mask of",
    "regain": "Completing the masks",
    "mattes": "Writing the masks",
    "prepare": "Reading the clip",
    "cuts": "Looking for cuts",
    "solve": "Following the layers",
    "map": "Following",
    "picture": "Following",
    "flow": "Following motion",
    "atlas": "Atlas of",
    "refine": "Refining the layers",
    "frames": "Writing frames",
    "measure": "Measuring the quality",
    "report": "Writing the report",
}


def draw_jobs(layout: bpy.types.UILayout) -> None:
    """Draw all jobs that are not done."""
    for job in (one for one in queue.listed() if one.state != "done"):
        _draw(layout, job)


def draw_done(layout: bpy.types.UILayout) -> None:
    """Draw all jobs that are done."""
    for job in (one for one in queue.listed() if one.state == "done"):
        _draw(layout, job)


def draw_in_status_bar(header: bpy.types.Header, _context: bpy.types.Context) -> None:
    """Draw what is running in the status bar, which is visible in every workspace."""
    job = queue.find("")
    if job:
        waiting = sum(one.state == "waiting" for one in queue.listed())
        text = f"{job.name}: {_left(job)}{f', {waiting} waiting' if waiting else ''}"
        _button(_bar_in(header, job.done, text), "nvd.cancel", job, text="", icon="X")
    task = tasks.latest()
    if isinstance(task, CleanPlate) and task.state == "running":
        _bar_in(header, task.progress.share, task.stage).operator("nvd.end_clean_plate", text="", icon="X")


def _bar_in(header: bpy.types.Header, done: float, text: str) -> bpy.types.UILayout:
    """Draw a bar in the status bar; return the row that its button goes to."""
    row = header.layout.row(align=True)
    row.ui_units_x = _IN_STATUS_BAR
    row.progress(factor=done, text=text)
    return row


def draw_clean_plate(layout: bpy.types.UILayout, task: CleanPlate) -> None:
    """Draw the progress of a clean plate, or its outcome."""
    box = layout.box()
    if task.state == "running":
        row = box.row()
        row.progress(factor=task.progress.share, text=task.stage)
        row.operator("nvd.end_clean_plate", text="", icon="X")
        return
    paragraph(box, task.error or task.success, icon="ERROR" if task.state == "failed" else "INFO")
    row = box.row(align=True)
    if task.state == "failed":
        row.operator("nvd.open_log", icon="TEXT").folder = str(task.log.parent)
    row.operator("nvd.end_clean_plate", text="Forget", icon="X")


def _draw(layout: bpy.types.UILayout, job: Job) -> None:
    box = layout.box()
    _DRAW[job.state](box, job)
    for warning in job.warnings:
        paragraph(box, warning, icon="INFO")


def _draw_running(layout: bpy.types.UILayout, job: Job) -> None:
    row = layout.row()
    row.label(text=f"{job.name}{_quality(job)}", icon="RENDERLAYERS")
    _button(row, "nvd.cancel", job, text="Cancel", icon="X")
    layout.progress(factor=job.done, text=_left(job))
    first, *others = previews.icons(job.key) or [0]
    if first:
        layout.template_icon(first, scale=_PICTURE)
    if others:
        row = layout.row()
        for icon in others:
            row.template_icon(icon, scale=_SMALL_PICTURE)


def _left(job: Job) -> str:
    """Current stage and estimated remaining time, in words."""
    return f"{_in_words(job.stage)}{'' if job.eta_s is None else f', {spoken(job.eta_s)} left'}"


def _draw_waiting(layout: bpy.types.UILayout, job: Job) -> None:
    row = layout.row()
    row.label(text=f"{job.name} waits", icon="TIME")
    _button(row, "nvd.cancel", job, text="", icon="X")


def _draw_done(layout: bpy.types.UILayout, job: Job) -> None:
    row = layout.row()
    row.label(text=f"{job.name}{_quality(job)}", icon="CHECKMARK")
    if result_scene(job.folder) is None:  # another .blend was opened, or loading was undone
        _button(row, "nvd.load_job", job, text="Load", icon="IMPORT")
    _button(row, "nvd.forget_job", job, text="", icon="X")


def _draw_ended(layout: bpy.types.UILayout, job: Job) -> None:
    paragraph(layout, f"{job.name}: {job.error}", icon="ERROR" if job.state == "failed" else "INFO")
    row = layout.row(align=True)
    if job.is_whole:
        _button(row, "nvd.load_job", job, text=f"Load {job.name}", icon="IMPORT")
    elif job.can_resume:
        _button(row, "nvd.resume_job", job, text=f"Resume {job.name}", icon="PLAY")
    _button(row, "nvd.forget_job", job, text="Forget", icon="X")
    if job.state == "failed":
        row = layout.row(align=True)
        _button(row, "nvd.copy_diagnostics", job, text="Copy Diagnostics", icon="COPYDOWN")
        row.operator("nvd.open_log", icon="TEXT").folder = str(job.record.place)


_DRAW: Final = {
    "running": _draw_running,
    "waiting": _draw_waiting,
    "done": _draw_done,
    "failed": _draw_ended,
    "cancelled": _draw_ended,
    "left": _draw_ended,
}


def _button(layout: bpy.types.UILayout, operator: str, job: Job, *, text: str, icon: str) -> None:
    layout.operator(operator, text=text, icon=icon).job = job.key


def _in_words(stage: str) -> str:
    """Name of a stage for artists."""
    name, _, layer = stage.partition(" ")
    return f"{_STAGES.get(name, name.capitalize())} {layer}".strip()


def _quality(job: Job) -> str:
    """PSNR, and the size of the pictures that it is of."""
    if "psnr" not in job.metrics:
        return ""
    return f", PSNR {job.metrics['psnr']:.1f} dB {f'at {job.measured_at}' if job.measured_at else 'so far'}"


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.types.STATUSBAR_HT_header.append(draw_in_status_bar)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    bpy.types.STATUSBAR_HT_header.remove(draw_in_status_bar)
