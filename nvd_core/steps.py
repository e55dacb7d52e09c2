"""Work in steps: generators that yield how far they are and return what they made."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

Step = TypeVar("Step")
Told = TypeVar("Told")
Result = TypeVar("Result")


def mapped(steps: Generator[Step, None, Result], tell: Callable[[Step], Told]) -> Generator[Told, None, Result]:
    """The same work, with every step told in other words."""
    try:
        while True:
            yield tell(next(steps))
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def finished(steps: Generator[Step, None, Result], tell: Callable[[Step], object]) -> Result:
    """Work to the end, telling each step on the way; what was made is returned."""
    try:
        while True:
            tell(next(steps))
    except StopIteration as end:
        return end.value
    finally:
        steps.close()
