"""Track objects with SAM 2 (Ravi et al., 2024), whose memory holds the key frames and the last frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn import functional
from transformers import Sam2VideoInferenceSession, Sam2VideoModel

from nvd_core.image.geometry import Box, bounding_box, pixel_grid
from nvd_core.image.sample import warp
from nvd_core.roto.camera import Camera
from nvd_core.roto.models.local import load, normalised
from nvd_core.roto.window import Cutout, Window
from nvd_core.runtime.devices import choose_device
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.settings import Device


@final
@dataclass(frozen=True)
class Sam2:
    """The model, whose input is a frame squeezed into a square."""

    _model: Sam2VideoModel
    _side_px: int
    _device: torch.device

    @classmethod
    def open(cls, folder: Path, device: Device) -> Sam2:
        """Load from a folder; see :func:`nvd_core.roto.models.local.load`."""
        chosen = choose_device(device)
        model = load(Sam2VideoModel, folder, chosen, "sdpa")
        side_px = model.config.image_size
        if not isinstance(side_px, int):
            raise InputError("The model sees frames that are not square", where=folder, hint="Use a published one.")
        return cls(model, side_px, chosen)

    def follow(self, camera: Camera, keys: Mapping[int, Cutout], start: int, step: int) -> Iterator[Cutout]:
        """Track an object from a key frame on; a :data:`nvd_core.roto.propagate.Tracker`.

        Outputs older than the model's memory are dropped, however long the clip is.
        """
        height, width = camera.frames[0].shape[:2]
        session = Sam2VideoInferenceSession(
            video_height=height,
            video_width=width,
            inference_device=self._device,
            inference_state_device=self._device,
            video_storage_device=self._device,
            dtype=torch.float32,
        )
        own = session.obj_id_to_idx(0)
        for t in sorted(keys):
            session.add_mask_inputs(own, t, self._prompt(keys[t], (height, width)))
            session.obj_with_new_inputs = [0]
            self._seen(session, camera, t, step)
        config, outputs = self._model.config, session.output_dict_per_obj[own]["non_cond_frame_outputs"]
        reach = max(config.num_maskmem, config.max_object_pointers_in_encoder)
        t = start + step
        while 0 <= t < len(camera.frames):
            yield _cutout(self._seen(session, camera, t, step), (height, width))
            outputs.pop(t - step * reach, None)
            t += step

    @torch.inference_mode()
    def _seen(
        self, session: Sam2VideoInferenceSession, camera: Camera, t: int, step: int
    ) -> Float32[np.ndarray, "rows columns"]:
        """Segment the object in a frame: log odds, at the model's own size."""
        frame = normalised(camera.frames[t], (self._side_px, self._side_px), self._device)
        output = self._model(session, frame_idx=t, frame=frame, reverse=step < 0)
        session.processed_frames = None
        return output.pred_masks[0, 0].float().cpu().numpy()

    def _prompt(self, key: Cutout, shape: tuple[int, int]) -> Float[Tensor, "1 1 side side"]:
        """Prompt from a key frame's mask: the whole frame, square, 0 or 1."""
        mask = torch.from_numpy(key.at(pixel_grid(Size(shape[1], shape[0]))))[None, None].to(self._device)
        size = (self._side_px, self._side_px)
        mask = functional.interpolate(mask, size, mode="bilinear", align_corners=False, antialias=True)
        return (mask >= 0.5).float()


def _cutout(odds: Float32[np.ndarray, "rows columns"], shape: tuple[int, int]) -> Cutout:
    """Mask of a frame of this shape from the model's log odds; its points are as far apart as the model's."""
    zoom = max(1.0, shape[0] / odds.shape[0])
    whole = Window.over(Box(0, 0, shape[1], shape[0]), zoom, least=1)
    per_px = np.array(odds.shape[::-1], np.float32) / np.array(shape[::-1], np.float32)
    mask = warp(odds, (whole.places + np.float32(0.5)) * per_px - np.float32(0.5)) > 0
    bounds = bounding_box(mask)
    if bounds is None:
        return Cutout.of(np.zeros((1, 1), np.float32))
    window = Window(bounds.left * zoom, bounds.top * zoom, zoom, *bounds.size)
    return Cutout(window, np.ascontiguousarray(mask[bounds.slices], np.float32))
