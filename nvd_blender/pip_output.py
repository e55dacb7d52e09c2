"""What pip says, as an artist wants to hear it. Knows nothing of Blender."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

_LOOKING: Final = re.compile(r"Collecting (?P<name>[\w.-]+)")
_FETCHING: Final = re.compile(
    r"\s*(?:Downloading|Using cached|Processing) (?:\S.*[/\\])?(?P<name>[\w.]+)-[^/\\]*?"
    r"(?: \((?P<size>[\d.]+) (?P<unit>[kM]?)B\))?(?: \(from .*)?$"
)
_UNPACKING: Final = re.compile(r"Installing collected packages: (?P<names>.*)")
_NO_CONNECTION: Final = re.compile(
    r".*Retry\(total=(?P<left>\d+),.* connection broken by '(?:.*>: )?(?P<why>.*?)'?\)?':"
)


@dataclass(frozen=True)
class Progress:
    """How far an installation is.

    Attributes:
        doing: the package that is being dealt with, in words.
        fetched_mb: what has been fetched before it.
        size_mb: what it weighs itself.
        unpacking: whether all is fetched.
    """

    doing: str = ""
    fetched_mb: float = 0.0
    size_mb: float = 0.0
    unpacking: bool = False

    def share(self, expected_mb: float) -> float:
        """How much is done, 0 to 1; unpacking is the last tenth."""
        return 0.9 if self.unpacking else min(0.9, 0.9 * self.fetched_mb / expected_mb)


def follow(line: str, before: Progress) -> Progress:
    """How far it is after a line of pip's; unchanged by lines that say nothing of it."""
    if found := _LOOKING.match(line):
        return replace(before, doing=f"Looking for {found['name']}")
    if found := _FETCHING.match(line):
        size = float(found["size"] or 0) * {"M": 1.0, "k": 1e-3}.get(found["unit"] or "", 1e-6)
        weight = f" ({size:.0f} MB)" if size >= 1 else ""
        doing = f"Fetching {found['name'].replace('_', '-')}{weight}"
        return Progress(doing, before.fetched_mb + before.size_mb, size)
    if found := _UNPACKING.match(line):
        return replace(before, doing=f"Unpacking {len(found['names'].split(','))} packages", unpacking=True)
    if _NO_CONNECTION.match(line):
        return replace(before, doing="No connection, trying again")
    return before


def failing_line(lines: Iterable[str]) -> str:
    """The line that says why a program failed: the last that is called an error, else the last there is."""
    spoken = [line.strip() for line in lines if line.strip()]
    errors = [line.partition(":")[2].strip() for line in spoken if line.upper().startswith("ERROR:")]
    for broken in filter(None, map(_NO_CONNECTION.match, spoken)):
        if broken["left"] == "0":  # which pip only calls a package that it does not find
            return f"The package registry cannot be reached: {broken['why']}"
    return next(reversed(errors or spoken), "it said nothing")
