"""Save and restore the state of a model and its optimizer as arrays."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nvd_core.runtime.checkpoints import Arrays


def arrays_of(model: nn.Module, adam: torch.optim.Adam) -> Arrays:
    """Collect the parameters of a model and Adam's moments, by name."""
    arrays: Arrays = {}
    for name, parameter in model.named_parameters():
        arrays[f"model.{name}"] = parameter.detach().cpu().numpy()
        for key, value in adam.state.get(parameter, {}).items():
            arrays[f"adam.{key}.{name}"] = value.cpu().numpy()
    return arrays


def take_up(model: nn.Module, adam: torch.optim.Adam, arrays: Arrays) -> None:
    """Restore the parameters and moments that :func:`arrays_of` collected."""
    known = {id(one) for group in adam.param_groups for one in group["params"]}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[f"model.{name}"]))
            if id(parameter) in known and f"adam.step.{name}" in arrays:
                adam.state[parameter] = _moments(arrays, name, parameter)


def _moments(arrays: Arrays, name: str, parameter: Tensor) -> dict[str, Tensor]:
    moments = {key: torch.from_numpy(arrays[f"adam.{key}.{name}"]) for key in ("exp_avg", "exp_avg_sq")}
    # Arrays in a checkpoint have at least one axis; Adam's step is a scalar, on the CPU.
    steps = torch.from_numpy(arrays[f"adam.step.{name}"]).reshape(())
    return {"step": steps} | {key: moment.to(parameter.device) for key, moment in moments.items()}
