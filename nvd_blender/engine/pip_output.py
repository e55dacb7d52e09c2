"""Parse pip's output into progress and messages for artists. Independent of Blender."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from nvd_core.spec.errors import shown

_LOOKING: Final = re.compile(r"Collecting (?P<name>[\w.-]+)")
_FETCHING: Final = re.compile(
    r"\s*(?:Downloading|Using cached|Processing) (?:\S.*[/\\])?(?P<name>[\w.]+)-[^/\\]*?"
    r"(?: \((?P<size>[\d.]+) (?P<unit>[kM]?)B\))?(?: \(from .*)?$"
)
_UNPACKING: Final = re.compile(r"Installing collected packages: (?P<names>.*)")
_OTHER: Final = re.compile(r"(?P<name>[\w.-]+==\S+) from ")
_NO_CONNECTION: Final = re.compile(
    r".*Retry\(total=(?P<left>\d+),.* connection broken by '(?:.*>: )?(?P<why>.*?)'?\)?':"
)


@dataclass(frozen=True)
class Progress:
    """Progress of an installation.

    Attributes:
        doing: current action and package, in words.
        fetched_mb: size of the packages fetched before, MB.
        size_mb: size of the current package, MB.
        unpacking: whether all packages are fetched.
        expected_mb: size of all packages, MB.
    """

    doing: str = ""
    fetched_mb: float = 0.0
    size_mb: float = 0.0
    unpacking: bool = False
    expected_mb: float = 1.0

    @property
    def share(self) -> float:
        """Share that is done, 0 to 1; unpacking is the last tenth."""
        return 0.9 if self.unpacking else min(0.9, 0.9 * self.fetched_mb / self.expected_mb)

    def follow(self, line: str) -> Progress:
        """Update the progress by a line of pip's output; other lines leave it unchanged."""
        if found := _LOOKING.match(line):
            return replace(self, doing=f"Looking for {found['name']}")
        if found := _FETCHING.match(line):
            size = float(found["size"] or 0) * {"M": 1.0, "k": 1e-3}.get(found["unit"] or "", 1e-6)
            weight = f" ({size:.0f} MB)" if size >= 1 else ""
            doing, fetched_mb = f"Fetching {found['name'].replace('_', '-')}{weight}", self.fetched_mb + self.size_mb
            return replace(self, doing=doing, fetched_mb=fetched_mb, size_mb=size, unpacking=False)
        if found := _UNPACKING.match(line):
            return replace(self, doing=f"Unpacking {len(found['names'].split(','))} packages", unpacking=True)
        if _NO_CONNECTION.match(line):
            return replace(self, doing="No connection, trying again")
        return self


def failing_line(lines: Iterable[str]) -> str:
    """Find the line that says why a program failed: the last error, else the last line."""
    spoken = [shown(line.strip()) for line in lines if line.strip()]
    errors = [line.partition(":")[2].strip() for line in spoken if line.upper().startswith("ERROR:")]
    if any("DO NOT MATCH THE HASHES" in line for line in errors):
        culprit = next((found["name"] for found in map(_OTHER.match, spoken) if found), "a file")
        return f"What was fetched is not what was locked: {culprit} has another hash. Nothing of it was installed."
    for broken in filter(None, map(_NO_CONNECTION.match, spoken)):
        if broken["left"] == "0":  # pip itself would report a package that it cannot find
            return f"The package registry cannot be reached: {broken['why']}"
    return next(reversed(errors or spoken), "it said nothing")
