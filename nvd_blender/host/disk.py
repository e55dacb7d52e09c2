"""Query disks from panels without blocking: answers are cached, and refreshed by threads, as a disk may sleep."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

import bpy

from nvd_core.spec.errors import NvdError

from . import timers
from .labels import redraw

Answer = TypeVar("Answer")

_FRESH_S: Final = 2.0
_SHOWN_S: Final = 0.2
_MOST: Final = 256

_answers: dict[Hashable, Any] = {}
_asked: dict[Hashable, float] = {}
"""Time of each query's last answer; infinite while it is running."""

_news = threading.Event()
"""Set when an answer has changed, so that panels are redrawn."""


def known(otherwise: Answer, ask: Callable[..., Answer], *of: Hashable) -> Answer:
    """Cached answer of a query to the disk; a thread refreshes it if it is older than two seconds.

    Without a window the query runs at once, uncached.

    Args:
        otherwise: result while there is no answer yet, or if the query fails.
        ask: the query; a function at module level, as its name is part of the cache's key.
        of: its arguments, hashable.
    """
    if bpy.app.background:
        return _answered(otherwise, ask, *of)
    key = (ask.__module__, ask.__qualname__, *of)
    if time.monotonic() - _asked.get(key, -_FRESH_S) >= _FRESH_S:
        if len(_asked) > _MOST:
            forget()
        _asked[key] = float("inf")
        threading.Thread(target=_look, args=(key, otherwise, ask, of), daemon=True).start()
        timers.begin(_show, _SHOWN_S)
    return _answers.get(key, otherwise)


def forget() -> None:
    """Clear the cache."""
    _answers.clear()
    _asked.clear()


def stop() -> None:
    """Unregister the timer, and clear the cache."""
    timers.end(_show)
    forget()


def _look(key: Hashable, otherwise: Any, ask: Callable[..., Any], of: tuple[Hashable, ...]) -> None:  # noqa: ANN401
    answer = _answered(otherwise, ask, *of)
    if _answers.get(key, otherwise) != answer:
        _news.set()
    _answers[key], _asked[key] = answer, time.monotonic()


def _answered(otherwise: Answer, ask: Callable[..., Answer], *of: Hashable) -> Answer:
    try:
        return ask(*of)
    except (OSError, NvdError, ValueError):  # ValueError: a path with characters that no disk accepts
        return otherwise


@timers.lasting(None)
def _show() -> float | None:
    if _news.is_set():
        _news.clear()
        redraw("SEQUENCE_EDITOR", "CLIP_EDITOR", region="UI")
        redraw("PREFERENCES")
    return _SHOWN_S if float("inf") in list(_asked.values()) else None
