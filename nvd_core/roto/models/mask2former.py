"""Segment instances with Mask2Former (Cheng et al., CVPR 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn import functional
from transformers import Mask2FormerForUniversalSegmentation

from nvd_core.roto.models.local import load, normalised
from nvd_core.roto.recognise import Instances
from nvd_core.runtime.devices import choose_device
from nvd_core.spec.settings import Device

_STRIDE: Final = 32
"""The input's sides are multiples of this, px."""


@final
@dataclass(frozen=True)
class Mask2Former:
    """The model; :meth:`instances` is a :data:`nvd_core.roto.recognise.Recognise`."""

    _model: Mask2FormerForUniversalSegmentation
    _device: torch.device

    @classmethod
    def open(cls, folder: Path, device: Device) -> Mask2Former:
        """Load from a folder; see :func:`nvd_core.roto.models.local.load`."""
        chosen = choose_device(device)
        return cls(load(Mask2FormerForUniversalSegmentation, folder, chosen, "eager"), chosen)

    @torch.inference_mode()
    def instances(self, frame: UInt8[np.ndarray, "height width 3"]) -> Instances:
        """Segment the instances of a frame; a score is the best class's probability times the mask's mean one."""
        height, width = frame.shape[:2]
        size = (_STRIDE * max(1, round(height / _STRIDE)), _STRIDE * max(1, round(width / _STRIDE)))
        output = self._model(normalised(frame, size, self._device))
        logits = functional.interpolate(
            output.masks_queries_logits, (height, width), mode="bilinear", align_corners=False
        )
        masks, shares = logits[0] > 0, logits[0].sigmoid()
        classes = output.class_queries_logits[0].softmax(-1)[:, :-1].amax(-1)  # the last is "no object"
        inside = (shares * masks).sum((1, 2)) / masks.sum((1, 2)).clamp(min=1)
        return Instances((classes * inside).cpu().numpy(), masks.cpu().numpy())
