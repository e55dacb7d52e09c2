"""Jobs from files and flags, checked against what :mod:`nvd_core.spec.settings` declares."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from nvd_core.clip import frames_used, open_clip
from nvd_core.spec.choices.mask_origins import Marks, MaskOrigin
from nvd_core.spec.errors import NvdError, UsageError
from nvd_core.spec.settings import Job, MaskSource, Settings, with_paths

_MOST_BYTES: Final = 1 << 18
"""Largest size of a job's file, bytes; usual ones have some hundreds."""

_MOST_DOTS: Final = 1000
"""Largest number of dots in a line of a job: tomllib's time grows with the square of a dotted key's length."""

_SETTINGS = TypeAdapter(Settings)
_JOB = TypeAdapter(Job)


def check_settings(values: dict[str, Any]) -> Settings:
    """Validate plain values and convert them to settings.

    Raises:
        UsageError: a key is unknown, or a value has the wrong type or is out of range.
    """
    try:
        return _SETTINGS.validate_json(json.dumps(values))
    except ValidationError as error:
        raise _refused(error, "") from None


def read_job(path: Path) -> Job:
    """Read a job from TOML, or from JSON if the suffix is ``.json``. Paths in it are relative to its folder.

    Raises:
        UsageError: the file cannot be read, or holds an unknown key or an invalid value.
        InputError: its frames are no range.
    """
    is_json = path.suffix.lower() == ".json"
    try:
        if path.exists() and not path.is_file():  # reading it may never end
            raise UsageError("The job is no file", where=path, hint="Name a file.")
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1).decode()
        if len(text) > _MOST_BYTES:
            raise UsageError(f"The job has more than {_MOST_BYTES} bytes", where=path, hint="Name a job.")
        plain = json.dumps(json.loads(text) if is_json else _toml(text))
    except OSError as error:
        raise UsageError(f"The job cannot be read: {error.strerror}", where=path) from error
    except RecursionError:
        raise UsageError("The job is nested too deeply", where=path, hint="See nvd decompose --help.") from None
    except (ValueError, TypeError) as error:
        raise UsageError(f"The job is no valid {'JSON' if is_json else 'TOML'}: {error}", where=path) from error
    if "\\u0000" in plain:
        raise UsageError("The job holds a NUL, which no name or path has", where=path, hint="Take it out.")
    try:
        job = _JOB.validate_json(plain)
    except ValidationError as error:
        raise _refused(error, path) from None
    except NvdError as error:  # of a text that has another form, or of masks that contradict each other
        raise type(error)(error.message, where=path, hint=error.hint) from None
    base = path.absolute().parent
    return with_paths(job, lambda named: str(base / named))


def parse_mask(text: str) -> MaskSource:
    """Parse a ``--mask`` of the command line: ``NAME=PATH``, ``NAME=alpha`` or ``NAME@FRAME=PATH``.

    Raises:
        UsageError: the text has another form.
    """
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(f"--mask {text} says no layer", hint="Write it as --mask NAME=PATH.")
    name, at, frame = name.partition("@")
    if at and not frame.isdecimal():
        raise UsageError(f"--mask {text} says no frame", hint="Write it as --mask NAME@FRAME=PATH.")
    mask = MaskSource(name=name, path=MaskOrigin.parse(path), frame=int(frame) if at else None)
    if isinstance(mask.path, Marks) and not at:
        raise UsageError(f"--mask {text} does not say which frame is marked", hint="Write NAME@FRAME=.")
    return mask


def with_locked(masks: Sequence[MaskSource], names: Collection[str]) -> tuple[MaskSource, ...]:
    """Lock the masks of some layers.

    Raises:
        UsageError: one of the layers has no mask.
    """
    if unknown := set(names) - {mask.name for mask in masks}:
        raise UsageError(f"There is no mask of {min(unknown)} to lock", hint="Name a layer that a --mask is given of.")
    return tuple(replace(mask, locked=mask.locked or mask.name in names) for mask in masks)


def named_after(job: Job) -> Path:
    """Default folder of a job's result: the clip's name, with the range if that is a part of the clip."""
    info = open_clip(Path(job.clip), job.settings.fps).info
    numbers = frames_used(job.settings.frames, info)
    part = "" if numbers == info.numbers else f"_{numbers[0]}-{numbers[-1]}"
    return Path(f"{info.name}_nvd{part}")


def _toml(text: str) -> dict[str, Any]:
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise RecursionError
    return tomllib.loads(text)


def _refused(error: ValidationError, where: object) -> UsageError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("constrained-", "function-")))
    message = "there is no such setting" if first["type"] == "unexpected_keyword_argument" else first["msg"]
    return UsageError(f"{key}: {message}" if key else message, where=where, hint="See nvd decompose --help.")
