"""Optical flow by torchvision's RAFT (Teed and Deng, ECCV 2020), with weights from a file; nothing is downloaded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nvd_core.flow.dis import FlowPx
from nvd_core.flow.given import Frames
from nvd_core.runtime.parallel import WORKERS
from nvd_core.runtime.weights import check_file, read_weights
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError, SetupError, UsageError
from nvd_core.spec.settings import Device

_AREA_PX: Final = 512 * 288
"""Most pixels of the network's input; larger frames are shrunk."""

_MULTIPLE: Final = 8
_LEAST_PX: Final = 128
"""The network takes sides that are multiples of the first, and no shorter than the second, px."""

_DISTANCES: Final = (1, 2, 4)
"""Frames between the two of a pair: flow over four frames spans occlusions of up to three."""

Rgb = UInt8[np.ndarray, "height width 3"]
Network = Callable[[Rgb, Rgb], FlowPx]
"""Optical flow from the first picture to the second, px; both padded."""


@final
@dataclass(frozen=True)
class Raft:
    """Source of optical flow, a :class:`nvd_core.flow.given.Provider`.

    Attributes:
        path: of the weights.
        network: with these weights.
    """

    path: Path
    network: Network
    distances: tuple[int, ...] = _DISTANCES

    @property
    def files(self) -> tuple[Path, ...]:
        """The weights."""
        return (self.path,)

    def pair(self, frames: Frames, a: int, b: int) -> tuple[FlowPx, FlowPx]:
        """Optical flow from frame ``a`` to ``b`` and back, px at the network's input size."""
        size = looked_at(Size(frames.shape[2], frames.shape[1]))
        here, there = (padded(cv2.resize(frames[t], size, interpolation=cv2.INTER_AREA)) for t in (a, b))
        whole = np.s_[: size.height, : size.width]
        return self.network(here, there)[whole], self.network(there, here)[whole]


def looked_at(size: Size) -> Size:
    """Input size of the network for frames of this size."""
    scale = min(1.0, math.sqrt(_AREA_PX / (size.width * size.height)))
    return Size(round(size.width * scale), round(size.height * scale))


def padded(picture: Rgb) -> UInt8[np.ndarray, "padded_height padded_width 3"]:
    """Pad a picture at the right and below, by its border, to sides that the network takes."""
    height, width = picture.shape[:2]
    more = [max(_LEAST_PX, -(-side // _MULTIPLE) * _MULTIPLE) - side for side in (height, width)]
    return cv2.copyMakeBorder(picture, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE)


def open_raft(weights: str, device: Device = "auto") -> Raft:
    """Load RAFT with weights of torchvision's ``raft_large`` or ``raft_small``.

    Args:
        weights: path of their file; see :func:`nvd_core.runtime.weights.read_weights`.
        device: where it runs.

    Raises:
        UsageError: no file is named.
        InputError: there is no such file, or other weights are in it.
        SetupError: torch or torchvision cannot be imported, or there is no such device.
    """
    if not weights:
        raise UsageError("RAFT needs its weights", hint="Write --flow raft:WEIGHTS.")
    path = Path(weights)
    check_file(path)
    try:
        import torch  # noqa: PLC0415 (few have it)
        from torchvision.models.optical_flow import (  # noqa: PLC0415  # pyright: ignore[reportMissingImports]
            raft_large,
            raft_small,
        )
    except (ImportError, RuntimeError, OSError) as error:  # a build for another torch fails in either way
        raise SetupError(
            "RAFT needs torch and torchvision, which cannot be imported",
            hint="Install the torchvision made for your torch, or leave --flow raft out.",
        ) from error
    from nvd_core.runtime.devices import choose_device  # noqa: PLC0415 (needs torch)

    chosen = choose_device(device)
    torch.set_num_threads(WORKERS)
    state = read_weights(path)
    for make in (raft_large, raft_small):
        model = make(weights=None)
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        if shapes == {name: value.shape for name, value in state.items()}:
            model.load_state_dict(state)
            break
    else:
        raise InputError("The file holds no weights of torchvision's RAFT", where=path, hint="Name another.")
    model = model.train(mode=False).to(chosen)

    def network(here: Rgb, there: Rgb) -> Float32[np.ndarray, "height width 2"]:
        pictures = [
            torch.from_numpy(one).to(chosen).permute(2, 0, 1)[None].float() / 127.5 - 1 for one in (here, there)
        ]
        with torch.inference_mode():
            return model(*pictures)[-1][0].permute(1, 2, 0).cpu().numpy()

    return Raft(path, network)
