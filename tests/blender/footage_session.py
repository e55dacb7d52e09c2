"""Runs inside Blender: every file of a folder through the plate of a result. ``footage_session.py ZIP FILES OUT``.

FILES holds ``sources.json``: for each file what a manifest says of it.
"""

import json
import os
import sys
from pathlib import Path

zip_path, files, out = (Path(argument) for argument in sys.argv[1:4])
os.environ["BLENDER_USER_RESOURCES"] = str(out / "profile")

import bpy  # noqa: E402 (it reads the environment)
from installed import install, modules, render  # noqa: E402

install(zip_path)
compat, compositor = modules("host.compat", "result.compositor")

for name, said in json.loads((files / "sources.json").read_text()).items():
    source = compositor.Source(**said)
    scene = bpy.data.scenes.new(name)
    tree = compat.empty_scene_tree(scene)
    plate = compositor._plate_node(tree, source, Path(source.file))
    tree.links.new(plate.outputs[0], compat.output_node(tree).inputs[0])
    compositor._set_up(scene)
    scene.render.image_settings.color_mode = "RGB"
    scene.render.resolution_x, scene.render.resolution_y = source.width, source.height
    scene.frame_start, scene.frame_end = source.first, source.last
    render(scene, out / name)
