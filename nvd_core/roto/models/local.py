"""Load models of transformers from a local folder: data alone, never code, never the network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.utils import logging

from nvd_core.runtime.parallel import WORKERS
from nvd_core.runtime.weights import check_weights
from nvd_core.spec.errors import InputError

Model = TypeVar("Model", bound=PreTrainedModel)

_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's colours, R, G, B, on which nearly all models are trained."""

_HINT = "Name a folder as save_pretrained writes it, with config.json and model.safetensors."


def load(kind: type[Model], folder: Path, device: torch.device, attention: Literal["sdpa", "eager"]) -> Model:
    """Load a model, ready for inference.

    Args:
        kind: its class.
        folder: holds ``config.json`` and safetensors.
        device: where it runs.
        attention: torch's implementation that the model supports; it overrides what the folder names.

    Raises:
        InputError: there is none, it is of another class, damaged, or lacks weights.
    """
    wanted, actual = str(getattr(kind.config_class, "model_type", "")), _kind_in(folder)
    if actual != wanted:
        raise InputError(f"The model is of the kind {actual!r}, not {wanted!r}", where=folder, hint=_HINT)
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(WORKERS)
    try:
        both: Any = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, output_loading_info=True,
            attn_implementation=attention, dtype=torch.float32,
        )  # fmt: skip
    except MemoryError:
        raise
    except Exception as error:  # whatever the libraries make of a damaged file
        raise InputError(f"The model cannot be loaded: {_first_line(error)}", where=folder, hint=_HINT) from error
    model, loaded = both
    lacking = len(loaded["missing_keys"]) + len(loaded["mismatched_keys"])
    if lacking:  # they would be random
        raise InputError(f"The model lacks {lacking} of its weights", where=folder, hint=_HINT)
    check_weights(dict(model.named_parameters()), folder)
    return model.train(mode=False).to(device)


def _kind_in(folder: Path) -> str:
    """Read the model's type from a folder's ``config.json``."""
    try:
        return str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise InputError("The folder holds no model", where=folder, hint=_HINT) from None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".")


def normalised(
    frame: UInt8[np.ndarray, "height width 3"], size: tuple[int, int], device: torch.device
) -> Float[Tensor, "1 3 rows columns"]:
    """Resize a frame to ``size``, rows and columns, and normalise it by ImageNet's mean and standard deviation."""
    picture = torch.from_numpy(frame).to(device).permute(2, 0, 1)[None].float() / 255
    picture = functional.interpolate(picture, size=size, mode="bilinear", align_corners=False, antialias=True)
    mean, spread = (torch.tensor(values, device=device).view(3, 1, 1) for values in (_MEAN, _SPREAD))
    return (picture - mean) / spread
