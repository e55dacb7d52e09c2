"""The extension's preferences: which Python the worker runs on."""

import bpy


class NVD_AP_preferences(bpy.types.AddonPreferences):
    """Where the engine is."""

    bl_idname = __package__

    python: bpy.props.StringProperty(
        name="Engine's Python",
        description="Python that has nvd-blender[engine] installed; the decomposition runs there, not in Blender",
        subtype="FILE_PATH",
    )

    def draw(self, _context: bpy.types.Context) -> None:
        """Drawn in the preferences window."""
        self.layout.prop(self, "python")


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.utils.register_class(NVD_AP_preferences)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    bpy.utils.unregister_class(NVD_AP_preferences)
