"""Symptoms that the metrics alone show, whatever the cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from nvd_core.quality.diagnosis.evidence import Case
from nvd_core.quality.diagnosis.finding import Diagnosis

_POOR_PSNR: Final = 26.0
_TEXTURE_STOPS: Final = 0.25
_SWIMMING_PX: Final = 0.7
_FOLDED: Final = 0.0005


def unfollowed(_: Sequence[None], case: Case) -> Iterable[Diagnosis]:
    """Diagnose rebuilt frames that are far from the plate."""
    if case.is_place and case.clip["psnr"] < _POOR_PSNR:
        moves = len(case.numbers) > 1
        what, why = (
            ("frames are", "some motion was not followed")
            if moves
            else ("frame is", "the atlas is too coarse for it, or mattes share too many of its pixels")
        )
        yield Diagnosis(
            name="unfollowed",
            value=case.clip["psnr"],
            threshold=_POOR_PSNR,
            message=f"The rebuilt {what} {case.clip['psnr']:.1f} dB from the plate: {why}",
            hint=f"A mask for what moves by itself{case.or_shorter()} helps."
            if moves
            else "The preset standard or final, or masks with harder edges, help.",
        )


def unseen(_: Sequence[None], case: Case) -> Iterable[Diagnosis]:
    """Diagnose a layer that no frame shows."""
    if case.metrics["psnr"] is None:
        yield Diagnosis(
            name="unseen",
            layer=case.layer,
            value=0,
            threshold=0,
            message=f"The layer {case.layer} is not seen in any frame",
            hint="Its mask, or those of the layers before it, may be wrong.",
        )


def textured_light(_: Sequence[None], case: Case) -> Iterable[Diagnosis]:
    """Diagnose a residual that carries texture, which belongs in the atlas."""
    if (stops := case.metrics["light_detail_stops"] or 0) > _TEXTURE_STOPS:
        yield Diagnosis(
            name="textured_light",
            layer=case.layer,
            value=stops,
            threshold=_TEXTURE_STOPS,
            message=f"On {case.layer} the lighting carries texture: the atlas alone is"
            f" {case.metrics['psnr_atlas_only']:.1f} dB",
            hint="Its surface turns, moves by itself or changes too much for one picture; paint on it may show bars."
            f" A layer of its own for what differs{case.or_shorter()} helps.",
        )


def swimming(_: Sequence[None], case: Case) -> Iterable[Diagnosis]:
    """Diagnose a map that disagrees with optical flow, so that paint swims."""
    if (off := case.metrics["uv_flow_error_px"] or 0) > _SWIMMING_PX:
        yield Diagnosis(
            name="swimming",
            layer=case.layer,
            value=off,
            threshold=_SWIMMING_PX,
            message=f"Paint on {case.layer} may swim by {off:.1f} px from frame to frame",
            hint=f"Motion blur or very fast motion does that; less of it{case.or_shorter()} helps.",
        )


def folded(_: Sequence[None], case: Case) -> Iterable[Diagnosis]:
    """Diagnose fold-overs of the map."""
    if (share := case.metrics["folded_share"] or 0) > _FOLDED:
        yield Diagnosis(
            name="folded",
            layer=case.layer,
            value=share,
            threshold=_FOLDED,
            message=f"The map of {case.layer} folds over in places",
            hint=f"Paint there is doubled; a mask for what moves by itself{case.or_shorter()} helps.",
        )
