"""Let inserts follow to the atlases of a new result, in the place of a former one or beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from nvd_core.result.decomposition import Decomposition
from nvd_core.result.follow import Followed, carry_inserts, follow, moved_stacks
from nvd_core.runtime.progress import Tell
from nvd_core.spec.edits import edits_path, inserts, read_edits
from nvd_core.spec.errors import NvdError
from nvd_core.spec.folder import held_edits_path, manifest_path, sha256, staged_path, write_json
from nvd_core.spec.protocol import Caution
from nvd_core.spec.versions import edited_version

_MOST_OFF_PX = 1.0
"""Bending of the surface under an insert, texels, that nobody sees."""


def hold_edits(folder: Path, tell: Tell) -> None:
    """Compute where the inserts of a former result will lie on the staged one, before that takes its place.

    It is kept in the checkpoint: once the former frames are gone, an interrupted run could not compute it any more.
    """
    if held_edits_path(folder).exists() or not (edits_path(folder).exists() and manifest_path(folder).is_file()):
        return
    try:
        digest, former = sha256(edits_path(folder)), Decomposition.open(folder)
        stacks = read_edits(folder, former.manifest.names)
        found = list(follow(former, Decomposition.open(staged_path(folder)), stacks))
    except (NvdError, OSError) as error:
        tell(Caution(message=f"The inserts could not follow to the new atlases: {error}", hint="Pin them anew."))
        return
    layers = {layer: asdict(stack) for layer, stack in moved_stacks(stacks, found, keeps=True).items()}
    lost = sorted({*inserts(stacks)} - {one.insert.name for one in found})
    said = [*_bent(found), *(f"{name} is seen in no frame of both results" for name in lost)]
    write_json(held_edits_path(folder), {"of": digest, "layers": layers, "said": said})


def put_edits(folder: Path, clip: Path, tell: Tell) -> None:
    """Let the edits follow to a result that is in its place now: its own, or those of another version of the clip."""
    held = held_edits_path(folder)
    if held.exists():
        try:
            data = json.loads(held.read_text(encoding="utf-8"))
            is_same = sha256(edits_path(folder)) == data["of"]
            if is_same:
                record = json.loads(edits_path(folder).read_text(encoding="utf-8"))
                write_json(edits_path(folder), record | {"layers": record["layers"] | data["layers"]})
                _tell(data["said"], tell)
        except (OSError, ValueError, KeyError, TypeError):
            is_same = False
        if not is_same:
            message = "The inserts were changed while the job ran, and lie as on the former atlases"
            tell(Caution(message=message, hint="Look at them, and pin them anew."))
        held.unlink(missing_ok=True)
    elif not edits_path(folder).exists() and (former := edited_version(folder, clip)):
        try:
            found, lost = carry_inserts(Decomposition.open(former), Decomposition.open(folder))
        except (NvdError, OSError) as error:
            _tell([f"The inserts of {former.name} could not be carried over: {error}"], tell)
            return
        _tell([*_bent(found), *(f"{name} of {former.name} is seen in no frame of both" for name in lost)], tell)


def _bent(found: Iterable[Followed]) -> Iterator[str]:
    for one in found:
        if one.off_px > _MOST_OFF_PX:
            yield f"{one.insert.name} may lie up to some texels off, as the surface bends ({one.off_px:.1f} texels)"


def _tell(said: Iterable[str], tell: Tell) -> None:
    for message in said:
        tell(Caution(message=message, hint="Look at it, and pin it anew with nvd edit or in Blender."))
