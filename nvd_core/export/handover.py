"""Move a finished result from the checkpoint to its place, which may be that of a former one.

This takes a moment, loses no paint of an artist, and is resumed if it is interrupted: the folder always holds the
former result, or a whole new one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from nvd_core.export.report import facts_path, pictures_of, words, write_words
from nvd_core.runtime.progress import Tell
from nvd_core.spec.atlas_pairs import painted_atlases, put_atlas
from nvd_core.spec.errors import InputError
from nvd_core.spec.exporters import exported
from nvd_core.spec.folder import (
    begun_path,
    checkpoint_path,
    log_path,
    manifest_path,
    masks_path,
    solution_path,
    staged_log_path,
    staged_masks_path,
    staged_path,
)
from nvd_core.spec.manifest import Manifest, read_manifest, write_manifest
from nvd_core.spec.mask_record import Record
from nvd_core.spec.protocol import Artifact, Caution
from nvd_core.spec.versions import next_version


def hand_over(folder: Path, tell: Tell) -> None:
    """Move the staged result of a folder to its place, and delete the former one's files.

    Args:
        folder: of the decomposition.
        tell: hears of the files, then cautions about painted atlases and masks that the result does not use.

    Raises:
        InputError: the staged result is damaged or of another version; nothing is changed then.
    """
    staged = staged_path(folder)
    manifest, facts = _waiting(folder)
    told = list(_put_masks(folder))
    _take_away_former(folder, manifest)
    for path in _files_of(staged, manifest):
        target = folder / path.relative_to(staged)
        if path.is_file():  # else an interrupted run has moved it
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        tell(Artifact(path=str(target)))
    painted, original = {}, {}
    for layer in manifest.names:
        pair = put_atlas(folder, layer, staged / manifest.original_files[layer])
        painted[layer], original[layer] = (path.relative_to(folder).as_posix() for path in pair)
        tell(Artifact(path=str(pair.painted)))
    told += _unused_paint(folder, painted)
    for caution in told:
        tell(caution)
    warnings = (*manifest.warnings, *(one.message for one in told))
    manifest = replace(manifest, atlas_files=painted, original_files=original, warnings=warnings)
    write_words(folder, manifest, facts)
    write_manifest(folder, manifest)


def forget_what_is_not_whole(folder: Path, tell: Tell) -> None:
    """Discard a staged result that is damaged or of another version, so that its own job makes it again."""
    try:
        _waiting(folder)
    except InputError as error:
        manifest_path(staged_path(folder)).unlink(missing_ok=True)
        tell(Caution(message=error.message, hint="It is made again."))


def settle(folder: Path) -> None:
    """Delete the checkpoint once a result is in its place; the event log is kept."""
    if staged_log_path(folder).is_file():
        staged_log_path(folder).replace(log_path(folder))
    shutil.rmtree(checkpoint_path(folder), ignore_errors=True)
    begun_path(folder).unlink(missing_ok=True)


def _waiting(folder: Path) -> tuple[Manifest, dict[str, Any]]:
    """Read the staged result of a folder: its manifest, and the numbers of its report.

    Raises:
        InputError: it is incomplete, damaged or of another version.
    """
    staged = staged_path(folder)
    try:
        manifest = read_manifest(staged)
        facts = json.loads(facts_path(staged).read_text(encoding="utf-8"))
        words(manifest)
        is_whole = isinstance(facts, dict) and all(
            (staged / name).is_file() for name in manifest.original_files.values()
        )
        if is_whole:
            return manifest, facts
        where, fault = staged, "it is damaged"
    except InputError as error:
        where, fault = error.where, error.message[:1].lower() + error.message[1:]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        where, fault = staged, "its report is damaged"
    raise InputError(
        f"A result waits in the folder to be put in its place, and cannot be: {fault}",
        where=where,
        hint="Take its job up with Resume, or nvd decompose --resume, which makes it again; or choose another folder, "
        f"as {next_version(folder).name}, or move the folder checkpoint away.",
    )


def _put_masks(folder: Path) -> Iterator[Caution]:
    """Move the masks made for this result to the place of former ones; masks painted meanwhile are kept."""
    made = Record.read(staged_masks_path(folder))
    if made.asked and (left := Record.read(masks_path(folder)).adopt(made)):
        yield Caution(
            message=f"Masks were painted while the job ran, and were kept: {', '.join(sorted(left))}",
            hint="Decompose again, and they are followed.",
        )


def _take_away_former(folder: Path, manifest: Manifest) -> None:
    """Delete the former result's files that this one lacks, but for atlases and masks; its manifest is kept aside."""
    former = manifest_path(checkpoint_path(folder) / "former")
    if manifest_path(folder).is_file() and not former.is_file():
        former.parent.mkdir(exist_ok=True)
        manifest_path(folder).replace(former)
    try:
        before = read_manifest(former.parent)
    except InputError:
        return  # there was none, or it is damaged, and then its files are unknown
    for path in {*_files_of(folder, before), *exported(folder, before)} - {*_files_of(folder, manifest)}:
        path.unlink(missing_ok=True)


def _files_of(folder: Path, manifest: Manifest) -> list[Path]:
    """All files of a result but atlases and masks, which artists paint on."""
    frames = [manifest.frame_path(folder, number) for number in manifest.source.numbers]
    copies = [manifest.copy_path(folder, number) for number in manifest.source.numbers if manifest.source.has_copies]
    return [*frames, *copies, manifest.channels_path(folder), solution_path(folder), *pictures_of(folder, manifest)]


def _unused_paint(folder: Path, used: dict[str, str]) -> Iterator[Caution]:
    """Caution about every painted atlas that a result does not use.

    Args:
        folder: of the decomposition.
        used: atlas of each layer that the result uses.
    """
    for path in painted_atlases(folder):
        name, layer = path.relative_to(folder).as_posix(), path.name.partition(".")[0]
        if name not in used.values():
            new = f"the new atlas is {used[layer]}" if layer in used else f"the result has no layer {layer}"
            yield Caution(message=f"{name} is painted and was kept; {new}", hint="Carry the paint over to it.")
