"""Check a job before it starts, and assign each fault to its field in the panel.

Simple faults are found here; if there are none, the engine's own check is consulted. Panels call this at every redraw,
so answers of disks and engine are cached; see :mod:`nvd_blender.host.disk` and :mod:`nvd_blender.jobs.checks`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import bpy

from nvd_core.spec.choices.flow_sources import Dis, FlowSource
from nvd_core.spec.choices.mask_origins import MaskOrigin
from nvd_core.spec.choices.solvers import Solver
from nvd_core.spec.disk_space import nearest
from nvd_core.spec.errors import InputError, NvdError, SetupError
from nvd_core.spec.folder import contents, is_ours
from nvd_core.spec.layer_names import check_name
from nvd_core.spec.patterns import file_of, files_at, has_number, shape_of
from nvd_core.spec.protocol import Failed
from nvd_core.spec.settings import Settings

from ..engine import location
from ..host import disk
from ..source import footage, mattes
from ..source.footage import Selected
from ..source.key_frames import is_carried
from ..source.properties import chosen_settings
from ..source.wording import in_blender
from . import checks, forecast, queue

_WITHOUT_TORCH: Final = (
    "The neural solver needs torch, which the engine's Python lacks. Name another Python in the extension's "
    "preferences, or install torch there."
)


class Objection(NamedTuple):
    """Fault that keeps a job from being started.

    Attributes:
        field: engine, clip, name, mask, folder, disk, memory, or a setting's name; busy while another job has the
            folder, and start for what has no field.
        sentence: what is wrong, and what to do.
        index: of the object, for name and mask; otherwise -1.
    """

    field: str
    sentence: str
    index: int = -1


def objections(context: bpy.types.Context) -> list[Objection]:
    """All faults that keep the selected footage from being decomposed, the first to be mended first."""
    found: list[Objection] = []
    if said := disk.known("", _unusable, location.places()):
        found.append(Objection("engine", said))
    with _noting(found, "clip"):
        chosen = footage.selected(context)
        _check_clip(chosen)
        found += _of_clip(chosen) or ([] if found else _of_engine(chosen))
    return found


def fault(found: list[Objection], field: str, index: int = -1) -> str:
    """Message about a field; empty if it has no fault."""
    return " ".join(one.sentence for one in found if (one.field, one.index) == (field, index))


@contextmanager
def _noting(found: list[Objection], field: str, index: int = -1) -> Iterator[None]:
    try:
        yield
    except NvdError as error:
        found.append(Objection(field, str(error), index))


def _of_clip(chosen: Selected) -> list[Objection]:
    found: list[Objection] = []
    names = [item.name for item in chosen.asked.masks]
    for index, item in enumerate(chosen.asked.masks):
        with _noting(found, "name", index):
            check_name(names, index)
        with _noting(found, "mask", index):
            for source in mattes.sources_of(item, chosen):
                if item.source == "FILE":
                    _check_mask(Path(source["path"]), is_one=is_carried(item))
    with _noting(found, "height"):
        values = chosen_settings(chosen.scene)
        with _noting(found, "memory"):
            found += _of_settings(Settings.of(**values))
            found += _of_room(chosen)
    return found


def _of_settings(settings: Settings) -> list[Objection]:
    found = []
    if settings.solver.needs_torch and (said := disk.known("", _lack_of_torch, location.places())):
        found.append(Objection("solver", said))
    if settings.flow.is_given and (said := disk.known("", _refusal, settings.flow)):
        found.append(Objection("flow", said))
    return found


def _of_room(chosen: Selected) -> list[Objection]:
    found: list[Objection] = []
    with _noting(found, "folder"):
        folder = forecast.expected_output(chosen).folder
        with _noting(found, "busy"):
            queue.refuse_twice(folder, lambda one, other: disk.known(one == other, queue.are_one, one, other))
        if said := disk.known("", _unfit, folder):
            raise InputError(said, where=folder, hint="Choose another folder.")
        with _noting(found, "memory"):
            if takes := forecast.expected(chosen):
                with _noting(found, "disk"):
                    forecast.check_disk(folder, takes)
                takes.check_memory()
    return found


def _of_engine(chosen: Selected) -> list[Objection]:
    """Refusal by the engine's check, assigned to the field whose file it names."""
    job = chosen.footage.job
    job["settings"] |= chosen_settings(chosen.scene)
    job["masks"] = mattes.masks_of(chosen).job
    files = _files_of(job)
    if (times := disk.known(None, _times, *files)) is None:
        return []
    folder = forecast.expected_output(chosen).folder
    question = checks.Question(json.dumps(job, sort_keys=True), folder, (location.places(), times))
    if (told := checks.refusal(question)) is None:
        return []
    names = [item.name for item in chosen.asked.masks]
    field, index = _told_of(told, job, names, folder)
    return [Objection(field, in_blender(str(NvdError(told.message, where=told.where, hint=told.hint))), index)]


