"""Show and hide layers of a result: eye and solo set one input of the layer's group.

Their states are custom properties of the group's node. A property with an update callback would be simpler, but
crashes Blender 4.2 on exit.
"""

from __future__ import annotations

from typing import Final, Literal

import bpy

from ..host.nodes import Node
from .layer_group import CONTROLS, SHOWN
from .scenes import LAYER_NODE, atlas_nodes, node_of

Switch = Literal["hidden", "solo"]

_KEY: Final = "nvd_{}"


def group_of(scene: bpy.types.Scene, layer: str) -> Node | None:
    """Node of a layer's group; None if the user has deleted it or its inputs."""
    node = node_of(scene, LAYER_NODE.format(layer))
    return node if node and all(name in node.inputs for name in (SHOWN, *(one.name for one in CONTROLS))) else None


def is_on(group: Node, switch: Switch) -> bool:
    """Whether a layer is hidden, or solo."""
    return bool(group.get(_KEY.format(switch), False))


def turn(scene: bpy.types.Scene, layer: str, switch: Switch) -> None:
    """Toggle a layer's eye or solo; while any layer is solo, only solo layers are shown."""
    chosen = group_of(scene, layer)
    chosen[_KEY.format(switch)] = not is_on(chosen, switch)
    groups = [group for name in atlas_nodes(scene) if (group := group_of(scene, name))]
    any_solo = any(is_on(group, "solo") for group in groups)
    for group in groups:
        is_shown = is_on(group, "solo") if any_solo else not is_on(group, "hidden")
        group.inputs[SHOWN].default_value = float(is_shown)
