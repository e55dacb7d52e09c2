"""Texts of Blender's panels for the settings of :mod:`nvd_core.spec.settings`, and for messages of the engine.

The core's own texts are for the command line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple


class Words(NamedTuple):
    """Texts of a setting.

    Attributes:
        name: label of the field.
        text: tooltip.
        choices: name and tooltip of each value that is offered.
        unset: placeholder in an empty field, which leaves the setting to the preset.
        is_folder: whether it is the path of a folder.
        untold: values that are not told of, though there are some in text.
    """

    name: str
    text: str
    choices: Mapping[str, tuple[str, str]] = MappingProxyType({})
    unset: str = ""
    is_folder: bool = False
    untold: tuple[str, ...] = ()


SETTINGS: Final = {
    "preset": Words(
        "Preset",
        "How much care is taken, and how long it takes",
        {
            "preview": ("Preview", "A first look: followed at half size, with smaller atlases"),
            "standard": ("Standard", "For work: followed at up to 480 lines, with atlases of twice the clip's detail"),
            "final": ("Final", "Followed at the clip's own size, up to 1080 lines. Takes longest"),
        },
    ),
    "solver": Words(
        "Solver",
        "What finds out how every layer moves",
        {
            "lattice": ("Lattice", "A grid bent along the motion. Runs on any computer"),
            "neural": (
                "Neural",
                "The lattice, refined by networks that are trained on the clip. Takes much longer without an NVIDIA "
                "GPU. Needs the neural solver to be installed: Preferences, Add-ons, NVD",
            ),
        },
    ),
    "residual": Words(
        "Light",
        "What of the shot falls on the paint as its light",
        {
            "editing": ("Soft", "Shading and shadows alone. Best where atlases are painted"),
            "fidelity": (
                "Detailed",
                "All that differs from the atlas. Closer to the plate, but old texture shines through",
            ),
        },
    ),
    "find": Words(
        "Find",
        "What becomes a layer of its own while the list of objects is empty",
        {
            "moving": ("Moving", "What moves against the camera"),
            "nothing": ("Nothing", "All of the clip is one background"),
        },
    ),
    "flow": Words(
        "Motion Vectors",
        "Folder with a file of motion vectors for every frame: EXR with Blender's vector pass, or .flo. If empty, "
        "motion is found in the pictures",
        unset="Found in the Clip",
        is_folder=True,
        untold=("dis", "raft"),
    ),
    "height": Words(
        "Lines",
        "Height of the pictures that motion is followed in. More finds finer motion and takes longer; results are of "
        "the clip's own size all the same",
        unset="By Preset",
    ),
    "memory": Words(
        "Memory Limit",
        "The most memory that may be used, such as 4G or 800M. Results do not depend on it",
        unset="Three Quarters of All",
    ),
}

_ADVICE: Final = (
    (r"with --frames", "with the strip's handles"),
    (r"--frames (\d+-\d+)", r"frames \1"),
    (r", or nvd decompose --resume", ""),
    (r" with -o", ""),
    (r"with --replace", "with Replace"),
    (r"Use a smaller --height, or --device cpu\.", "Set fewer Lines under Options."),
    (r"Add --(solver|start) (\w+)", r"Choose \2 under Options"),
    (r"Try another --seed\.", "Use the solver Lattice."),
    (r"--flow raft", "the model under Motion Vectors"),
    (r"Use --device cpu\.", "Use the solver Lattice."),
    (r"pip install 'nvd-blender\[neural\]'", "Add torch in the extension's preferences"),
    (r"See nvd decompose --help\.", "Choose another under Options."),
)
"""Patterns of advice with command line flags, and its wording for Blender."""


def in_blender(text: str) -> str:
    """Reword a message of the engine for Blender: panels and buttons in place of flags."""
    for pattern, words in _ADVICE:
        text = re.sub(pattern, words, text)
    return text
