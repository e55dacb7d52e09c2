"""Copy the look of a strip to its result: every property that changes the picture, with its animation.

A test lists every property of a strip, and fails if a later Blender adds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import bpy

from nvd_core.spec.errors import InputError

from ..host import compat

CARRIED: Final = (
    "use_flip_x", "use_flip_y", "color_saturation", "color_multiply", "multiply_alpha", "use_float", "blend_type",
    "blend_alpha", "use_linear_modifiers", "mute",
)  # fmt: skip
"""Properties that are copied, with their animation."""

PARTS: Final = ("transform", "crop")
"""Groups whose properties are all copied, with their animation."""

REFUSED: Final[Mapping[str, tuple[Any, str]]] = {
    "use_reverse_frames": (False, "plays backwards"),
    "strobe": (1.0, "has a strobe"),
    "use_deinterlace": (False, "is deinterlaced"),
    "use_multiview": (False, "has several views"),
    "stream_index": (0, "shows another stream of its file than the first"),
}
"""Largest value of properties that change frames or their order, and the words for more: the file's own frames are
decomposed."""

_HIDES: Final = ("REPLACE", "CROSS", "ALPHA_OVER")
"""Blend modes in which an opaque strip hides those below."""


def check(strip: Any) -> None:  # noqa: ANN401 (a strip's class differs)
    """Refuse a strip that shows other frames than its file's, in their order.

    Raises:
        InputError: a property in :data:`REFUSED` is set.
    """
    for name, (plain, said) in REFUSED.items():
        if getattr(strip, name, plain) > plain:
            raise InputError(f"The strip {said}", where=strip.name, hint="Undo that, and do it to the result instead.")


def hides_what_is_below(strip: Any) -> bool:  # noqa: ANN401
    """Whether a strip is opaque, so that its result may be placed above it without muting it."""
    return strip.blend_type in _HIDES and strip.blend_alpha == 1 and not _is_animated(strip, "blend_alpha")


def carry(scene: bpy.types.Scene, strip: Any, result: Any) -> None:  # noqa: ANN401
    """Copy a strip's look to another of its scene: transform, crop, colour, blending, modifiers, all with animation."""
    for name in CARRIED:
        if hasattr(strip, name):
            setattr(result, name, getattr(strip, name))
    for part in PARTS:
        owner, copy = getattr(strip, part), getattr(result, part)
        for one in owner.bl_rna.properties:
            if not one.is_readonly:
                setattr(copy, one.identifier, getattr(owner, one.identifier))
    if len(strip.modifiers):
        _copy_modifiers(scene, strip, result)
    _copy_animation(scene, strip, result)


def _copy_modifiers(scene: bpy.types.Scene, strip: Any, to: Any) -> None:  # noqa: ANN401
    """Copy modifiers with their curves and masks by Blender's operator; selection and active strip are restored."""
    editor = scene.sequence_editor
    shown, active = (editor.meta_stack[-1] if editor.meta_stack else None), editor.active_strip
    editor.display_stack(strip.parent_meta())  # the operator acts on strips of the shown level only
    selected = [one for one in compat.shown_strips(editor) if one.select]
    for one in selected:
        one.select = False
    strip.select = to.select = True
    editor.active_strip = strip
    try:
        with compat.sequencer_of(scene):
            bpy.ops.sequencer.strip_modifier_copy(type="REPLACE")
    finally:
        strip.select = to.select = False
        for one in selected:
            one.select = True
        editor.display_stack(shown)
        editor.active_strip = active


def _copy_animation(scene: bpy.types.Scene, strip: Any, to: Any) -> None:  # noqa: ANN401
    carried = tuple(f".{name}" for name in (*CARRIED, *PARTS, "modifiers"))
    curves = compat.curves_of(scene)
    for curve in list(curves):
        path = curve.data_path.removeprefix(strip.path_from_id())
        if path == curve.data_path or not path.startswith(carried):
            continue
        copy = curves.new(to.path_from_id() + path, index=curve.array_index)
        copy.extrapolation = curve.extrapolation
        copy.keyframe_points.add(len(curve.keyframe_points))
        for key, new in zip(curve.keyframe_points, copy.keyframe_points, strict=True):
            for one in key.bl_rna.properties:
                if not one.is_readonly:
                    setattr(new, one.identifier, getattr(key, one.identifier))
        copy.update()


def _is_animated(strip: Any, name: str) -> bool:  # noqa: ANN401
    path = f"{strip.path_from_id()}.{name}"
    return any(curve.data_path == path for curve in compat.curves_of(strip.id_data))
