"""Rasterise mask datablocks into pictures, in a second Blender in the background: see :mod:`nvd_blender.source.mattes`.

A script, as the extension need not be enabled there: ``rasterise.py FOLDER CORE``. FOLDER holds ``masks.blend`` and
``masks.json``; :mod:`nvd_core` is imported from CORE. It speaks the worker's protocol, stops at the first line or at
the end of standard input, and moves the pictures to their place when all are written.
"""

import itertools
import json
import os
import sys
import threading
import traceback
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import bpy

folder, core = map(Path, sys.argv[-2:])
# By its file, as the extension need not be enabled: any module on the path may be called host or compat.
_spec = spec_from_file_location("nvd_blender_compat", Path(__file__).parents[1] / "host" / "compat.py")
compat = module_from_spec(_spec)
_spec.loader.exec_module(compat)

sys.path.append(str(core))
from nvd_core.spec import protocol  # noqa: E402 (it is found there)
from nvd_core.spec.errors import CANCELLED  # noqa: E402


def main() -> None:
    """Rasterise all masks of ``masks.json`` at their frames."""
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
    """Set up a scene that renders the compositor's output alone, at a size, as 16-bit grey PNG."""
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
    """Copy a mask with one layer visible; with all layers that are not hidden if the name is empty."""
    copy = mask.copy()
    for one in copy.layers:
        one.hide_render |= bool(layer) and one.name != layer
    return copy


_numbers = itertools.count(1)


def _say(event: protocol.Event) -> None:
    sys.stdout.write(protocol.encode(event, next(_numbers)) + "\n")
    sys.stdout.flush()


def _listen() -> None:
    """Exit when the parent cancels or is gone."""
    with open(0, "rb", buffering=0, closefd=False) as commands:
        commands.readline()
    os._exit(CANCELLED)


if __name__ == "__main__":
    try:
        main()
    except BaseException:  # noqa: BLE001 (every error goes to the log)
        traceback.print_exc()
        os._exit(1)
    os._exit(0)  # a normal exit hangs in Blender as a module while a thread reads
