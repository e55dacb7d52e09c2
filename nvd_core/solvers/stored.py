"""Restore a solution that a finished decomposition holds, of whatever solver."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
from jaxtyping import Float16

from nvd_core.shot.solution import Solution
from nvd_core.spec.choices.solvers import SOLUTIONS, needing_torch
from nvd_core.spec.errors import InputError
from nvd_core.spec.manifest import Manifest


def load_solution(path: Path, manifest: Manifest, atlases: Mapping[str, Float16[np.ndarray, "_ _ 4"]]) -> Solution:
    """Restore a solution from its arrays, its atlases and what the manifest says of it.

    Args:
        path: of the arrays.
        manifest: of the decomposition.
        atlases: as solved, of each layer, front to back.

    Raises:
        InputError: the arrays are missing, damaged or of another decomposition, or of a solver of a later version.
        SetupError: it is of networks, and this machine lacks torch or their hash grid.
    """
    kind = manifest.solution.kind
    if kind not in SOLUTIONS:
        message = f"The solution is of a solver that this program does not know, {kind[:40]!r}"
        raise InputError(message, where=path, hint="Open it with a newer version of this program.")
    with needing_torch("The solution is of networks, which need torch"):
        solution = resolve_name(SOLUTIONS[kind])
    return solution.load(path, manifest, atlases)
