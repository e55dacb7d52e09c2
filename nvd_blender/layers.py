"""How the layers of a result are shown: eye and solo, which come to one input of the layer's group.

They are kept with the group's node. A property that calls back would be simpler, but crashes Blender 4.2 when it ends.
"""

from __future__ import annotations

from typing import Final, Literal

import bpy

from .compat import Node
from .layer_group import CONTROLS, SHOWN
from .results import LAYER_NODE, atlas_nodes, node_of

Switch = Literal["hidden", "solo"]

_KEY: Final = "nvd_{}"


def group_of(scene: bpy.types.Scene, layer: str) -> Node | None:
    """The node that has a layer's inputs, if it is as it was built."""
    node = node_of(scene, LAYER_NODE.format(layer))
    return node if node and all(name in node.inputs for name in (SHOWN, *(one.name for one in CONTROLS))) else None


def is_on(group: Node, switch: Switch) -> bool:
    """Whether a layer is hidden, or on solo."""
    return bool(group.get(_KEY.format(switch), False))


def turn(scene: bpy.types.Scene, layer: str, switch: Switch) -> None:
    """Hide or show a layer, or put it on or off solo: while any is, the others are not shown."""
    chosen = group_of(scene, layer)
    chosen[_KEY.format(switch)] = not is_on(chosen, switch)
    groups = [group for name in atlas_nodes(scene) if (group := group_of(scene, name))]
    any_solo = any(is_on(group, "solo") for group in groups)
    for group in groups:
        is_shown = is_on(group, "solo") if any_solo else not is_on(group, "hidden")
        group.inputs[SHOWN].default_value = float(is_shown)
