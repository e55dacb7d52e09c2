"""SAM 2 (Ravi et al., 2024) carries masks: it remembers how the object looked in the last frames and in those given."""

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

from nvd_core.devices import choose_device
from nvd_core.errors import InputError
from nvd_core.masks.camera import Camera, pixel_grid, sampled
from nvd_core.masks.models.local import load, normalised
from nvd_core.masks.window import Bounds, Cutout, Window, bounding
from nvd_core.settings import Device


@final
@dataclass(frozen=True)
class Sam2:
    """The model, which sees frames squeezed into a square."""

    _model: Sam2VideoModel
    _side_px: int
    _device: torch.device

    @classmethod
    def open(cls, folder: Path, device: Device) -> Sam2:
        """From a folder; see :func:`nvd_core.masks.models.local.load`."""
        chosen = choose_device(device)
        model = load(Sam2VideoModel, folder, chosen, "sdpa")
        side_px = model.config.image_size
        if not isinstance(side_px, int):
            raise InputError("The model sees frames that are not square", where=folder, hint="Use a published one.")
        return cls(model, side_px, chosen)

    def follow(self, camera: Camera, keys: Mapping[int, Cutout], start: int, step: int) -> Iterator[Cutout]:
        """The masks of the frames after (or before) one; see :data:`nvd_core.masks.carry.Follow`.

        No more is held than the model looks back at, however long the clip is.
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
        config, known = self._model.config, session.output_dict_per_obj[own]["non_cond_frame_outputs"]
        reach = max(config.num_maskmem, config.max_object_pointers_in_encoder)
        t = start + step
        while 0 <= t < len(camera.frames):
            yield _cutout(self._seen(session, camera, t, step), (height, width))
            known.pop(t - step * reach, None)
            t += step

    @torch.inference_mode()
    def _seen(
        self, session: Sam2VideoInferenceSession, camera: Camera, t: int, step: int
    ) -> Float32[np.ndarray, "rows columns"]:
        """Log odds of the object in a frame, at the model's own size."""
        frame = normalised(camera.frames[t], (self._side_px, self._side_px), self._device)
        found = self._model(session, frame_idx=t, frame=frame, reverse=step < 0)
        session.processed_frames = None
        return found.pred_masks[0, 0].float().cpu().numpy()

    def _prompt(self, key: Cutout, shape: tuple[int, int]) -> Float[Tensor, "1 1 side side"]:
        """A mask of a whole frame, as the model takes it: square, 0 or 1."""
        mask = torch.from_numpy(key.at(pixel_grid(shape)))[None, None].to(self._device)
        size = (self._side_px, self._side_px)
        mask = functional.interpolate(mask, size, mode="bilinear", align_corners=False, antialias=True)
        return (mask >= 0.5).float()


def _cutout(odds: Float32[np.ndarray, "rows columns"], shape: tuple[int, int]) -> Cutout:
    """The mask of a frame of such a shape, with points as far apart as the model's own."""
    zoom = max(1.0, shape[0] / odds.shape[0])
    whole = Window.over(Bounds(0, 0, shape[1], shape[0]), zoom, least=1)
    per_px = np.array(odds.shape[::-1], np.float32) / np.array(shape[::-1], np.float32)
    mask = sampled(odds, (whole.places + np.float32(0.5)) * per_px - np.float32(0.5)) > 0
    bounds = bounding(mask)
    if bounds is None:
        return Cutout.of(np.zeros((1, 1), np.float32))
    left, top, right, bottom = map(int, bounds)
    window = Window(left * zoom, top * zoom, zoom, right - left, bottom - top)
    return Cutout(window, np.ascontiguousarray(mask[top:bottom, left:right], np.float32))
