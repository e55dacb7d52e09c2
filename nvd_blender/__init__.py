"""NVD in Blender: decompose a clip into layers, paint their atlases, re-composite the shot."""

from __future__ import annotations

import sys

if not any(name.startswith(f"{__name__}.") for name in sys.modules):
    # Where a version is installed over another one, Blender forgets all modules of that but what came in a wheel.
    for name in [name for name in sys.modules if f"{name}.".startswith("nvd_core.")]:
        del sys.modules[name]

from . import operators
from .engine import tasks
from .host import opened
from .jobs import beside, checks, frame_check, queue
from .result import atlas_files, coverage, edit_record, mask_view, shot_sheet, undo
from .source import ownership, properties
from .ui import layers_panel, menus, objects_panel, panels, preferences, progress

_MODULES = (
    preferences,
    properties,
    ownership,
    operators,
    objects_panel,
    panels,
    layers_panel,
    menus,
    progress,
    coverage,
    mask_view,
    atlas_files,
    edit_record,
    shot_sheet,
    undo,
    opened,
    queue,
)


def register() -> None:
    """Called by Blender when the extension is enabled."""
    for module in _MODULES:
        module.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled. Running programs are stopped; jobs can be resumed."""
    tasks.stop()
    checks.stop()
    beside.stop()
    frame_check.stop()
    for module in reversed(_MODULES):
        module.unregister()
