"""What the user can set before a job, kept with the scene. Settings come from :mod:`nvd_core.settings`."""

from dataclasses import fields
from types import UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import bpy
from annotated_types import DocInfo, Interval

from nvd_core.errors import UsageError
from nvd_core.settings import Settings

from .objects import NVD_PG_mask, NVD_UL_objects

_BY_THE_STRIP: Final = (
    "frames", "fps", "carry", "start", "steps", "batch", "window", "seed", "budget_s", "target_psnr", "device",
)  # fmt: skip
"""What the strip or clip says, and what can be asked for in a terminal only."""

_NOT_OFFERED: Final = "paper"
"""A preset that takes days without a GPU."""


def _property(name: str, annotation: Any, default: Any) -> Any:  # noqa: ANN401
    """The Blender property of a setting: its choices, bounds and text are those of the declaration.

    Of what may also name a learned model there are the choices alone.
    """
    kind, *notes = get_args(annotation)
    texts = {
        "name": name.capitalize(),
        "description": next(one.documentation for one in notes if isinstance(one, DocInfo)),
    }
    choices = next((one for one in (kind, *get_args(kind)) if get_origin(one) is Literal), None)
    if choices:
        items = [(value, value.capitalize(), "") for value in get_args(choices) if value != _NOT_OFFERED]
        return bpy.props.EnumProperty(items=items, default=default, **texts)
    if kind is str:
        return bpy.props.StringProperty(default=default, **texts)
    if get_origin(kind) in (Union, UnionType):  # a number, or 0 for "as the preset says"
        return bpy.props.IntProperty(default=0, min=0, max=_bounds(annotation).le, **texts)
    raise TypeError(name)


def _bounds(annotation: Any) -> Interval:  # noqa: ANN401
    """Of a number that may be None."""
    return next(one for one in get_args(get_args(get_args(annotation)[0])[0]) if isinstance(one, Interval))


def _properties() -> dict[str, Any]:
    hints = get_type_hints(Settings, include_extras=True)
    shown = [one for one in fields(Settings) if one.name not in _BY_THE_STRIP]
    return {one.name: _property(one.name, hints[one.name], one.default) for one in shown}


NVD_PG_settings = type("NVD_PG_settings", (bpy.types.PropertyGroup,), {"__annotations__": _properties()})


class NVD_PG_scene(bpy.types.PropertyGroup):
    """What is asked for in a scene."""

    settings: bpy.props.PointerProperty(type=NVD_PG_settings)
    masks: bpy.props.CollectionProperty(type=NVD_PG_mask)
    active_mask: bpy.props.IntProperty(name="Object", description="Which object is shown below the list")
    folder: bpy.props.StringProperty(
        name="Output", description="Where the result goes; beside the clip if empty", subtype="DIR_PATH"
    )


_CLASSES = (NVD_PG_settings, NVD_PG_mask, NVD_PG_scene, NVD_UL_objects)


def register() -> None:
    """See :mod:`nvd_blender`."""
    for one in _CLASSES:
        bpy.utils.register_class(one)
    bpy.types.Scene.nvd = bpy.props.PointerProperty(type=NVD_PG_scene)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    del bpy.types.Scene.nvd
    for one in reversed(_CLASSES):
        bpy.utils.unregister_class(one)


def chosen_settings(scene: bpy.types.Scene) -> dict[str, Any]:
    """What is set, as in ``job.toml``; zeros, which leave it to the preset, are left out.

    Raises:
        UsageError: a number is neither zero nor within its bounds. A callback that mended it, or a getter, would
            crash Blender 4.2 as a module when it ends.
    """
    group, hints = scene.nvd.settings, get_type_hints(Settings, include_extras=True)
    chosen = {name: value for name in NVD_PG_settings.__annotations__ if (value := getattr(group, name))}
    for name, value in chosen.items():
        if isinstance(value, int) and value < (least := _bounds(hints[name]).ge):
            raise UsageError(f"{name.capitalize()} is {value}", hint=f"Set {least} or more, or 0 for the preset's.")
    if "flow" in chosen:  # a path may be relative to the blend file
        chosen["flow"] = bpy.path.abspath(chosen["flow"])
    return chosen
