"""Runs inside Blender: files as its compositor is given them. ``files_session.py ROOT OUT START``, see ``files.py``.

Pictures are taken from memory as they were read, films and EXRs of many layers through the plate of a result.
"""

import faulthandler
import json
import sys
from pathlib import Path

root, out, start = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
sys.path.insert(0, root)

import bpy  # noqa: E402
import numpy as np  # noqa: E402

from nvd_blender.host import compat  # noqa: E402
from nvd_blender.result import compositor  # noqa: E402

MOST_PIXELS, HANGS_S = 6_000_000, 120


def pixels(image: bpy.types.Image) -> np.ndarray:
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], -1)[::-1, :, :3]


def keep(place: Path, picture: np.ndarray) -> None:
    whole = np.rint(255 * picture.clip(0, 1)).astype(np.uint8)
    np.save(place, whole if np.array_equal(whole / np.float32(255), picture) else picture)


def rendered(path: str, size: list[int], image: bpy.types.Image, frame: int) -> np.ndarray:
    """A frame through the plate of a result: a film's as it is displayed, an EXR's in linear light."""
    is_linear = image.source != "MOVIE"
    source = compositor.Source(
        path=path, file=path, sha256="", fps=24, width=size[0], height=size[1], first=1, last=frame, is_linear=is_linear
    )
    tree = compat.empty_scene_tree(scene)
    tree.links.new(
        compositor._plate_node(  # noqa: SLF001
            tree, source, Path(path)
        ).outputs[0],
        compat.output_node(tree).inputs[0],
    )
    compat.set_image_format(scene.render.image_settings, "OPEN_EXR" if is_linear else "PNG")
    scene.render.image_settings.color_depth = "32" if is_linear else "8"
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.filepath = str(out / "shown")
    scene.frame_start = scene.frame_end = frame
    bpy.ops.render.render(animation=True, scene=scene.name)
    (written,) = out.glob("shown*")
    shown = bpy.data.images.load(str(written))
    shown.colorspace_settings.name = "Non-Color"
    found = pixels(shown)
    written.unlink()
    return found


bpy.ops.wm.read_factory_settings(use_empty=True)
(out / "version").write_text("Blender " + bpy.app.version_string.removesuffix(" LTS"))
scene = bpy.data.scenes.new("shown")
compositor._set_up(scene)  # noqa: SLF001
for index, (path, *size) in enumerate(json.loads((out / "files.json").read_text())):
    if index < start:
        continue
    said = out / f"{index}.json"
    said.write_text(json.dumps({"said": "dies"}))
    faulthandler.dump_traceback_later(HANGS_S, exit=True)
    try:
        image = bpy.data.images.load(path)
        image.alpha_mode = "CHANNEL_PACKED"
        image.colorspace_settings.name = "Non-Color"
        if image.size[0] * image.size[1] > MOST_PIXELS:
            pass
        elif image.source == "MOVIE":
            for frame in [one for one in (1, 8) if one <= image.frame_duration]:
                keep(out / f"{index}.{frame}.npy", rendered(path, image.size, image, frame))
        elif image.type == "MULTILAYER":
            keep(out / f"{index}.1.npy", rendered(path, size, image, 1))
        elif len(image.pixels):
            keep(out / f"{index}.1.npy", pixels(image))
        said.write_text(json.dumps({"said": "" if list(out.glob(f"{index}.*.npy")) else "shows nothing"}))
    except Exception as error:  # noqa: BLE001 (whatever it says of the file)
        said.write_text(json.dumps({"said": str(error).strip()[:80]}))
    for image in bpy.data.images:
        bpy.data.images.remove(image)
