"""Write the frame EXRs: the rebuilt picture of every frame, and each layer's UV pass, alpha and residual."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from nvd_core.image.exr import HALF_MOST, Pixels, to_half, write_exr
from nvd_core.runtime.parallel import map_ordered
from nvd_core.runtime.progress import SILENT, Progress
from nvd_core.shot import PlateFrame, Shot
from nvd_core.shot.compositing import look_up, rebuild
from nvd_core.shot.solution import LayerFrame, Solution
from nvd_core.spec.folder import frame_path


def write_frames(shot: Shot, solution: Solution, folder: Path, name: str, progress: Progress = SILENT) -> None:
    """Write the frame EXRs that do not exist yet."""
    atlases = {layer: solution.colour(layer) for layer in solution.layers}

    def write(frame: PlateFrame) -> None:
        layers = solution.frame(frame.number, frame.plate, frame.mattes)
        channels = frame_channels(zip(solution.layers, layers, strict=True), atlases)
        write_exr(frame_path(folder, name, frame.number), channels)

    missing = [number for number in shot.numbers if not frame_path(folder, name, number).is_file()]
    for _ in progress.track(map_ordered(write, shot.plates(missing), shot.at_once), len(missing)):
        pass


def write_channels(layers: Sequence[str], path: Path) -> None:
    """Write an EXR of one black pixel with all channels of a frame."""
    black = LayerFrame(np.zeros((1, 1, 2), np.float32), np.zeros((1, 1), np.float32), np.zeros((1, 1, 3), np.float32))
    write_exr(path, frame_channels([(name, black) for name in layers], dict.fromkeys(layers, black.residual)))


def frame_channels(
    layers: Iterable[tuple[str, LayerFrame]], atlases: dict[str, Float32[np.ndarray, "rows columns 3"]]
) -> dict[str, Pixels]:
    """Composite a frame and lay out the channels of its EXR, as :mod:`nvd_core.spec.folder` documents them.

    Alpha and residual are rounded to half floats first, so that R, G, B equal what a compositing program
    computes from the other channels.
    """
    channels: dict[str, Pixels] = {}

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for name, layer in layers:
            alpha, residual = to_half(layer.alpha), to_half(layer.residual)
            uv_atlas = np.clip(layer.uv_atlas, -HALF_MOST, HALF_MOST)  # that far out the atlas's edge is sampled anyway
            channels[f"{name}.alpha.V"] = alpha
            # Copies: views would keep the whole array alive, and be copied when written.
            channels.update({f"{name}.uv.{axis}": uv_atlas[..., index].copy() for index, axis in enumerate("XY")})
            channels.update(
                {f"{name}.residual.{axis}": residual[..., index].copy() for index, axis in enumerate("RGB")}
            )
            yield alpha.astype(np.float32), residual.astype(np.float32), look_up(atlases[name], layer.uv_atlas)

    rebuilt = to_half(rebuild(parts()))
    channels |= {axis: rebuilt[..., index] for index, axis in enumerate("RGB")}
    channels["A"] = np.ones(rebuilt.shape[:2], np.float16)
    third = np.ones(rebuilt.shape[:2], np.float32)
    return channels | {f"{name}.uv.Z": third for name in atlases}
