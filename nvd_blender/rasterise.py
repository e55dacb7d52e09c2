"""Renders masks into pictures. Runs in a Blender of its own, in the background: see :mod:`nvd_blender.mattes`.

A script, not a module of the extension, which need not be enabled here: ``rasterise.py FOLDER CORE``. FOLDER
has ``masks.blend`` and ``masks.json``, CORE is where :mod:`nvd_core` is imported from. It says the worker's protocol,
stops at the first word on standard input or its end, and gives the pictures their place when all are there.
"""

import itertools
import json
import os
import sys
import threading
import traceback
from pathlib import Path

import bpy

folder, core = map(Path, sys.argv[-2:])
sys.path += [str(Path(__file__).parent), str(core)]

import compat  # noqa: E402 (as nobody has enabled the extension)

from nvd_core import protocol  # noqa: E402
from nvd_core.errors import CANCELLED  # noqa: E402


def main() -> None:
    """Render what is asked for."""
    threading.Thread(target=_listen, daemon=True).start()
    asked = json.loads((folder / "masks.json").read_text(encoding="utf-8"))
    scene = _scene(asked["size"])
    node = compat.mask_node(compat.empty_scene_tree(scene))
    tree = compat.scene_tree(scene)
    tree.links.new(node.outputs[0], compat.output_node(tree).inputs[0])
    with bpy.data.libraries.load(str(folder / "masks.blend")) as (stored, loaded):
        loaded.masks = stored.masks
    out = folder / f"mattes.{os.getpid()}.part"
    frames = [(one, number) for one in asked["mattes"] for number in one["numbers"]]
    _say(protocol.Stage(name="rasterise"))
    for done, (one, number) in enumerate(frames, 1):
        if number == one["numbers"][0]:
            node.mask = _chosen(bpy.data.masks[one["mask"]], one["layer"])
        scene.frame_set(one["start"] + number - asked["first"])
        scene.render.filepath = str(out / one["folder"] / f"mask.{number:04d}.png")
        bpy.ops.render.render(write_still=True)
        _say(protocol.Progress(done=done / len(frames)))
    out.rename(folder / "mattes")


def _scene(size: list[int]) -> bpy.types.Scene:
    """A scene whose pictures are of that size, and hold nothing but what the compositor computes."""
    scene = bpy.context.scene
    render = scene.render
    render.resolution_x, render.resolution_y = size
    render.resolution_percentage = 100
    render.pixel_aspect_x = render.pixel_aspect_y = 1
    render.use_sequencer, render.dither_intensity = False, 0.0
    scene.view_settings.view_transform = "Raw"
    for name in render.bl_rna.properties.keys():  # noqa: SIM118 (a collection of Blender's)
        if name.startswith("use_stamp"):
            setattr(render, name, False)  # the same mask is the same bytes, whenever it is rendered
    compat.set_image_format(render.image_settings, "PNG")
    render.image_settings.color_mode, render.image_settings.color_depth = "BW", "16"
    compat.use_exact_compositor(scene)
    return scene


def _chosen(mask: bpy.types.Mask, layer: str) -> bpy.types.Mask:
    """The mask with that layer alone; with all that are not hidden where none is named."""
    copy = mask.copy()
    for one in copy.layers:
        one.hide_render |= bool(layer) and one.name != layer
    return copy


_numbers = itertools.count(1)


def _say(event: protocol.Event) -> None:
    sys.stdout.write(protocol.encode(event, next(_numbers)) + "\n")
    sys.stdout.flush()


def _listen() -> None:
    """Stop when the parent says so, or is gone."""
    with open(0, "rb", buffering=0, closefd=False) as commands:
        commands.readline()
    os._exit(CANCELLED)


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 (the log gets it, whatever it is)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # not the common way out: Blender as a module hangs there while a thread reads
