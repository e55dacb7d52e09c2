"""Jobs from files and flags, checked against what :mod:`nvd_core.settings` declares."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from nvd_core.errors import UsageError
from nvd_core.flow import located
from nvd_core.masks.marks import is_marks, parse_marks
from nvd_core.settings import ALPHA, Job, MaskSource, Settings, with_paths_from

_SETTINGS = TypeAdapter(Settings)
_JOB = TypeAdapter(Job)


def check_settings(values: dict[str, Any]) -> Settings:
    """Settings from plain values.

    Raises:
        UsageError: a key is unknown or a value of the wrong kind or out of its range.
    """
    try:
        return _SETTINGS.validate_json(json.dumps(values))
    except ValidationError as error:
        raise _refused(error, "") from None


def read_job(path: Path) -> Job:
    """A job from ``job.toml``, or from the same as JSON. Paths in it are relative to it.

    Raises:
        UsageError: it cannot be read, or says something that no job has.
    """
    try:
        text = path.read_text(encoding="utf-8")
        plain = json.dumps(json.loads(text) if path.suffix == ".json" else tomllib.loads(text))
    except OSError as error:
        raise UsageError(f"The job cannot be read: {error.strerror}", where=path) from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"The job is no valid {path.suffix[1:].upper()}: {error}", where=path) from error
    try:
        job = _JOB.validate_json(plain)
    except ValidationError as error:
        raise _refused(error, path) from None
    base = path.absolute().parent
    masks = tuple(mask if _is_no_path(mask) else replace(mask, path=str(base / mask.path)) for mask in job.masks)
    settings = replace(with_paths_from(job.settings, base), flow=located(job.settings.flow, base))
    return replace(job, clip=job.clip and str(base / job.clip), masks=masks, settings=settings)


def parse_mask(text: str) -> MaskSource:
    """``NAME=PATH``, ``NAME=alpha`` or ``NAME@FRAME=PATH`` as given on the command line.

    Raises:
        UsageError: it is not of that form.
    """
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(f"--mask {text} says no layer", hint="Write it as --mask NAME=PATH.")
    name, at, frame = name.partition("@")
    if at and not frame.isdecimal():
        raise UsageError(f"--mask {text} says no frame", hint="Write it as --mask NAME@FRAME=PATH.")
    if is_marks(path):
        parse_marks(path)
        if not at:
            raise UsageError(f"--mask {text} does not say which frame is marked", hint="Write NAME@FRAME=.")
    return MaskSource(name=name, path=path, frame=int(frame) if at else None)


def with_locked(masks: Sequence[MaskSource], names: Collection[str]) -> tuple[MaskSource, ...]:
    """The same masks, those of some layers locked.

    Raises:
        UsageError: there is no mask of such a layer.
    """
    if unknown := set(names) - {mask.name for mask in masks}:
        raise UsageError(f"There is no mask of {min(unknown)} to lock", hint="Name a layer that a --mask is given of.")
    return tuple(replace(mask, locked=mask.locked or mask.name in names) for mask in masks)


def _is_no_path(mask: MaskSource) -> bool:
    return mask.path == ALPHA or is_marks(mask.path)


def _refused(error: ValidationError, where: object) -> UsageError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if not str(part).startswith(("constrained-", "function-")))
    message = "there is no such setting" if first["type"] == "unexpected_keyword_argument" else first["msg"]
    return UsageError(f"{key}: {message}", where=where, hint="See nvd decompose --help.")
