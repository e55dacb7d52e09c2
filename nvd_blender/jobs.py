"""The jobs of this Blender: one runs, others wait, and those that an earlier Blender has left are found again."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import bpy

from nvd_core.errors import InputError

from . import carried, compat, engine, previews, records, undo
from .job import Job
from .labels import redraw

_POLL_S: Final = 0.1
_LOOK_S: Final = 3.0

_PATIENCE_S: Final = 2.0
"""How long a worker has to stop by itself when the extension is disabled or Blender quits."""

_jobs: list[Job] = []


def start(
    name: str, folder: Path, job: dict[str, Any], *, resume: bool, fill: Callable[[Path], object] = lambda _: None
) -> Job:
    """Start a job, or queue it behind the one that runs.

    Args:
        name: shown to the user.
        folder: where the result goes.
        job: as in ``job.toml``.
        resume: take up what an earlier run of the same job has finished.
        fill: see :func:`nvd_blender.records.leave`.

    Raises:
        NvdError: there is no engine, a job has that folder already, or a painted mask there cannot be saved.
    """
    engine.worker_python()
    _refuse_twice(folder)
    carried.save_all(folder)
    started = Job(records.leave(_place(), name, folder, job, fill), resume)
    for one in [one for one in _jobs if one.state == "done"]:
        forget(one)
    _jobs.append(started)
    _go_on()
    return started


def listed() -> tuple[Job, ...]:
    """What the panel shows, in the order in which it was begun."""
    return tuple(_jobs)


def find(key: str) -> Job | None:
    """The job of that key; without one, the job that runs."""
    return next((job for job in _jobs if (job.key == key if key else job.state == "running")), None)


def any_running() -> bool:
    """Whether any job is at work, or will be."""
    return any(job.is_active for job in _jobs)


def resume(job: Job) -> Job:
    """Start a job again that has ended or was left; it takes up what is finished. It is another object then.

    Raises:
        NvdError: there is no engine, another Blender or job has it, or a painted mask there cannot be saved.
    """
    engine.worker_python()
    _refuse_twice(job.folder)
    _claim(job)
    carried.save_all(job.folder)
    again = Job(job.record, resumes=job.record.has_checkpoint)
    _jobs.remove(job)
    _jobs.append(again)
    _go_on()
    return again


def load(job: Job) -> None:
    """Load the finished result of a job that was left, or that another file or an undone step has none of.

    Raises:
        InputError: another Blender has it.
    """
    if job.state == "left":
        _claim(job)
    job.load()


def forget(job: Job) -> None:
    """Take a job off the list; what lies in its folder stays."""
    if job.record.take():
        job.record.remove()
    _jobs.remove(job)


def wait_for(job: Job) -> None:
    """Stay until a job has ended. For Blender without a window, where no timer runs."""
    while job.is_active:
        time.sleep(0.05)
        _poll_all()


def look_for_left() -> bool:
    """List what earlier Blenders have left. Whether others, which somebody works on, may be left yet."""
    known = {job.record.place for job in _jobs if job.state != "left"}
    free, others = records.found(_place(), known)
    _jobs[:] = [
        *(Job(one, state="left", error=one.told, is_whole=one.is_whole) for one in free),
        *(job for job in _jobs if job.state != "left"),
    ]
    return others


def register() -> None:
    """See :mod:`nvd_blender`."""
    atexit.register(unregister)  # a thread that still reads when Python ends crashes Blender as a module
    if not bpy.app.background:
        bpy.app.timers.register(_look, first_interval=_POLL_S, persistent=True)


def unregister() -> None:
    """Stop what runs, and leave no timer and no process behind. Whatever is unfinished is found again."""
    for timer in (_poll_all, _look):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    undo.stop()
    atexit.unregister(unregister)
    for job in _jobs:
        job.abandon()
    end = time.monotonic() + _PATIENCE_S
    for job in _jobs:
        job.end_by(end)
    _jobs.clear()
    previews.free()


def _refuse_twice(folder: Path) -> None:
    """Two jobs on one folder would undo each other's work.

    Raises:
        InputError: one that runs or waits has it.
    """
    if any(job.is_active and _same(job.folder, folder) for job in _jobs):
        raise InputError("A job of this Blender has that folder already", where=folder, hint="Wait or cancel it.")


def _claim(job: Job) -> None:
    """Hold a job's record.

    Raises:
        InputError: another Blender has it.
    """
    if not job.record.take():
        _jobs.remove(job)
        raise InputError(f"Another Blender has taken {job.name} up", where=job.folder, hint="Look for it there.")


def _go_on() -> None:
    """Start the next job if none is at work, and see to it that it is listened to."""
    while not any(job.state == "running" for job in _jobs):
        following = next((job for job in _jobs if job.state == "waiting"), None)
        if following is None:
            return
        following.start()
    if not bpy.app.background and not bpy.app.timers.is_registered(_poll_all):
        bpy.app.timers.register(_poll_all, first_interval=_POLL_S, persistent=True)


def _poll_all() -> float | None:
    heard = [job.poll() for job in _jobs]
    _go_on()
    if any(heard):
        _forget_replaced()
        redraw("SEQUENCE_EDITOR", "CLIP_EDITOR", region="UI")
    return _POLL_S if any_running() else None


def _forget_replaced() -> None:
    """Take jobs off the list whose unfinished work another one has begun to write over; until then they stay."""
    for job in [job for job in _jobs if job.has_folder and job.state in {"running", "done"}]:
        for other in [one for one in _jobs if one is not job and not one.is_active and _same(one.folder, job.folder)]:
            forget(other)


def _look() -> float | None:
    others = look_for_left()
    redraw("SEQUENCE_EDITOR", "CLIP_EDITOR", region="UI")
    return _LOOK_S if others else None


def _place() -> Path:
    return compat.extension_folder(__package__) / "jobs"


def _same(one: Path, other: Path) -> bool:
    """Whether two paths lead to one folder, which need not be there."""
    return os.path.normcase(one.resolve()) == os.path.normcase(other.resolve())