def _files_of(job: dict[str, Any]) -> list[str]:
    """Paths that a job reads and that exist before it starts."""
    texts = [mask["path"] for mask in job["masks"] if not mask.get("drawn")]
    masks = chain.from_iterable(MaskOrigin.parse(text).paths for text in texts)
    return [job["clip"], *masks, *_flow_of(job).paths]


def _times(*named: str) -> tuple[tuple[int, int, int], ...]:
    """Count, bytes and latest modification time of the files of each path, pattern or folder."""
    found = []
    for path in named:
        stats = [one.stat() for one in files_at(Path(path))]
        newest = max((one.st_mtime_ns for one in stats), default=0)
        found.append((len(stats), sum(one.st_size for one in stats), newest))
    return tuple(found)


def _told_of(told: Failed, job: dict[str, Any], names: list[str], folder: Path) -> tuple[str, int]:
    """Field and object index of a refusal, by the file that it names."""
    if told.code == "memory":
        return "memory", -1
    if told.code == "setup" and Solver.parse(job["settings"]["solver"]).needs_torch:
        return "solver", -1
    if told.where:
        where = Path(told.where)
        for mask in job["masks"]:
            if any(_is_of(where, path) for path in MaskOrigin.parse(mask["path"]).paths):
                return "mask", names.index(mask["name"])
        for field, paths in (("flow", _flow_of(job).paths), ("clip", [job["clip"]]), ("folder", [str(folder)])):
            if any(_is_of(where, path) for path in paths):
                return field, -1
    return "start", -1


def _is_of(where: Path, named: str) -> bool:
    """Whether a file is the named one, or belongs to the named folder or pattern."""
    path = Path(named)
    if not has_number(path.name):
        return where.is_relative_to(path)
    return where == path or (where.parent == path.parent and shape_of(path.name).fullmatch(where.name) is not None)


def _unusable(places: location.Places) -> str:
    """Message if there is no usable engine; else empty."""
    try:
        location.python_in(places)
    except SetupError as error:
        return str(error)
    contents = None if places.chosen else places.private.contents()
    if contents is None or not contents.outdated:
        return ""
    hint = "Press Install Engine in the extension's preferences."
    return str(SetupError(f"The engine is of version {contents.version}", hint=hint))


def _check_clip(chosen: Selected) -> None:
    used = chosen.footage
    first = used.clip if used.fps is None else file_of(used.clip, used.first)
    if not disk.known(True, os.path.exists, str(first)):
        raise InputError("The clip's file is not there", where=first, hint="Put it back, or find it with Relink.")


def _check_mask(path: Path, *, is_one: bool) -> None:
    """Refuse a mask that does not exist.

    Raises:
        InputError: it does not exist, is an empty folder, or is a folder in place of one picture.
    """
    kind = disk.known("there", _kind_of, str(path))
    if not kind:
        raise InputError("There is no such mask", where=path, hint="Check the path.")
    if kind == "empty":
        raise InputError("The folder has no pictures", where=path, hint="Choose the one that holds the masks.")
    if kind == "folder" and is_one:
        raise InputError("That is a folder, not one picture", where=path, hint="Choose the mask of that frame.")


def _kind_of(named: str) -> str:
    """Kind of a mask's path: ``folder``, ``empty`` (folder) or ``file``; empty text if it does not exist."""
    path = Path(named)
    if path.is_dir():
        return "folder" if any(one.is_file() for one in path.iterdir()) else "empty"
    return "file" if next(files_at(path), None) else ""


def _flow_of(job: dict[str, Any]) -> FlowSource:
    return FlowSource.parse(job["settings"].get("flow", Dis.name))


def _refusal(flow: FlowSource) -> str:
    """Message if there is nothing at a flow source's path; else empty."""
    try:
        flow.check_paths()
    except NvdError as error:
        return str(error)
    return ""


def _unfit(folder: Path) -> str:
    """Message if a folder cannot be the output; else empty."""
    if folder.exists() and not folder.is_dir():
        return "The output is a file"
    if folder.is_dir() and contents(folder) and not is_ours(folder):
        return "The output folder holds something else"
    return "" if os.access(nearest(folder), os.W_OK) else "The output folder cannot be written to"


def _lack_of_torch(places: location.Places) -> str:
    """Message if the engine lacks torch, as far as that is known without starting it; else empty."""
    try:
        python = location.python_in(places)
    except SetupError:
        return ""  # reported as a fault of the engine
    try:
        location.python_in(places, neural=True)
    except SetupError as error:
        return str(error)
    return "" if _holds_torch(python) else _WITHOUT_TORCH


def _holds_torch(python: Path) -> bool:
    environment = python.parents[1]
    if not (environment / "pyvenv.cfg").is_file():
        return True  # unknown without starting it
    return any(
        next(environment.glob(place), None) for place in ("lib/python3*/site-packages/torch", "Lib/site-packages/torch")
    )
