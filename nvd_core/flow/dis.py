"""Dense inverse search (Kroeger et al., ECCV 2016), as OpenCV has it: no weights, any CPU."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

Grey = UInt8[np.ndarray, "height width"]
FlowPx = Float32[np.ndarray, "height width 2"]


def dis_flow(source: Grey, target: Grey, *, finest_scale: int = 1, variational_iterations: int = 5) -> FlowPx:
    """Where each pixel of ``source`` went in ``target``: (dx, dy) in px, y down.

    Args:
        source: 8-bit luma.
        target: 8-bit luma of the same size.
        finest_scale: 0 solves at full size, 1 at half and interpolates.
        variational_iterations: of the smoothing at the end; more follow finer motion.
    """
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # pyright: ignore[reportAttributeAccessIssue]
    dis.setFinestScale(finest_scale)
    dis.setVariationalRefinementIterations(variational_iterations)
    return dis.calc(source, target, None)


def is_consistent(forward: FlowPx, backward_there: FlowPx) -> Bool[np.ndarray, "height width"]:
    """Whether going there and back again ends near the start (Sundaram et al., ECCV 2010).

    Args:
        forward: flow from the first picture, px.
        backward_there: flow back, looked up where ``forward`` leads, px.
    """
    miss = ((forward + backward_there) ** 2).sum(axis=-1)
    length = (forward**2).sum(axis=-1) + (backward_there**2).sum(axis=-1)
    return miss < 0.01 * length + 0.5
