"""The extension, installed into the Blender that runs this, its modules, and what several sessions do with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import bpy

PACKAGE = "bl_ext.user_default.nvd_blender"


def install(extension: Path, *, use_empty: bool = True) -> None:
    """Begin with factory settings, and install a zip as an artist would."""
    bpy.ops.wm.read_factory_settings(use_empty=use_empty)
    bpy.ops.extensions.package_install_files(filepath=str(extension), repo="user_default", enable_on_install=True)


def modules(*names: str) -> Iterator[ModuleType]:
    """Modules of the installed extension, by their names within it."""
    return (import_module(f"{PACKAGE}.{name}") for name in names)


def mode_of(result: bpy.types.Scene) -> tuple:
    """Owner and name of the property that switches a result from keeping the plate to rebuilding from layers."""
    nodes, results = modules("host.nodes", "result.scenes")
    return nodes.switch_property(results.node_of(result, results.MODE_SWITCH))


def fails(operator: Callable[..., object], **options: object) -> str:
    """What an operator says when it refuses; empty if it does not."""
    try:
        operator(**options)
    except RuntimeError as error:
        return str(error)
    return ""


def timeline(scene: bpy.types.Scene) -> bpy.types.bpy_prop_collection:
    """Strips of a scene that gets a timeline, shown by the Sequencer."""
    (compat,) = modules("host.compat")
    if compat.IS_5:
        bpy.context.workspace.sequencer_scene = scene
    return compat.strips(scene.sequence_editor_create())


def add_pictures(
    strips: bpy.types.bpy_prop_collection, files: Iterable[Path], name: str = "shot", channel: int = 1, start: int = 1
) -> bpy.types.bpy_struct:
    """Add a strip of numbered pictures, which shows all of them."""
    first, *others = sorted(files)
    strip = strips.new_image(name=name, filepath=str(first), channel=channel, frame_start=start)
    for other in others:
        strip.elements.append(other.name)
    strip.frame_final_duration = 1 + len(others)
    return strip


def render(scene: bpy.types.Scene, folder: Path) -> None:
    """Render all frames of a scene into a folder."""
    scene.render.filepath = str(folder / "####.png")
    bpy.ops.render.render(animation=True, scene=scene.name)


def wait_until(true: Callable[[], object], meanwhile: Callable[[], object] = lambda: None) -> None:
    """Ask again and again until it is so, and do meanwhile what Blender's timers do."""
    end = time.monotonic() + 200
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
        meanwhile()


def poll_until(true: Callable[[], object]) -> None:
    """Poll the jobs until it is so."""
    wait_until(true, next(modules("jobs.queue"))._poll_all)
