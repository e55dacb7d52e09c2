"""The frame EXRs: for every frame its rebuilt picture, and each layer's UV pass, alpha and residual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from nvd_core.compositing import look_up, rebuild
from nvd_core.exr import Pixels, write_exr
from nvd_core.folder import frame_path
from nvd_core.parallel import map_ordered
from nvd_core.shot import PlateFrame, Shot
from nvd_core.solution import LayerFrame, Solution


def write_frames(shot: Shot, solution: Solution, folder: Path, name: str) -> Iterator[Path]:
    """Write the frames that are not there yet, and yield the path of each in order."""
    atlases = {layer: solution.colour(layer) for layer in solution.layers}

    def write(frame: PlateFrame) -> Path:
        path = frame_path(folder, name, frame.number)
        layers = solution.frame(frame.number, frame.plate, frame.mattes)
        write_exr(path, frame_channels(dict(zip(solution.layers, layers, strict=True)), atlases))
        return path

    missing = [number for number in shot.numbers if not frame_path(folder, name, number).is_file()]
    return map_ordered(write, shot.plates(missing), shot.at_once)


def write_channels(layers: Sequence[str], path: Path) -> None:
    """Write a black pixel with the channels of a frame."""
    black = LayerFrame(np.zeros((1, 1, 2), np.float32), np.zeros((1, 1), np.float32), np.zeros((1, 1, 3), np.float32))
    write_exr(path, frame_channels(dict.fromkeys(layers, black), dict.fromkeys(layers, black.residual)))


def frame_channels(
    layers: dict[str, LayerFrame], atlases: dict[str, Float32[np.ndarray, "rows columns 3"]]
) -> dict[str, Pixels]:
    """Channels of a frame's EXR; see the layout in :mod:`nvd_core.folder`.

    Alpha and residual are rounded to half floats first, so that R, G, B are what a compositing program
    gets from the other channels.
    """
    channels: dict[str, Pixels] = {}
    parts = []
    for name, layer in layers.items():
        alpha, residual = layer.alpha.astype(np.float16), layer.residual.astype(np.float16)
        channels[f"{name}.uv.X"], channels[f"{name}.uv.Y"] = np.moveaxis(layer.uv_atlas, -1, 0)
        channels[f"{name}.uv.Z"] = np.ones_like(layer.alpha)
        channels[f"{name}.alpha.V"] = alpha
        channels |= {f"{name}.residual.{axis}": residual[..., index] for index, axis in enumerate("RGB")}
        surface = look_up(atlases[name], layer.uv_atlas)
        parts.append((alpha.astype(np.float32), residual.astype(np.float32), surface))
    rebuilt = rebuild(parts).astype(np.float16)
    channels |= {axis: rebuilt[..., index] for index, axis in enumerate("RGB")}
    channels["A"] = np.ones(rebuilt.shape[:2], np.float16)
    return channels
