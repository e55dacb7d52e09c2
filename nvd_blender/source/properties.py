"""Blender properties of a job: settings in the scene, declared by :mod:`nvd_core.spec.settings`; objects, output.

Objects and output folder are stored in their strip or movie clip, and so follow it when it is copied, split, saved or
appended.
"""

from dataclasses import fields
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import bpy
from annotated_types import Interval

from nvd_core.spec.choices import AtPath, Choice, Text, listed
from nvd_core.spec.choices.flow_sources import FlowSource
from nvd_core.spec.errors import UsageError
from nvd_core.spec.settings import Settings

from ..host import compat
from .objects import NVD_PG_mask, source_property
from .wording import SETTINGS

_BY_THE_STRIP: Final = (
    "frames", "fps", "carry", "start", "steps", "batch", "window", "seed", "budget_s", "target_psnr", "device",
)  # fmt: skip
"""Settings without a field: determined by the strip or clip, or available on the command line only."""

_HINTS: Final = get_type_hints(Settings, include_extras=True)


def _property(name: str, annotation: Any, default: Any) -> Any:  # noqa: ANN401
    """Create the Blender property of a setting, with the declared bounds and the texts of :mod:`.wording`.

    Rows of a table that have no texts there are offered, too, by their names; in lists, those that take no path.
    """
    words, kind = SETTINGS[name], get_args(annotation)[0]
    rows = kind.rows if isinstance(kind, type) and issubclass(kind, Choice) else {}
    more = {one: row for one, row in rows.items() if one not in words.choices and one not in words.untold}
    if words.choices:
        items = [(one, *said) for one, said in words.choices.items()]
        items += [(one, one, row.about) for one, row in more.items() if not issubclass(row, AtPath)]
        return bpy.props.EnumProperty(items=items, default=str(default), name=words.name, description=words.text)
    texts = {"name": words.name, "description": ". Or ".join([words.text, *(listed([row]) for row in more.values())])}
    if isinstance(kind, type) and issubclass(kind, Text):
        options = {"subtype": "DIR_PATH", **compat.RELATIVE_PATH} if words.is_folder else {}
        return bpy.props.StringProperty(**options, **texts)
    if get_origin(kind) in (Union, UnionType):  # a number, or 0 for "as the preset says"
        return bpy.props.IntProperty(default=0, min=0, max=_bounds(annotation).le, **texts)
    raise TypeError(name)


def _bounds(annotation: Any) -> Interval:  # noqa: ANN401
    """Declared bounds of a number that may be None."""
    return next(one for one in get_args(get_args(get_args(annotation)[0])[0]) if isinstance(one, Interval))


def _properties() -> dict[str, Any]:
    shown = [one for one in fields(Settings) if one.name not in _BY_THE_STRIP]
    return {one.name: _property(one.name, _HINTS[one.name], one.default) for one in shown}


class NVD_PG_settings(bpy.types.PropertyGroup):
    """Settings of a decomposition. The properties are declared when it is registered: tables may have grown by then."""


class _Asked:
    masks: bpy.props.CollectionProperty(type=NVD_PG_mask)
    active_mask: bpy.props.IntProperty(name="Object", description="Which object is shown below the list")
    folder: bpy.props.StringProperty(
        name="Output",
        description="Where the result goes; beside the clip if empty",
        subtype="DIR_PATH",
        **compat.RELATIVE_PATH,
    )


class NVD_PG_clip(_Asked, bpy.types.PropertyGroup):
    """Objects and output of a strip or a movie clip."""


class NVD_PG_scene(_Asked, bpy.types.PropertyGroup):
    """Settings of a scene; objects and output are those that an earlier version has stored there."""

    settings: bpy.props.PointerProperty(type=NVD_PG_settings)


_CLASSES = (NVD_PG_settings, NVD_PG_mask, NVD_PG_clip, NVD_PG_scene)
_OWNERS = (compat.Strip, bpy.types.MovieClip)


def register() -> None:
    """See :mod:`nvd_blender`."""
    NVD_PG_settings.__annotations__ = _properties()
    NVD_PG_mask.__annotations__["source"] = source_property()
    for one in _CLASSES:
        bpy.utils.register_class(one)
    bpy.types.Scene.nvd = bpy.props.PointerProperty(type=NVD_PG_scene)
    for owner in _OWNERS:
        owner.nvd = bpy.props.PointerProperty(type=NVD_PG_clip)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    for owner in (bpy.types.Scene, *_OWNERS):
        del owner.nvd
    for one in reversed(_CLASSES):
        bpy.utils.unregister_class(one)


def chosen_settings(scene: bpy.types.Scene) -> dict[str, Any]:
    """Settings of a scene as in ``job.toml``, without zeros and empty texts, which leave a setting to the preset.

    Raises:
        UsageError: a number is neither zero nor in its range. (An update callback or getter that corrects it would
            crash Blender 4.2 as a module on exit.)
    """
    group = scene.nvd.settings
    chosen = {name: value for name in NVD_PG_settings.__annotations__ if (value := getattr(group, name))}
    for name, value in chosen.items():
        if isinstance(value, int) and value < (least := _bounds(_HINTS[name]).ge):
            raise UsageError(f"{SETTINGS[name].name} is {value}", hint=f"Set {least} or more, or 0 for the preset's.")
    if "flow" in chosen:  # a path may be relative to the blend file
        chosen["flow"] = str(FlowSource.parse(chosen["flow"]).placed(bpy.path.abspath))
    return chosen
