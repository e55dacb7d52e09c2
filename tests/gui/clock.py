"""Runs inside Blender: for how long its main thread was kept busy, and by which of the extension's functions."""

import time
from collections import defaultdict
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import bpy

_CALLED = ("draw", "draw_header", "execute")
_CALLED_WITH_EVENT = ("invoke", "modal")
"""What Blender calls of panels, preferences and operators."""


class Clock:
    """Gaps between the calls of a timer that wants to be called at once; and what the extension took of them.

    Attributes:
        phase: says what a gap counts for; nothing: it does not count.
    """

    def __init__(self, package: str) -> None:
        """Time all that this package hands to Blender from now on."""
        self.phase: Callable[[], str] = str
        self._package = package
        self._gaps: dict[str, list[float]] = defaultdict(list)
        self._spent: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._last = time.perf_counter()
        bpy.app.timers.register(self._tick, persistent=True)
        self._take_over_timers()
        self._take_over_classes()

    def watch(self, module: Any, name: str) -> None:
        """Time one more function."""
        setattr(module, name, self._timed(getattr(module, name)))

    def report(self) -> dict[str, dict[str, list[float]]]:
        """How often and how long at most, ms; of gaps also the mean, of functions how long they worked at most."""
        gaps = {name: [len(all_s), max(all_s), sum(all_s) / len(all_s)] for name, all_s in self._gaps.items()}
        spent = {name: [len(both), *map(max, zip(*both, strict=True))] for name, both in self._spent.items()}
        return {
            kind: {name: [count, 1e3 * one, 1e3 * other] for name, (count, one, other) in each.items()}
            for kind, each in (("gaps", gaps), ("functions", spent))
        }

    def _tick(self) -> float:
        now = time.perf_counter()
        if phase := self.phase():
            self._gaps[phase].append(now - self._last)
        self._last = now
        return 0.0

    def _take_over_timers(self) -> None:
        timers = bpy.app.timers
        ours = cache(lambda function: self._timed(function) if self._is_theirs(function) else function)
        for name in ("register", "unregister", "is_registered"):
            call = getattr(timers, name)
            setattr(timers, name, lambda function, call=call, **options: call(ours(function), **options))

    def _take_over_classes(self) -> None:
        register = bpy.utils.register_class

        def timed(one: type) -> None:
            for name in (*_CALLED, *_CALLED_WITH_EVENT):
                if self._is_theirs(method := getattr(one, name, None)):
                    setattr(one, name, self._method(self._timed(method, one.__name__), name in _CALLED_WITH_EVENT))
            register(one)

        bpy.utils.register_class = timed

    def _method(self, call: Callable, with_event: bool) -> Callable:
        """Blender counts the arguments that a method names."""

        def method(self, context):
            return call(self, context)

        def method_with_event(self, context, event):
            return call(self, context, event)

        return method_with_event if with_event else method

    def _is_theirs(self, function: object) -> bool:
        return (getattr(function, "__module__", None) or "").startswith(self._package)

    def _timed(self, function: Callable, owner: str = "") -> Callable:
        name = f"{owner or function.__module__.removeprefix(f'{self._package}.')}.{function.__name__}"

        @wraps(function)
        def timed(*arguments, **options):
            start, worked = time.perf_counter(), time.thread_time()
            try:
                return function(*arguments, **options)
            finally:
                self._spent[name].append((time.perf_counter() - start, time.thread_time() - worked))

        return timed
