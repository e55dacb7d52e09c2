"""A training's state as arrays, so that it goes on with the very next step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nvd_core.checkpoints import Arrays


def arrays_of(model: nn.Module, adam: torch.optim.Adam) -> Arrays:
    """Parameters and Adam's moments, by name."""
    arrays: Arrays = {}
    for name, parameter in model.named_parameters():
        arrays[f"model.{name}"] = parameter.detach().cpu().numpy()
        for key, value in adam.state.get(parameter, {}).items():
            arrays[f"adam.{key}.{name}"] = value.cpu().numpy()
    return arrays


def take_up(model: nn.Module, adam: torch.optim.Adam, arrays: Arrays) -> None:
    """Put back what :func:`arrays_of` returned."""
    known = {id(one) for group in adam.param_groups for one in group["params"]}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(arrays[f"model.{name}"]))
            if id(parameter) in known and f"adam.step.{name}" in arrays:
                adam.state[parameter] = _moments(arrays, name, parameter)


def _moments(arrays: Arrays, name: str, parameter: Tensor) -> dict[str, Tensor]:
    moments = {key: torch.from_numpy(arrays[f"adam.{key}.{name}"]) for key in ("exp_avg", "exp_avg_sq")}
    # A number has no axis, and an array in a file has at least one; Adam counts its steps on the CPU.
    steps = torch.from_numpy(arrays[f"adam.step.{name}"]).reshape(())
    return {"step": steps} | {key: moment.to(parameter.device) for key, moment in moments.items()}
