"""Properties of a clip's objects, front to back, each with the source of its mask."""

from __future__ import annotations

from typing import Any, Final

import bpy

from nvd_core.spec.choices import AtPath
from nvd_core.spec.choices.mask_origins import MASK_ORIGINS, ClipAlpha, Marks, MaskOrigin

_SOURCES: Final = (
    ("FILE", "Files", "Pictures, one picture or a video; white marks the object", "FILE_FOLDER", 0),
    ("MASK", "Blender Mask", "Drawn in the Clip or Image editor; may be animated or follow tracks", "MOD_MASK", 1),
    ("STRIP", "Strip", "Another movie or image strip of the Sequencer; white marks the object", "SEQUENCE", 2),
    ("ALPHA", "Alpha", "The alpha of the clip itself", "IMAGE_ALPHA", 3),
)  # fmt: skip
ICONS: Final = {name: icon for name, _, _, icon, _ in _SOURCES}
"""Icons of the sources that have one."""

_CLOCKS: Final = (
    (
        "FOOTAGE",
        "Footage",
        "The footage's first frame is the mask's frame 1, as in the Clip editor with a clip that starts there, "
        "wherever the strip stands",
    ),
    ("TIMELINE", "Timeline", "The mask is taken as it is at the scene's frames at which the strip is shown"),
)


class NVD_PG_mask(bpy.types.PropertyGroup):
    """One object's mask. Its ``source`` is declared when it is registered: the table may have grown by then."""

    name: bpy.props.StringProperty(name="Layer", description="Name of the object's layer", default="object")
    path: bpy.props.StringProperty(
        name="Files", description="A movie, numbered pictures, or one picture for all frames; white marks the object"
    )
    picture: bpy.props.StringProperty(name="Picture", description="The mask of that one frame; white marks the object")
    keys: bpy.props.StringProperty(
        name="Carried From",
        description="Frames of the clip at which the mask fits, as its files are numbered, those of a movie from 1: "
        "12, or 12, 40. It is carried to all others. If empty, there is a mask for every frame",
    )
    frames: bpy.props.StringProperty(
        name="Carried From", description="The same by the timeline, as earlier versions kept it", options={"HIDDEN"}
    )
    mask: bpy.props.PointerProperty(name="Name", description="The mask", type=bpy.types.Mask)
    noted: bpy.props.StringProperty(
        name="Noted", description="Name of the mask or strip that was chosen", options={"HIDDEN"}
    )
    noted_id: bpy.props.StringProperty(
        name="Noted", description="What tells that one from others of its name", options={"HIDDEN"}
    )
    still: bpy.props.BoolProperty(
        name="Same in All Frames", description="The mask stands still, as the object does: it is not carried"
    )
    layer: bpy.props.StringProperty(name="Layer", description="The mask's layer; all that are not hidden if empty")
    clock: bpy.props.EnumProperty(name="Frames", description="Which frame of the mask is whose", items=_CLOCKS)
    locked: bpy.props.BoolProperty(
        name="Lock Matte", description="The layer's alpha is this mask as it is, whatever the solver learns"
    )
    strip: bpy.props.StringProperty(
        name="Name",
        description="The strip. What it shows at the same time as the clip is the mask; a single picture is for all "
        "frames. Blending, effects and transforms do not count",
    )


def source_property() -> Any:  # noqa: ANN401 (Blender's)
    """Create the property of a mask's source: those above, then rows of the core's table that need no path or marks."""
    rows = [one for one in MASK_ORIGINS.values() if one is not ClipAlpha and not issubclass(one, AtPath | Marks)]
    more = ((one.name, one.name, one.about, "NONE", len(_SOURCES) + index) for index, one in enumerate(rows))
    items = (*_SOURCES, *more)
    return bpy.props.EnumProperty(name="Mask", description="Where the object's mask comes from", items=items)


def row_of(item: NVD_PG_mask) -> type[MaskOrigin] | None:
    """Row of the core's table that makes an object's mask for all frames; None if files or Blender do."""
    return ClipAlpha if item.source == "ALPHA" else MASK_ORIGINS.get(item.source)


def asked(owner: Any, scene: bpy.types.Scene) -> bpy.types.PropertyGroup:  # noqa: ANN401 (a strip's class differs)
    """Objects and output folder of a strip or movie clip; while it has none, those that an earlier version stored.

    Args:
        owner: strip or movie clip.
        scene: of the strip, in which earlier versions stored them.
    """
    is_bare = not (owner.nvd.masks or owner.nvd.folder)
    return scene.nvd if is_bare and (scene.nvd.masks or scene.nvd.folder) else owner.nvd


def active_of(group: bpy.types.PropertyGroup) -> NVD_PG_mask | None:
    """Active object of a list of objects."""
    return group.masks[group.active_mask] if 0 <= group.active_mask < len(group.masks) else None


def take_over(owner: Any, scene: bpy.types.Scene) -> bool:  # noqa: ANN401
    """Move what :func:`asked` finds in the scene to a strip or movie clip; return whether there was anything."""
    kept, own = asked(owner, scene), owner.nvd
    if kept != scene.nvd:
        return False
    for item in kept.masks:
        copy = own.masks.add()
        for one in item.bl_rna.properties:
            if not one.is_readonly and one.identifier != "rna_type":
                setattr(copy, one.identifier, getattr(item, one.identifier))
    own.folder, own.active_mask = kept.folder, kept.active_mask
    kept.masks.clear()
    kept.folder = ""
    return True
