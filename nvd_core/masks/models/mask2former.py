"""Mask2Former (Cheng et al., 2022), trained for instances, knows objects in a frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn import functional
from transformers import Mask2FormerForUniversalSegmentation

from nvd_core.devices import choose_device
from nvd_core.masks.instances import Instances
from nvd_core.masks.models.local import load, normalised
from nvd_core.settings import Device

_STRIDE: Final = 32
"""Frames must be a multiple of this long and wide."""


@final
@dataclass(frozen=True)
class Mask2Former:
    """The model."""

    _model: Mask2FormerForUniversalSegmentation
    _device: torch.device

    @classmethod
    def open(cls, folder: Path, device: Device) -> Mask2Former:
        """From a folder; see :func:`nvd_core.masks.models.local.load`."""
        chosen = choose_device(device)
        return cls(load(Mask2FormerForUniversalSegmentation, folder, chosen, "eager"), chosen)

    @torch.inference_mode()
    def instances(self, frame: UInt8[np.ndarray, "height width 3"]) -> Instances:
        """What it knows: of every query its best class, as sure as that class and its mask are."""
        height, width = frame.shape[:2]
        size = (_STRIDE * max(1, round(height / _STRIDE)), _STRIDE * max(1, round(width / _STRIDE)))
        said = self._model(normalised(frame, size, self._device))
        odds = functional.interpolate(said.masks_queries_logits, (height, width), mode="bilinear", align_corners=False)
        masks, shares = odds[0] > 0, odds[0].sigmoid()
        classes = said.class_queries_logits[0].softmax(-1)[:, :-1].amax(-1)  # the last is "no object"
        inside = (shares * masks).sum((1, 2)) / masks.sum((1, 2)).clamp(min=1)
        return Instances((classes * inside).cpu().numpy(), masks.cpu().numpy())
