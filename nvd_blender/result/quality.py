"""Summarise the quality of a result in words. Independent of Blender."""

from __future__ import annotations

from nvd_core.spec.manifest import Manifest

MEANING = (
    "PSNR: how close the rebuilt pictures come to the plate, in decibels. 40 and more can hardly be told from it, from "
    "30 on differences are small, below 25 the motion was not followed everywhere. What is not painted stays the "
    "plate's own"
)


def in_words(manifest: Manifest) -> str:
    """PSNR of a result at its working size, at the plate's size, and of every layer over its own pixels.

    Empty if the metrics are incomplete, as in results of earlier versions.
    """
    metrics, source = manifest.metrics, manifest.source
    try:
        solved, plate, size = float(metrics["psnr"]), float(metrics["psnr_plate"]), str(metrics["size"])
        alone = {name: layer.get("psnr_plate") for name, layer in metrics["layers"].items()}
        layers = ", ".join(f"{name} alone {value:.1f}" for name, value in alone.items() if value is not None)
    except (KeyError, TypeError, ValueError, AttributeError):
        return ""
    said = f"{solved:.1f} dB at {size}; at the plate's size {plate:.1f}"
    if size == f"{source.width}x{source.height}":
        said = f"{plate:.1f} dB"
    return f"{said}, {layers}" if layers and len(alone) > 1 else said
