"""Save unsaved paint before its picture is replaced, and notice pictures that other programs have saved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import bpy

from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import manifest_path, masks_path, sha256
from nvd_core.spec.mask_record import Record
from nvd_core.spec.versions import versions

from ..host import compat
from .scenes import path_of

OURS_KEY: Final = "nvd"
"""Custom property of images that were loaded for a result."""


Mark = tuple[int, int] | str
"""Mark of a job's picture, which changes when a job writes it anew: modification time (ns) and size of an atlas's
original, or the digest with which a mask was written."""


class _FileState(NamedTuple):
    """State of a picture's file at the last check.

    Attributes:
        shown_ns: modification time of the version that Blender shows, ns since 1970.
        written_ns: modification time of the file on disk, ns since 1970.
        had_paint: whether Blender held unsaved paint on it.
    """

    shown_ns: int
    written_ns: int
    had_paint: bool


_states: dict[Path, _FileState] = {}

newer: set[Path] = set()
"""Files that another program has saved while Blender held unsaved paint on them."""


def is_newer_on_disk(image: bpy.types.Image) -> bool:
    """Whether another program has saved a picture with unsaved paint in Blender, so that the artist has to choose."""
    return image.is_dirty and path_of(image) in newer


def was_saved_elsewhere(image: bpy.types.Image) -> bool:
    """Whether another program has saved the file, and has finished writing: its time is the same at two checks."""
    path = path_of(image)
    now_ns = written_ns(path)
    if not now_ns:
        return False  # packed, gone, or just being replaced
    before = _states.get(path, _FileState(now_ns, now_ns, had_paint=False))
    saved_here = before.had_paint and not image.is_dirty
    is_whole = now_ns == before.written_ns
    shown_ns = now_ns if saved_here or is_whole else before.shown_ns
    _states[path] = _FileState(shown_ns, now_ns, image.is_dirty)
    return is_whole and now_ns != before.shown_ns


def written_ns(path: Path | None) -> int:
    """When a file was written, nanoseconds since 1970; 0 if it is not there, or there is no path."""
    try:
        return path.stat().st_mtime_ns if path else 0
    except (OSError, ValueError):
        return 0


def read_again(image: bpy.types.Image) -> None:
    """Reload a picture from its file, discarding unsaved paint."""
    image.reload()
    was_read(image)


def was_read(image: bpy.types.Image) -> None:
    """Note that a picture equals its file, as it was just read or saved."""
    path = path_of(image)
    if now_ns := written_ns(path):  # neither packed, gone, nor just being replaced
        _states[path] = _FileState(now_ns, now_ns, had_paint=False)
    newer.discard(path)


def forget() -> None:
    """Forget the states of all files."""
    _states.clear()
    newer.clear()


def unsaved(folder: Path | None = None) -> Iterator[tuple[bpy.types.Image, Path]]:
    """Pictures of results with unsaved paint, and their paths.

    Args:
        folder: only pictures below it; all if None.
    """
    for image in bpy.data.images:
        path = path_of(image) if OURS_KEY in image and image.is_dirty else None
        if path and (folder is None or path.resolve().is_relative_to(folder.resolve())):
            yield image, path


def keep_all(folder: Path) -> list[str]:
    """Save all unsaved paint that concerns a job; return messages about it.

    That is paint in the job's folder, whose files it replaces, and on masks of all other versions, which it reads.

    Raises:
        InputError: some paint cannot be saved.
    """
    places = [folder, *(masks_path(version) for version in versions(folder))]
    painted = {path: image for place in places for image, path in unsaved(place)}
    return [said for image in painted.values() if (said := keep(image))]


def originals(folder: Path) -> dict[Path, Mark]:
    """Marks of a result's atlases and masks, by path."""
    marks: dict[Path, Mark] = {}
    for path in (folder.resolve() / "atlas").glob("*.orig.exr"):
        with suppress(OSError):  # just being replaced
            marks[path.with_name(path.name.replace(".orig.", "."))] = (path.stat().st_mtime_ns, path.stat().st_size)
    masks = masks_path(folder.resolve())
    with suppress(InputError):  # damaged; reported where the masks are used
        marks |= {masks / name: digest for name, digest in Record.read(masks).files.items()}
    return marks


def set_aside(folder: Path, before: dict[Path, Mark]) -> list[str]:
    """Save unsaved paint beside pictures that a job has written anew, and show the new ones; return messages.

    Args:
        folder: of the result.
        before: its :func:`originals` before the job.

    Raises:
        InputError: some paint cannot be saved.
    """
    said: list[str] = []
    now = originals(folder)
    for image, path in list(unsaved(folder)):
        mark = now.get(path.resolve())
        is_anew = mark is not None and mark != before.get(path.resolve()) and path.is_file()
        if is_anew and not _is_saved_since(path, mark):
            target = _beside(path)
            save_to(image, target)
            read_again(image)
            said.append(f"{path.name} was made anew while you painted on it; your paint was saved as {target.name}")
    return said


def _is_saved_since(path: Path, mark: Mark) -> bool:
    """Whether a picture is a mask that was saved during a job, so that the job has not overwritten it."""
    return isinstance(mark, str) and sha256(path) != mark


def keep(image: bpy.types.Image) -> str:
    """Save a picture's unsaved paint, if any; return a message about it.

    It is saved to the picture's file, or beside it if that is the artist's own or another program has saved it since.

    Raises:
        InputError: the paint cannot be saved.
    """
    path = path_of(image) if image.is_dirty else None
    if path is None:
        return ""
    if not path.parent.is_dir():  # the result was deleted: nothing will replace the picture, so keep it in the .blend
        image.use_fake_user = True
        return ""
    own = is_saved_in_place(image)
    target = path if own else _beside(path)
    save_to(image, target)
    return f"Your paint on {path.name} was saved{'' if own else f' as {target.name}, as {path.name} is another by now'}"


def is_saved_in_place(image: bpy.types.Image) -> bool:
    """Whether :func:`keep` saves a picture to its own file, and not beside it."""
    path = path_of(image)
    return path.is_file() and not is_newer_on_disk(image) and _is_of_a_result(path)


def save_to(image: bpy.types.Image, target: Path) -> None:
    """Save a picture to its own file, or a copy of it to another.

    Raises:
        InputError: the file cannot be saved.
    """
    try:
        if target == path_of(image):
            image.save()
            was_read(image)
        else:
            compat.save_copy(image, target)
    except RuntimeError as error:
        raise InputError(f"The paint cannot be saved: {error}", where=target, hint="Save it elsewhere.") from error


def _is_of_a_result(path: Path) -> bool:
    """Whether a file is an atlas or a mask in a decomposition, and not the artist's own."""
    return any(manifest_path(folder).is_file() for folder in path.parents[1:3])


def _beside(path: Path) -> Path:
    """Free path beside a picture; its stem does not end in a number, as it would join a sequence of masks."""
    number, target = 1, path.with_name(f"{path.stem}.paint{path.suffix}")
    while target.exists():
        number += 1
        target = path.with_name(f"{path.stem}.{number}.paint{path.suffix}")
    return target
