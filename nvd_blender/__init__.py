"""NVD in Blender: decompose a clip into layers, paint their atlases, re-composite the shot."""

from __future__ import annotations

from . import jobs, operators, panels, preferences, properties

_MODULES = (preferences, properties, operators, panels)


def register() -> None:
    """Called by Blender when the extension is enabled."""
    for module in _MODULES:
        module.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled. Running jobs are told to stop; they can be resumed."""
    jobs.stop_all()
    for module in reversed(_MODULES):
        module.unregister()
