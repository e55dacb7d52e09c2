"""Runs inside a Blender with a window: insert a picture and pin it, by mouse and keys.

``blender --python inserts_session.py -- SPEC``; SPEC is the JSON that test_inserts_window.py writes. What was seen goes
to ``inserts.json``; pictures of the screen to the folder that SPEC names.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
spec = json.loads(Path(sys.argv[-1]).read_text())
os.environ["NVD_PYTHON"] = spec["python"]

import bpy  # noqa: E402 (it reads the environment)
import hands  # noqa: E402
from hands import Place, Walk, place  # noqa: E402

PACKAGE = "bl_ext.user_default.nvd_blender"
OUT, PICTURES, FOLDER = Path(spec["out"]), Path(spec["pictures"]), Path(spec["folder"])
seen: dict[str, Any] = {}
bpy.context.preferences.view.show_splash = False


def module(name: str) -> Any:
    return sys.modules[f"{PACKAGE}.{name}"]


def scene():
    return module("result.scenes").result_scene(FOLDER)


def inserted() -> list[str]:
    found = module("result.inserts")
    return [found.name_of(node) for node in found.insert_nodes(scene(), "sign")]


def node():
    return module("result.inserts").insert_nodes(scene(), "sign")[0]


def corners() -> list[list[float]]:
    return [list(one) for one in module("result.pinning").corners_of(node())]


def recorded() -> list[float]:
    data = json.loads((FOLDER / "edits.json").read_text())
    return data["layers"]["sign"]["inserts"][0]["corners"]


def atlas() -> Place:
    return place("IMAGE_EDITOR", of=lambda space: space.ui_mode == "PAINT")


def sidebar() -> Place:
    return place("IMAGE_EDITOR", "UI", lambda space: space.ui_mode == "VIEW")


def shot(name: str) -> Walk:
    yield from hands.program("import", "-window", "root", PICTURES / f"{name}.png")


def on_screen(point: list[float]) -> tuple[int, int]:
    where = atlas()
    return where.to_screen(*where.region.view2d.view_to_region(*point, clip=False))


def drag(point: list[float], across_px: int, down_px: int) -> Walk:
    x, y = on_screen(point)
    yield from hands.drag([(x + across_px * step // 10, y + down_px * step // 10) for step in range(11)])


def pin() -> Walk:
    with atlas().override():
        bpy.ops.nvd.pin_insert("INVOKE_DEFAULT", result=scene().name, layer="sign", insert="soft")
    yield 0.5


def walk() -> Walk:
    bpy.ops.extensions.package_install_files(filepath=spec["extension"], repo="user_default", enable_on_install=True)
    bpy.ops.nvd.load_result(directory=f"{FOLDER}/")
    bpy.ops.nvd.open_layers(layer="sign")
    yield from hands.until(lambda: bpy.context.window.workspace.name == "Layers")
    yield 5.0
    bpy.ops.ed.undo_push(message="Begin")
    bpy.ops.nvd.insert_picture(result=scene().name, layer="sign", filepath=spec["picture"])
    yield from hands.until(inserted)
    yield 1.0
    seen["inserted"] = [inserted(), module("engine.tasks").latest().error]
    bpy.ops.nvd.open_insert(result=scene().name, layer="sign", insert="soft")
    yield 1.0

    yield from pin()
    first = corners()
    yield from drag(first[0], -40, -30)
    second = corners()
    yield from shot("pinned")
    middle = [sum(axis) / 4 for axis in zip(*second, strict=True)]
    yield from drag(middle, 30, 0)
    third = corners()
    yield from hands.mouse("mousemove", *on_screen(third[2]))
    yield from hands.mouse("mousedown", 1)
    yield from hands.mouse("mousemove", *atlas().middle())
    yield 0.3
    dragged = corners()
    yield from hands.key("Escape")
    yield from hands.mouse("mouseup", 1)
    seen["dragged"] = [first, second, third, dragged, corners(), recorded()]
    yield from hands.key("Return")
    yield from hands.mouse("mousemove", *atlas().middle())
    yield from hands.key("ctrl+z")
    yield 1.5
    seen["undone"] = [corners(), inserted()]
    module("result.edit_record").look()
    yield 2.5
    seen["stays_undone"] = corners()

    node().inputs["Upper Left"].keyframe_insert("default_value", frame=1)
    scene().frame_set(5)
    yield 0.5
    yield from pin()
    yield from drag(corners()[1], 20, -20)
    yield from hands.key("Return")
    yield 0.5
    curves = module("host.compat").curves_of(node().id_data)
    own = [curve for curve in curves if node().inputs["Upper Left"].path_from_id() in curve.data_path]
    seen["keys"] = [[point.co.x for point in curve.keyframe_points] for curve in own]
    seen["recorded_keys"] = [row[0] for row in recorded()]
    yield from shot("sidebar")


hands.take(walk(), seen, OUT / "inserts.json", PICTURES)
