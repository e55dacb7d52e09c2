"""Check a job by the engine before it starts, in a worker of its own; panels look the answer up without blocking.

While there is no answer, a job can be started, and the job itself reports what is wrong.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import bpy

from nvd_core.spec import protocol
from nvd_core.spec.errors import NvdError
from nvd_core.spec.protocol import Done, Failed

from ..engine import location
from ..engine.private import Step
from ..engine.tasks import Task
from ..host import timers
from ..host.labels import redraw

_POLL_S: Final = 0.1
_STILL_S: Final = 1.0
"""Seconds without a change before a worker is started: a path is typed letter by letter."""

_KEPT_S: Final = 30.0
"""Seconds that a refusal is valid: its cause may lie outside the question, such as a full disk."""

_GRACE_S: Final = 2.0
_MOST: Final = 64
_REFUSALS: Final = {"input", "usage", "setup", "memory"}
"""Codes of errors that the user can mend; others are left to the job."""


class Question(NamedTuple):
    """Job to check.

    Attributes:
        job: JSON, as in ``job.toml``.
        folder: of its result.
        known: other facts that the answer depends on, such as modification times.
    """

    job: str
    folder: Path
    known: Hashable


class _Answer(NamedTuple):
    refusal: Failed | None
    at: float

    @property
    def is_old(self) -> bool:
        return self.refusal is not None and time.monotonic() - self.at > _KEPT_S


@dataclass
class _Desk:
    """State of checking.

    Attributes:
        wanted: question of the panel drawn last; None if its answer is valid.
        since: time at which it changed.
        asked: question that a worker is checking.
        task: that worker; None if there is none.
    """

    wanted: Question | None = None
    since: float = 0.0
    asked: Question | None = None
    task: Task | None = None


_desk = _Desk()
_answers: dict[Question, _Answer] = {}


def refusal(question: Question) -> Failed | None:
    """Look up the engine's refusal of a job; None if there is none or no answer yet. A timer starts the check.

    Without a window nothing is checked: the job reports at once.
    """
    if bpy.app.background:
        return None
    answer = _answers.get(question)
    if answer is None or answer.is_old:
        if question == _desk.asked:
            _desk.wanted = None
        elif question != _desk.wanted:
            _desk.wanted, _desk.since = question, time.monotonic()
        timers.begin(_go_on, _POLL_S)
    return answer.refusal if answer else None


def stop() -> None:
    """Unregister the timer and end the worker."""
    timers.end(_go_on)
    if task := _desk.task:
        task.end(_GRACE_S)
    _desk.wanted, _desk.asked, _desk.task = None, None, None
    _answers.clear()


@timers.lasting(_POLL_S)
def _go_on() -> float | None:
    """Poll the worker, kill it if the question has changed, and start the next."""
    if task := _desk.task:
        task.poll()
        if task.state == "running":
            if _desk.wanted is not None:
                task.cancel()
            return _POLL_S
        if task.state == "failed":  # it could not even be started, which the job will tell
            _answers[_desk.asked] = _Answer(None, time.monotonic())
        _desk.asked, _desk.task = None, None
        redraw("SEQUENCE_EDITOR", "CLIP_EDITOR", region="UI")
    if _desk.wanted is None:
        return None
    if time.monotonic() - _desk.since >= _STILL_S:
        _desk.asked, _desk.wanted = _desk.wanted, None
        _start(_desk.asked)
    return _POLL_S


def _start(question: Question) -> None:
    place = Path(bpy.app.tempdir) / "nvd_check"  # goes with this Blender
    job_file = place / "job.json"
    try:
        place.mkdir(parents=True, exist_ok=True)
        job_file.write_text(question.job, encoding="utf-8")
        # A result gets a version of its own, or the user is asked: a folder that holds one is no reason to refuse.
        command = location.worker_command(job_file, question.folder, resume=False, replaces=True, checks=True)
        _desk.task = Task("Check", [Step("Checking", command, fault=partial(_noted, question))], place / "log")
        _desk.task.start()
    except (NvdError, OSError):  # which is told when the job is started
        _desk.asked, _desk.task = None, None
        _answers[question] = _Answer(None, time.monotonic())


def _noted(question: Question, _code: int, lines: Collection[str]) -> str:
    """Store a worker's last event as the answer; return no fault, as the task itself succeeded."""
    ends = [event for event in map(protocol.decode, lines) if isinstance(event, Done | Failed)]
    said = ends[-1] if ends else None
    refused = said if isinstance(said, Failed) and said.code in _REFUSALS else None
    if len(_answers) >= _MOST:
        _answers.clear()
    _answers[question] = _Answer(refused, time.monotonic())
    return ""
