"""Segment instances with torchvision's Mask R-CNN (He et al., ICCV 2017), of ResNet-50 and a feature pyramid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from jaxtyping import UInt8

from nvd_core.roto.recognise import Instances
from nvd_core.runtime.devices import choose_device
from nvd_core.runtime.parallel import WORKERS
from nvd_core.runtime.weights import read_weights
from nvd_core.spec.errors import InputError, SetupError
from nvd_core.spec.settings import Device


@final
@dataclass(frozen=True)
class MaskRcnn:
    """The model; :meth:`instances` is a :data:`nvd_core.roto.recognise.Recognise`."""

    _model: Any
    _device: torch.device

    @classmethod
    def open(cls, path: Path, device: Device) -> MaskRcnn:
        """Load from a file of weights as torchvision publishes them, or the same as safetensors.

        Raises:
            SetupError: torchvision does not fit torch.
            InputError: there is no such file, or other weights are in it.
        """
        try:
            from torchvision.models.detection import maskrcnn_resnet50_fpn  # noqa: PLC0415  # pyright: ignore[reportMissingImports]
        except (RuntimeError, OSError) as error:  # a build for another torch fails so
            raise SetupError("torchvision does not fit this torch", hint="Install the one made for it.") from error
        chosen = choose_device(device)
        torch.set_num_threads(WORKERS)
        model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None)
        try:
            model.load_state_dict(read_weights(path))
        except RuntimeError as error:
            raise InputError(
                "The file holds no weights of maskrcnn_resnet50_fpn", where=path, hint="Name those of torchvision."
            ) from error
        return cls(model.train(mode=False).to(chosen), chosen)

    @torch.inference_mode()
    def instances(self, frame: UInt8[np.ndarray, "height width 3"]) -> Instances:
        """Segment the instances of a frame; the model suppresses duplicates itself."""
        picture = torch.from_numpy(frame).to(self._device).permute(2, 0, 1).float() / 255
        output = self._model([picture])[0]
        return Instances(output["scores"].cpu().numpy(), (output["masks"][:, 0] > 0.5).cpu().numpy())
