"""Keep timers, handlers and draw callbacks alive after errors: Blender drops a timer that raises."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from nvd_core.spec.errors import shown

Given = ParamSpec("Given")
Result = TypeVar("Result")


def lasting(otherwise: Result) -> Callable[[Callable[Given, Result]], Callable[Given, Result]]:
    """Decorate a timer, handler or draw callback: print its exceptions to the terminal, each of them once.

    Args:
        otherwise: return value after an exception; for a timer, the seconds until its next call.
    """

    def decorate(function: Callable[Given, Result]) -> Callable[Given, Result]:
        told = set()

        @wraps(function)
        def called(*given: Given.args, **named: Given.kwargs) -> Result:
            try:
                return function(*given, **named)
            except Exception:  # noqa: BLE001 (a stranger's .blend may make anything raise)
                said = shown(traceback.format_exc())
                if said not in told:
                    told.add(said)
                    sys.stderr.write(f"NVD: {said}")
                return otherwise

        return called

    return decorate
