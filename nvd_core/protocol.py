"""What the worker says while it works: one JSON object a line.

``{"v": 1, "seq": 7, "type": "progress", ...}``. Events go out on standard output, which belongs to the
protocol alone; the only command, ``{"type": "cancel"}``, comes in on standard input, and the end of
standard input means that the parent is gone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeAlias, get_type_hints

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """First line: who speaks."""

    core: str
    python: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A part of the work begins."""

    name: str
    layer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the whole job is, 0 to 1, and how long it may still take."""

    done: float
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A number worth showing."""

    name: str
    value: float
    layer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A small PNG of what there is so far."""

    path: str
    layer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """Something the user should know; the job goes on."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file is finished."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The job is finished; ``folder`` holds the decomposition."""

    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The job ended with an error the user can mend."""

    code: str
    message: str
    hint: str = ""
    where: str = ""


Event: TypeAlias = Hello | Stage | Progress | Metric | Preview | Caution | Artifact | Done | Failed

_TYPES: Final[dict[str, type]] = {
    "hello": Hello,
    "stage": Stage,
    "progress": Progress,
    "metric": Metric,
    "preview": Preview,
    "warning": Caution,
    "artifact": Artifact,
    "done": Done,
    "failed": Failed,
}
_NAMES: Final[dict[type, str]] = {kind: name for name, kind in _TYPES.items()}
_HINTS: Final[dict[type, dict[str, Any]]] = {kind: get_type_hints(kind) for kind in _NAMES}


def encode(event: Event, seq: int) -> str:
    """One line of the protocol, without its end; ASCII, so that no reader can mistake its text or its end."""
    return json.dumps({"v": VERSION, "seq": seq, "type": _NAMES[type(event)], **asdict(event)})


def decode(line: str | bytes) -> Event | None:
    """The event of a line; None for anything that is not one, or of a kind this version does not know.

    Whoever draws it need not fear a text where a number belongs.
    """
    data = _object(line)
    kind = _TYPES.get(str(data.get("type")))
    if kind is None or data.get("v") != VERSION:
        return None
    given = {field.name: data[field.name] for field in fields(kind) if field.name in data}
    try:
        return kind(**given) if all(_fits(value, _HINTS[kind][name]) for name, value in given.items()) else None
    except TypeError:
        return None


def is_cancel(line: str | bytes) -> bool:
    """Whether a line from the parent asks to stop."""
    return _object(line).get("type") == "cancel"


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401
    """Whether a value is of the kind that a field has; JSON may write a float without its point."""
    return isinstance(value, hint) or (isinstance(value, int) and abs(value) < 2**53 and isinstance(0.0, hint))


def _object(line: str | bytes) -> dict[str, Any]:
    """The JSON object of a line; an empty one for anything else."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
