"""Work in steps: generators that yield how far they are and return what they made."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from nvd_core.protocol import Event, Progress

Step = TypeVar("Step")
Told = TypeVar("Told")
Result = TypeVar("Result")
Item = TypeVar("Item")


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


def spread(steps: Generator[float, None, Result], start: float, share: float) -> Generator[float, None, Result]:
    """Turn how far a part of the work is, 0 to 1, into how far the whole is."""
    return mapped(steps, lambda done: start + share * done)


def gathered(items: Iterable[Item], count: int) -> Generator[float, None, list[Item]]:
    """A list of so many items; how far it is, 0 to 1, is told at each."""
    found = []
    for item in items:
        found.append(item)
        yield len(found) / max(1, count)
    return found


def part_of(events: Generator[Event, None, Result], start: float, share: float) -> Generator[Event, None, Result]:
    """Turn the progress of a part of the work, 0 to 1, into that of the whole."""
    return mapped(
        events, lambda event: Progress(done=start + share * event.done) if isinstance(event, Progress) else event
    )
