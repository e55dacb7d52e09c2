"""The extension, installed into the Blender that runs this, and its modules."""

from __future__ import annotations

from collections.abc import Iterator
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
