"""Mirror the inserts of results between their nodes and the record of edits, which other programs change, too.

Digests of both, from when they last agreed, tell which of the two has changed since. They are kept in the scene, and
for this session in memory, as undoing something brings the scene's former ones back, but not the former record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final, NamedTuple

import bpy

from nvd_core.spec.edits import NO_EDITS, Edits, Stack, edits_path, read_edits, write_edits
from nvd_core.spec.edits import inserts as by_name
from nvd_core.spec.errors import InputError, NvdError, as_told
from nvd_core.spec.manifest import Manifest, read_manifest

from ..host import timers
from ..host.labels import redraw
from . import inserts, paint, undo
from .scenes import atlas_nodes, folder_of, results

_LOOK_S: Final = 1.0

_KEY: Final = "nvd_edits"
"""Custom property of a result's scene: the digests of record and nodes when they last agreed."""


class _Digests(NamedTuple):
    """Digests of a result's edits, as the record and as the nodes have them."""

    record: str
    nodes: str


class _Where(NamedTuple):
    """Scene, by its name, and its result."""

    scene: str
    folder: Path


_agreed: dict[_Where, _Digests] = {}
_looked_ns: dict[_Where, int] = {}
"""When the record was written that was last looked at, ns since 1970."""

told: dict[Path, str] = {}
"""What keeps a result's nodes and its record from agreeing, for the panel."""

differing: set[Path] = set()
"""Results whose nodes and record have both changed, so that the artist has to choose."""


def build(scene: bpy.types.Scene, folder: Path, manifest: Manifest) -> None:
    """Build the inserts of all layers from the record.

    Raises:
        InputError: the record or a picture is missing or damaged.
    """
    edits = read_edits(folder, manifest.names)
    for layer in manifest.names:
        inserts.set_stack(scene, folder, layer, edits.get(layer, NO_EDITS), manifest.source.numbers)
    _note(scene, folder, edits, read_nodes(scene, manifest))


def read_nodes(scene: bpy.types.Scene, manifest: Manifest) -> Edits:
    """Read the edits of all layers whose nodes take inserts.

    Raises:
        InputError: a node holds no insert, or two hold one of the same name.
    """
    layers = [layer for layer in atlas_nodes(scene) if inserts.group_for_inserts(scene, layer)]
    edits = {layer: inserts.read_stack(scene, layer, manifest.source.numbers) for layer in layers}
    names = [one.name.casefold() for stack in edits.values() for one in stack.inserts]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise InputError(f"Two nodes hold the insert {twice}", where=scene.name, hint="Delete one of them.")
    return edits


def write(scene: bpy.types.Scene) -> bool:
    """Write what has changed in the nodes to the record; return whether another program has changed that instead.

    Raises:
        InputError: both have changed, a node holds no insert, or the record cannot be read or written.
    """
    folder = folder_of(scene)
    nodes = read_nodes(scene, read_manifest(folder))
    record = read_edits(folder, list(atlas_nodes(scene)))
    before, now = _when_agreed(scene, folder), _Digests(_digest(record), _digest(nodes))
    is_lost = now.nodes != _digest({}) and not edits_path(folder).exists()
    if now.record == now.nodes or now == before:
        _note(scene, folder, record, nodes)
    elif now.record == before.record:
        _write(scene, folder, record | nodes, nodes)
    elif now.nodes == before.nodes and not is_lost:
        return True
    else:
        differing.add(folder)
        hint = "Choose in the Layers panel which to keep."
        raise InputError("The inserts were changed here and by another program", where=edits_path(folder), hint=hint)
    return False


def agree(scene: bpy.types.Scene) -> None:
    """Write what has changed in the nodes to the record, or build anew what another program has changed there.

    Raises:
        InputError: as :func:`write`, or a picture is missing or damaged.
    """
    if write(scene):
        build(scene, folder_of(scene), read_manifest(folder_of(scene)))
        undo.keep("Read Inserts")


def settle(scene: bpy.types.Scene, *, keeps_nodes: bool) -> None:
    """Let the nodes have the last word, or the record, whatever the other has.

    Raises:
        InputError: the one that is kept is damaged, or the record cannot be written.
    """
    folder = folder_of(scene)
    manifest = read_manifest(folder)
    if keeps_nodes:
        nodes = read_nodes(scene, manifest)
        _write(scene, folder, read_edits(folder, list(atlas_nodes(scene))) | nodes, nodes)
    else:
        build(scene, folder, manifest)


def set_stack(scene: bpy.types.Scene, layer: str, stack: Stack) -> None:
    """Set the inserts of a layer, in its nodes and in the record, which agree.

    Raises:
        InputError: a node or picture is not what it was, or the record cannot be written.
    """
    folder = folder_of(scene)
    inserts.set_stack(scene, folder, layer, stack, read_manifest(folder).source.numbers)
    agree(scene)


def names(scene: bpy.types.Scene) -> set[str]:
    """Names of all inserts in a result's record."""
    return {*by_name(read_edits(folder_of(scene), list(atlas_nodes(scene))))}


