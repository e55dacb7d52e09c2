"""Runs inside Blender: ``python bright_session.py ZIP FOLDER...`` renders each ``FOLDER/out`` into ``FOLDER/shown``."""

import os
import sys
from pathlib import Path

zip_path, *folders = (Path(argument) for argument in sys.argv[1:])
os.environ["BLENDER_USER_RESOURCES"] = str(folders[0] / "profile")

import bpy  # noqa: E402 (it reads the environment)
from installed import install, modules, render  # noqa: E402

install(zip_path)
results = next(modules("result.scenes"))
for folder in folders:
    assert bpy.ops.nvd.load_result(directory=f"{folder / 'out'}/") == {"FINISHED"}
    render(results.result_scene(folder / "out"), folder / "shown")
