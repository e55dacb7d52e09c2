"""What all commands share: talk and a bar on standard error, JSON on standard output."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn
from tyro.conf import arg

from nvd_core.runtime.progress import Progress, Tell
from nvd_core.runtime.stopping import heed
from nvd_core.spec import protocol
from nvd_core.spec.errors import shown

Item = TypeVar("Item")
Folder = Annotated[Path, arg(metavar="FOLDER")]
AsJson = Annotated[bool, arg(help="Write the result as JSON to standard output.")]


class _Talk(Console):
    """Standard error, which no name and no message can steer."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401
        """Write texts, or what rich draws."""
        super().print(*(shown(one) if isinstance(one, str) else one for one in objects), **options)


talk = _Talk(stderr=True, highlight=False, markup=False, emoji=False)  # paths may look like either


@contextmanager
def bar(hint: str = "") -> Iterator[Tell]:
    """Events as talk and a bar; whoever tells them stops there when asked to, and is told the hint."""
    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[left]}"),
    )
    with rich.progress.Progress(
        *columns, console=talk, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as drawn:
        task = drawn.add_task("", total=1.0, left="")

        def show(event: protocol.Event) -> None:
            if isinstance(event, (protocol.Stage, protocol.Progress)):
                heed(hint)
            if isinstance(event, protocol.Stage):
                drawn.update(task, description=shown(" ".join(filter(None, (event.name, event.layer)))), left="")
            elif isinstance(event, protocol.Progress):
                left = "" if event.eta_s is None else f"about {timedelta(seconds=round(event.eta_s))} left"
                drawn.update(task, completed=event.done, left=left)
            elif isinstance(event, protocol.Caution):
                talk.print(f"{event.message}. {event.hint}", style="yellow", soft_wrap=True)

        yield show


def tracked(items: Generator[Item, None, None], count: int, what: str, tell: Tell | None = None) -> Iterator[Item]:
    """Pass on items, and show a bar that counts them, or tell of them; ``what`` names the stage."""
    with nullcontext(tell) if tell else bar() as show:
        yield from Progress(show).stage(what).track(items, count)


def json_text(data: object) -> str:
    """Format data for standard output."""
    return json.dumps(data, indent=1) + "\n"
