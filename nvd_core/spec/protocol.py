"""Events of the worker and their encoding: one JSON object per line.

``{"v": 1, "seq": 7, "type": "progress", ...}``. The worker writes events to standard output, which belongs to the
protocol alone. It reads its only command, ``{"type": "cancel"}``, from standard input, whose end means that the parent
is gone.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeAlias, get_type_hints

VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """First event: versions of core and Python, and the device."""

    core: str
    python: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of the job begins."""

    name: str
    layer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Progress of the whole job, 0 to 1, and its estimated remaining time, s."""

    done: float
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A quality measure, such as PSNR, and the size that it was measured at; no size for estimates while solving."""

    name: str
    value: float
    layer: str = ""
    size: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A small PNG of the unfinished result has been written."""

    path: str
    layer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """A warning for the user; the job goes on."""

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
    """The job ended with an error; see :class:`nvd_core.spec.errors.NvdError`."""

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
    """Encode an event as one line without its end; ASCII, so that text and line ends are unambiguous."""
    return json.dumps({"v": VERSION, "seq": seq, "type": _NAMES[type(event)], **asdict(event)})


def decode(line: str | bytes) -> Event | None:
    """Decode a line; None if it is no event, or of a type that this version does not know.

    Fields hold values of their declared types; an integer may stand for a float.
    """
    data = _object(line)
    kind = _TYPES.get(str(data.get("type")))
    if kind is None or data.get("v") != VERSION:
        return None
    values = {field.name: data[field.name] for field in fields(kind) if field.name in data}
    try:
        return kind(**values) if all(_fits(value, _HINTS[kind][name]) for name, value in values.items()) else None
    except TypeError:
        return None


def is_cancel(line: str | bytes) -> bool:
    """Whether a line from the parent is the command to cancel."""
    return _object(line).get("type") == "cancel"


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401
    """Whether a value has a field's type; JSON may write a float as an integer."""
    return isinstance(value, hint) or (isinstance(value, int) and abs(value) < 2**53 and isinstance(0.0, hint))


def _object(line: str | bytes) -> dict[str, Any]:
    """Parse the JSON object of a line; empty for anything else."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
