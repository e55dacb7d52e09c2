"""RAFT (Teed and Deng, ECCV 2020) as torchvision has it, with weights from a file; nothing is downloaded."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from nvd_core.conventions import Size
from nvd_core.errors import InputError, SetupError, UsageError
from nvd_core.flow.dis import FlowPx
from nvd_core.flow.given import Frames
from nvd_core.parallel import WORKERS
from nvd_core.settings import Device

_AREA_PX: Final = 512 * 288
"""Frames are looked at with no more pixels than this."""

_MULTIPLE: Final = 8
_LEAST_PX: Final = 128
"""What the network takes: sides of a multiple of the one, and no smaller than the other."""

_DISTANCES: Final = (1, 2, 4)
"""At which it is asked: what passes before a point for up to three frames is gone around."""

Rgb = UInt8[np.ndarray, "height width 3"]
Network = Callable[[Rgb, Rgb], FlowPx]
"""Flow from the first picture to the second, px of these, whose sides are what the network takes."""


@final
@dataclass(frozen=True)
class Raft:
    """A source of flow; see :class:`nvd_core.flow.given.Provider`.

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
        """See :class:`nvd_core.flow.given.Provider`; of the size that is looked at."""
        size = looked_at(Size(frames.shape[2], frames.shape[1]))
        here, there = (padded(cv2.resize(frames[t], size, interpolation=cv2.INTER_AREA)) for t in (a, b))
        whole = np.s_[: size.height, : size.width]
        return self.network(here, there)[whole], self.network(there, here)[whole]


def looked_at(size: Size) -> Size:
    """The size that frames of such a size are shrunk to."""
    scale = min(1.0, math.sqrt(_AREA_PX / (size.width * size.height)))
    return Size(round(size.width * scale), round(size.height * scale))


def padded(picture: Rgb) -> UInt8[np.ndarray, "padded_height padded_width 3"]:
    """A picture that goes on to the right and below, until the network takes it."""
    height, width = picture.shape[:2]
    more = [max(_LEAST_PX, -(-side // _MULTIPLE) * _MULTIPLE) - side for side in (height, width)]
    return cv2.copyMakeBorder(picture, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE)


def open_raft(weights: str, device: Device = "auto") -> Raft:
    """RAFT with weights of torchvision's ``raft_large`` or ``raft_small``.

    Args:
        weights: path of their file; see :func:`nvd_core.weights.read_weights`.
        device: what it runs on.

    Raises:
        UsageError: no file is named.
        InputError: there is no such file, or other weights are in it.
        SetupError: torch or torchvision cannot be imported, or there is no such device.
    """
    if not weights:
        raise UsageError("RAFT needs its weights", hint="Write --flow raft:WEIGHTS.")
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
    from nvd_core.devices import choose_device  # noqa: PLC0415 (needs torch)
    from nvd_core.weights import read_weights  # noqa: PLC0415

    path, chosen = Path(weights), choose_device(device)
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
