"""Runs in a Blender: renders a plane that moves by known pixels, with its vector pass, as multilayer EXR."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

OUT = Path(sys.argv[1])
PLACES = {101: (-6, -4), 102: (-3, -2), 103: (2, -1), 104: (0, -6)}
"""Of the plane in each frame, px: x right, y up."""

bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
scene.render.resolution_x, scene.render.resolution_y = 64, 48
scene.frame_start, scene.frame_end = min(PLACES), max(PLACES)
scene.view_layers[0].use_pass_vector = True

camera = bpy.data.cameras.new("camera")
camera.type, camera.ortho_scale = "ORTHO", 64  # a unit is a pixel
scene.camera = bpy.data.objects.new("camera", camera)
scene.camera.location.z = 10
scene.collection.objects.link(scene.camera)

bpy.ops.mesh.primitive_plane_add(size=24)
plane = bpy.context.object
for frame, (x, y) in PLACES.items():
    plane.location = (x, y, 0)
    plane.keyframe_insert("location", frame=frame)

settings = scene.render.image_settings
if bpy.app.version >= (5, 0, 0):
    settings.media_type = "MULTI_LAYER_IMAGE"
settings.file_format, settings.color_depth = "OPEN_EXR_MULTILAYER", "32"
scene.render.filepath = str(OUT / "vector.####")
bpy.ops.render.render(animation=True)
