"""Take over the masks of the previous result, so that corrections painted there are kept."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nvd_core.runtime.progress import Tell
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import atomic, sha256
from nvd_core.spec.mask_record import Record
from nvd_core.spec.protocol import Caution


def with_former(
    record: Record, place: Path | None, plates: Mapping[str, str], tell: Tell, *, is_replaced: bool
) -> Record:
    """Copy the masks of the previous result, if they are of the same plates.

    Args:
        record: of the masks that are to be made.
        place: folder of the previous masks, if there are any.
        plates: digests of the clip's files, see :class:`Record`.
        tell: hears a caution, if corrections are taken over from a result that stays.
        is_replaced: whether this result replaces the previous one.

    Returns:
        Record of the masks that are in the folder now.

    Raises:
        InputError: corrected masks are of another clip, and would be written over.
    """
    former = Record(record.folder) if place is None else Record.read(place)
    painted, is_of = former.painted(), former.is_of(plates)
    if is_replaced and painted and not is_of:
        raise of_another_clip(former.folder)
    if not (is_of and former.plates.keys() & plates.keys()):
        return record
    if is_replaced and _corrections(record) != _corrections(former):
        shutil.rmtree(record.folder, ignore_errors=True)
        record = Record(record.folder)
    if painted and not is_replaced:
        message = f"Masks that you have corrected are taken along from {former.folder.parent.name}"
        tell(Caution(message=message, hint="Correct those of this result from now on."))
    if record.asked:
        return record
    taken = replace(former, folder=record.folder)
    if not record.is_there:
        taken.begin()
    for name in sorted(former.names):
        if (former.folder / name).is_file() and not (record.folder / name).exists():
            with atomic(record.folder / name) as temporary:
                shutil.copyfile(former.folder / name, temporary)
    if not record.is_there:
        taken.write()
    return Record.read(record.folder)


def of_another_clip(folder: Path) -> InputError:
    """The error about corrected masks of another clip, which would be lost."""
    return InputError(
        "The folder holds masks of another clip that you have corrected",
        where=folder,
        hint="Choose another output folder, or move them away.",
    )


def _corrections(record: Record) -> dict[str, str]:
    """Digests of the painted pictures, by file name."""
    return {path.name: sha256(path) for pictures in record.painted().values() for path in pictures.values()}
