"""Queue of this Blender's jobs: one runs, others wait, and jobs that an earlier Blender left are listed again."""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from nvd_core.spec.choices.solvers import Lattice, Solver
from nvd_core.spec.errors import InputError

from ..engine import location
from ..host import compat, disk, timers
from ..host.labels import redraw_progress
from ..result import paint
from ..source import records
from ..source.mattes import Masks
from . import previews
from .job import Job

_POLL_S: Final = 0.1
_LOOK_S: Final = 3.0

_PATIENCE_S: Final = 2.0
"""Seconds that a worker has to stop by itself when the extension is disabled or Blender quits."""

_jobs: list[Job] = []


def start(
    name: str,
    folder: Path,
    job: dict[str, Any],
    *,
    resume: bool,
    replaces: bool = False,
    fill: Callable[[Path], object] = lambda _: None,
) -> Job:
    """Start a job, or queue it behind the running one.

    Args:
        name: shown to the user.
        folder: of the result.
        job: as in ``job.toml``.
        resume: use checkpoints of an earlier run of the same job.
        replaces: overwrite the result in the folder; unsaved paint is saved first.
        fill: see :func:`nvd_blender.source.records.leave`.

    Raises:
        NvdError: there is no engine, another job has the folder, or unsaved paint cannot be saved.
    """
    location.worker_python(neural=Solver.parse(job.get("settings", {}).get("solver", Lattice.name)).needs_torch)
    refuse_twice(folder)
    saved = paint.keep_all(folder)
    started = Job(records.leave(_place(), name, folder, job, fill, replaces=replaces), resume, warnings=saved)
    for one in [one for one in _jobs if one.state == "done"]:
        forget(one)
    _jobs.append(started)
    _go_on(started)
    return started


def listed() -> tuple[Job, ...]:
    """All jobs, in the order in which they were started."""
    return tuple(_jobs)


def folders_of_others(job: dict[str, Any]) -> list[Path]:
    """Folders of unfinished jobs of other clips or frames, which a new job must not overwrite.

    Args:
        job: as in ``job.toml``, as far as the footage determines it.
    """
    return [one.folder.absolute() for one in _jobs if one.state != "done" and not one.record.is_of(job)]


def find(key: str) -> Job | None:
    """Find a job by its key; the running job if the key is empty."""
    return next((job for job in _jobs if (job.key == key if key else job.state == "running")), None)


def any_running() -> bool:
    """Whether any job is running or waiting."""
    return any(job.is_active for job in _jobs)


def resume(job: Job, masks: Masks | None = None) -> Job:
    """Resume an ended or left job from its checkpoints, as a new object of the list.

    Args:
        job: to resume.
        masks: current masks of its objects; None to keep those that it was started with.

    Raises:
        NvdError: there is no engine, another Blender or job has its folder, or unsaved paint cannot be saved.
    """
    location.worker_python()
    refuse_twice(job.folder)
    _claim(job)
    saved = paint.keep_all(job.folder)
    if masks and (masks.blender or masks.job != job.record.job.get("masks")):
        if masks.job != job.record.job.get("masks"):
            saved.append("The objects are others than when the job was started, and are taken as they are now.")
        job.record.renew(masks.job, masks.leave)
    again = Job(job.record, resumes=job.record.has_checkpoint, warnings=saved)
    _jobs.remove(job)
    _jobs.append(again)
    _go_on(again)
    return again


def load(job: Job) -> None:
    """Load the finished result of a job that was left, or whose scene is missing from the open .blend.

    Raises:
        InputError: another Blender has it.
    """
    if job.state == "left":
        _claim(job)
    job.load()


def forget(job: Job) -> None:
    """Remove a job from the list; the files in its folder stay."""
    if job.record.take():
        job.record.remove()
    _jobs.remove(job)


def wait_for(job: Job) -> None:
    """Block until a job has ended. For Blender without a window, where no timer runs."""
    while job.is_active:
        time.sleep(0.05)
        _poll_all()


def look_for_left() -> bool:
    """List jobs that earlier Blenders have left; return whether other Blenders hold jobs that they may yet leave."""
    known = {job.record.place for job in _jobs if job.state != "left"}
    free, others = records.found(_place(), known)
    _jobs[:] = [
        *(Job(one, state="left", error=one.told, is_whole=one.is_whole) for one in free),
        *(job for job in _jobs if job.state != "left"),
    ]
    return others


def register() -> None:
    """See :mod:`nvd_blender`."""
    atexit.register(unregister)  # a thread that is reading when Python ends crashes Blender as a module
    timers.begin(_look, _POLL_S)


def unregister() -> None:
    """Stop all jobs, and leave no timer and no process behind. Unfinished jobs are listed again later."""
    timers.end(_poll_all, _look)
    disk.stop()
    atexit.unregister(unregister)
    for job in _jobs:
        job.abandon()
    end = time.monotonic() + _PATIENCE_S
    for job in _jobs:
        job.end_by(end)
    _jobs.clear()
    previews.free()


def are_one(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same folder, which need not exist."""
    return os.path.normcase(one.resolve()) == os.path.normcase(other.resolve())


def refuse_twice(folder: Path, are_one: Callable[[Path, Path], bool] = are_one) -> None:
    """Refuse a folder that another job writes to or will write to.

    Raises:
        InputError: a running or waiting job has the folder.
    """
    if any(job.is_active and are_one(job.folder, folder) for job in _jobs):
        raise InputError("A job of this Blender has that folder already", where=folder, hint="Wait or cancel it.")


def _claim(job: Job) -> None:
    """Lock a job's record.

    Raises:
        InputError: another Blender has it.
    """
    if not job.record.take():
        _jobs.remove(job)
        raise InputError(f"Another Blender has taken {job.name} up", where=job.folder, hint="Look for it there.")


def _go_on(new: Job | None = None) -> None:
    """Start the next waiting job if none is running, and poll it by a timer.

    Args:
        new: job for which all paint has just been saved.
    """
    while not any(job.state == "running" for job in _jobs):
        following = next((job for job in _jobs if job.state == "waiting"), None)
        if following is None:
            return
        following.start(keeps_paint=following is not new)
    timers.begin(_poll_all, _POLL_S)


@timers.lasting(_POLL_S)
def _poll_all() -> float | None:
    heard = [job.poll() for job in _jobs]
    _go_on()
    if any(heard):
        _forget_replaced()
        redraw_progress()
    return _POLL_S if any_running() else None


def _forget_replaced() -> None:
    """Remove ended jobs from the list once another job has begun to overwrite their folders."""
    for job in [job for job in _jobs if job.has_folder and job.state in {"running", "done"}]:
        for other in [one for one in _jobs if one is not job and not one.is_active and are_one(one.folder, job.folder)]:
            forget(other)


@timers.lasting(_LOOK_S)
def _look() -> float | None:
    others = look_for_left()
    redraw_progress()
    return _LOOK_S if others else None


def _place() -> Path:
    return compat.extension_folder() / "jobs"
