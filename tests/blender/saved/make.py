"""Make ``saved.blend`` of an earlier version of the extension: what an artist left in it must open for ever.

Run in Blender 4.2 with the extension of commit 53f83f2, beside the demo clip and its decomposition, both by that
commit, too: ``python make.py ZIP ROOT``; ROOT holds ``clip`` and ``result``, and gets ``edit/saved.blend``.
"""

import os
import sys
from pathlib import Path

zip_path, root = (Path(argument).resolve() for argument in sys.argv[1:3])
os.environ["BLENDER_USER_RESOURCES"] = str(root / "profile")

import bpy  # noqa: E402 (it reads the environment)

bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.extensions.package_install_files(filepath=str(zip_path), repo="user_default", enable_on_install=True)
blend = root / "edit" / "saved.blend"
blend.parent.mkdir(exist_ok=True)
bpy.ops.wm.save_as_mainfile(filepath=str(blend))  # so that paths become relative to it

scene = bpy.context.scene
settings = scene.nvd.settings
settings.solver, settings.preset, settings.residual, settings.find = "neural", "preview", "fidelity", "nothing"
settings.height, settings.flow = 96, "//../clip/flow"
drawn = bpy.data.masks.new("Drawn")
points = drawn.layers.new(name="disc").splines.new().points
points.add(3)
for point, co in zip(points, [(0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8)], strict=True):
    point.co = co

frames = sorted((root / "clip" / "frames").iterdir())
strips = scene.sequence_editor_create().sequences
strip = strips.new_image(name="shot", filepath=str(frames[0]), channel=1, frame_start=21)
for frame in frames[1:]:
    strip.elements.append(frame.name)
scene.sequence_editor.active_strip = strip
strip.nvd.folder = "//../result/"
sign, disc = strip.nvd.masks.add(), strip.nvd.masks.add()
sign.name, sign.path, sign.locked = "sign", "//../clip/masks/sign/", True
disc.name, disc.source, disc.mask, disc.layer, disc.keys = "disc", "MASK", drawn, "disc", "3"
clip = bpy.data.movieclips.load(str(frames[0]))
clip.use_fake_user = True
clip.nvd.masks.add().name, clip.nvd.folder = "poster", "//../poster/"

bpy.ops.nvd.load_result(directory=f"{root / 'result'}/")
result = next(one for one in bpy.data.scenes if "nvd_built" in one)
result.node_tree.nodes["Layer sign"].inputs["Opacity"].default_value = 0.5
bpy.ops.nvd.show_layer(result=result.name, layer="background")
bpy.ops.nvd.add_result(result=result.name)
bpy.ops.wm.save_as_mainfile(filepath=str(blend), compress=True)
