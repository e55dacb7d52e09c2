"""Insert a picture or movie into a layer by ``nvd insert`` beside Blender: the engine prepares and places it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import bpy

from nvd_core.spec.errors import NvdError

from ..engine import tasks
from ..result import edit_record, undo
from . import beside


@dataclass
class Insertion(beside.ResultTask):
    """Insertion of a picture.

    Attributes:
        layer: that gets it.
        known: names of the inserts before.
    """

    layer: str = ""
    known: Collection[str] = ()

    def show(self, scene: bpy.types.Scene | None) -> None:
        """Build the nodes of what is inserted. In another .blend there is nothing to do: the record has it."""
        if scene is None:
            return
        try:
            edit_record.take_in(scene, self.known)
            undo.keep("Insert Picture")
        except NvdError as error:
            self.state, self.error = "failed", str(error)


def start(scene: bpy.types.Scene, layer: str, source: Path) -> Insertion:
    """Start to insert a picture.

    Args:
        scene: of the result.
        layer: that gets it, on top of its inserts.
        source: a picture, a movie, or a pattern of pictures.

    Raises:
        NvdError: there is no engine, or it is at work; the result's files are gone, or a job replaces them; or the
            inserts' nodes do not agree with the record.
    """
    folder = beside.ready(scene)
    edit_record.agree(scene)
    name, known = f"Inserting {source.name}", edit_record.names(scene)
    step = beside.step(name, "insert", folder, source, f"--layer={layer}", "--json")
    task = Insertion(name, [step], beside.log_of("insert"), folder=folder, layer=layer, known=known)
    tasks.start(task)
    return task
