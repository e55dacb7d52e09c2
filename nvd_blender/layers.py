"""How the layers of a result are shown: eye and solo here, opacity and light as inputs of their groups."""

from typing import NamedTuple

import bpy

from . import compat
from .compat import Node
from .layer_group import CONTROLS, SHOWN
from .results import LAYER_NODE, MODE_SWITCH, atlas_nodes, node_of


def _update(layer: bpy.types.PropertyGroup, _context: bpy.types.Context) -> None:
    _apply(layer.id_data)


class NVD_PG_layer(bpy.types.PropertyGroup):
    """Eye and solo of a layer."""

    visible: bpy.props.BoolProperty(
        name="Visible", description="Show the layer, or its paint where the plate is kept", default=True,
        update=_update,
    )  # fmt: skip
    solo: bpy.props.BoolProperty(
        name="Solo", description="Show no other layers than those on solo",
        update=_update,
    )  # fmt: skip


class Looks(NamedTuple):
    """What the artist has set in a result."""

    rebuild: bool
    controls: dict[str, dict[str, float]]


def group_of(scene: bpy.types.Scene, layer: str) -> Node | None:
    """The node that has a layer's inputs, if it is as it was built."""
    node = node_of(scene, LAYER_NODE.format(layer))
    return node if node and all(name in node.inputs for name in (SHOWN, *(one.name for one in CONTROLS))) else None


def looks(scene: bpy.types.Scene) -> Looks:
    """What is set, to be restored when the tree has been built anew."""
    switch = node_of(scene, MODE_SWITCH)
    groups = {layer: group for layer in atlas_nodes(scene) if (group := group_of(scene, layer))}
    return Looks(
        bool(switch and getattr(*compat.switch_property(switch))),
        {
            layer: {one.name: group.inputs[one.name].default_value for one in CONTROLS}
            for layer, group in groups.items()
        },
    )


def restore(scene: bpy.types.Scene, kept: Looks) -> None:
    """Set a tree that was just built as an earlier one was, and list its layers."""
    owner, name = compat.switch_property(node_of(scene, MODE_SWITCH))
    setattr(owner, name, kept.rebuild)
    names = list(atlas_nodes(scene))
    for index in reversed([index for index, one in enumerate(scene.nvd_layers) if one.name not in names]):
        scene.nvd_layers.remove(index)
    for layer in names:
        if layer not in scene.nvd_layers:
            scene.nvd_layers.add().name = layer
        for control, value in kept.controls.get(layer, {}).items():
            group_of(scene, layer).inputs[control].default_value = value
    _apply(scene)


def _apply(scene: bpy.types.Scene) -> None:
    """Eye and solo come to one number a layer."""
    any_solo = any(one.solo for one in scene.nvd_layers)
    for one in scene.nvd_layers:
        if group := group_of(scene, one.name):
            group.inputs[SHOWN].default_value = float(one.solo if any_solo else one.visible)


def register() -> None:
    """See :mod:`nvd_blender`."""
    bpy.utils.register_class(NVD_PG_layer)
    bpy.types.Scene.nvd_layers = bpy.props.CollectionProperty(type=NVD_PG_layer)


def unregister() -> None:
    """See :mod:`nvd_blender`."""
    del bpy.types.Scene.nvd_layers
    bpy.utils.unregister_class(NVD_PG_layer)