def take_in(scene: bpy.types.Scene, known: Collection[str]) -> None:
    """Build inserts that the engine has added to the record; what was changed in the nodes meanwhile stays.

    Args:
        scene: of the result.
        known: names of the inserts before.

    Raises:
        InputError: as :func:`agree`.
    """
    folder = folder_of(scene)
    manifest = read_manifest(folder)
    record, nodes = read_edits(folder, list(atlas_nodes(scene))), read_nodes(scene, manifest)
    others = {layer: _only(stack, known, are_in=True) for layer, stack in record.items()}
    if _digest(others) != _when_agreed(scene, folder).record:
        agree(scene)  # another program has changed it, too
        return
    for layer, stack in record.items():
        if new := _only(stack, known, are_in=False).inserts:
            before = nodes.get(layer, NO_EDITS)
            above = replace(before, inserts=(*before.inserts, *new))
            inserts.set_stack(scene, folder, layer, above, manifest.source.numbers)
    nodes = read_nodes(scene, manifest)
    _write(scene, folder, record | nodes, nodes)


def _only(stack: Stack, known: Collection[str], *, are_in: bool) -> Stack:
    return replace(stack, inserts=tuple(one for one in stack.inserts if (one.name in known) == are_in))


def write_all(folder: Path) -> None:
    """Do as :func:`write` with all scenes of a result.

    Raises:
        InputError: as :func:`write`.
    """
    for scene in _own():
        if folder_of(scene) == folder:
            write(scene)


def _own() -> list[bpy.types.Scene]:
    """Scenes of results in this .blend whose files have a place."""
    return [scene for scene in results() if not scene.library and folder_of(scene)]


def agree_or_tell(scene: bpy.types.Scene) -> None:
    """Do as :func:`agree`; the panel tells why not."""
    folder = folder_of(scene)
    if not folder.is_dir() and not any(inserts.insert_nodes(scene, layer) for layer in atlas_nodes(scene)):
        return  # nothing to tell of
    try:
        agree(scene)
    except NvdError as error:
        told[folder] = str(error)
        redraw("IMAGE_EDITOR", region="UI")


def _note(scene: bpy.types.Scene, folder: Path, record: Edits, nodes: Edits) -> None:
    """Note that nodes and record agree."""
    where, digests = _Where(scene.name, folder), _Digests(_digest(record), _digest(nodes))
    _agreed[where], _looked_ns[where] = digests, paint.written_ns(edits_path(folder))
    if scene.get(_KEY) != " ".join(digests):
        scene[_KEY] = " ".join(digests)
    if folder in told or folder in differing:
        told.pop(folder, None)
        differing.discard(folder)
        redraw("IMAGE_EDITOR", region="UI")


def _when_agreed(scene: bpy.types.Scene, folder: Path) -> _Digests:
    """Digests when nodes and record last agreed; of no edits, if the scene tells nothing of it."""
    kept, none = str(scene.get(_KEY)).split(), _digest({})
    return _agreed.get(_Where(scene.name, folder)) or (_Digests(*kept) if len(kept) == 2 else _Digests(none, none))


def _write(scene: bpy.types.Scene, folder: Path, edits: Edits, nodes: Edits) -> None:
    """Write edits to the record, which agrees with the nodes then.

    Raises:
        InputError: it cannot be written.
    """
    edits = {layer: stack for layer, stack in edits.items() if stack != NO_EDITS}
    try:
        write_edits(folder, edits, list(atlas_nodes(scene)))
    except OSError as error:
        raise as_told(error) from error
    _note(scene, folder, edits, nodes)


def _digest(edits: Mapping[str, Stack]) -> str:
    plain = {layer: asdict(stack) for layer, stack in edits.items() if stack != NO_EDITS}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode("utf-8", "backslashreplace")).hexdigest()


@timers.lasting(_LOOK_S)
def look() -> float:
    """Timer: build anew what another program has changed in a record."""
    for scene in [] if undo.is_user_at_work() else _own():
        where = _Where(scene.name, folder_of(scene))
        now_ns = paint.written_ns(edits_path(where.folder))
        if now_ns != _looked_ns.get(where, 0):
            _looked_ns[where] = now_ns
            agree_or_tell(scene)
    return _LOOK_S


@bpy.app.handlers.persistent
@timers.lasting(None)
def _before_save(*_: object) -> None:
    for scene in _own():
        agree_or_tell(scene)


@bpy.app.handlers.persistent
@timers.lasting(None)
def _loaded(*_: object) -> None:
    for known in (_agreed, _looked_ns, told, differing):
        known.clear()


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.app.handlers.save_pre.append(_before_save)
    bpy.app.handlers.load_post.append(_loaded)
    timers.begin(look, _LOOK_S)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    timers.end(look)
    bpy.app.handlers.save_pre.remove(_before_save)
    bpy.app.handlers.load_post.remove(_loaded)
    _loaded()
