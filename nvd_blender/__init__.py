"""NVD in Blender: decompose a clip into layers, paint their atlases, re-composite the shot."""

from __future__ import annotations

from . import atlas_files, chores, coverage, jobs, layers_panel, operators, panels, preferences, properties

_MODULES = (preferences, properties, operators, panels, layers_panel, coverage, atlas_files, jobs)


def register() -> None:
    """Called by Blender when the extension is enabled."""
    for module in _MODULES:
        module.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled. What runs is told to stop; jobs can be resumed."""
    chores.stop()
    for module in reversed(_MODULES):
        module.unregister()
