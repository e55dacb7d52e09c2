"""The part of the panel that shows jobs: how far they are, what became of them, and what can be done about it."""

from __future__ import annotations

from typing import Final

import bpy

from nvd_core.forecast import spoken

from . import jobs, previews
from .job import Job
from .labels import paragraph
from .results import result_scene

_PICTURE: Final = 8.0
_SMALL_PICTURE: Final = 4.0

_STAGES: Final = {
    "rasterise": "Drawing the masks",
    "start": "Starting the engine",
    "masks": "Finding and carrying masks",
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
    """Draw all jobs."""
    for job in jobs.listed():
        box = layout.box()
        _DRAW[job.state](box, job)
        for warning in job.warnings:
            paragraph(box, warning, icon="INFO")


def _draw_running(layout: bpy.types.UILayout, job: Job) -> None:
    row = layout.row()
    row.label(text=f"{job.name}{_quality(job)}", icon="RENDERLAYERS")
    _button(row, "nvd.cancel", job, text="Cancel", icon="X")
    left = "" if job.eta_s is None else f", {spoken(job.eta_s)} left"
    layout.progress(factor=job.done, text=f"{_in_words(job.stage)}{left}")
    first, *others = previews.icons(job.key) or [0]
    if first:
        layout.template_icon(first, scale=_PICTURE)
    if others:
        row = layout.row()
        for icon in others:
            row.template_icon(icon, scale=_SMALL_PICTURE)


def _draw_waiting(layout: bpy.types.UILayout, job: Job) -> None:
    row = layout.row()
    row.label(text=f"{job.name} waits", icon="TIME")
    _button(row, "nvd.cancel", job, text="", icon="X")


def _draw_done(layout: bpy.types.UILayout, job: Job) -> None:
    row = layout.row()
    row.label(text=f"{job.name}{_quality(job)}", icon="CHECKMARK")
    if result_scene(job.folder) is None:  # another file was opened, or the loading undone
        _button(row, "nvd.load_job", job, text="Load", icon="IMPORT")
    _button(row, "nvd.forget_job", job, text="", icon="X")


def _draw_ended(layout: bpy.types.UILayout, job: Job) -> None:
    paragraph(layout, f"{job.name}: {job.error}", icon="ERROR" if job.state == "failed" else "INFO")
    row = layout.row(align=True)
    if job.is_whole:
        _button(row, "nvd.load_job", job, text=f"Load {job.name}", icon="IMPORT")
    else:
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
    """What is being done, for those who do not know the solver's steps."""
    name, _, layer = stage.partition(" ")
    return f"{_STAGES.get(name, name.capitalize())} {layer}".strip()


def _quality(job: Job) -> str:
    return f", PSNR {job.metrics['psnr']:.1f} dB" if "psnr" in job.metrics else ""
