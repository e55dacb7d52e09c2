"""What the numbers of the result show, whatever the cause."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from nvd_core.diagnosis.evidence import Case
from nvd_core.diagnosis.finding import Diagnosis

_POOR_PSNR: Final = 26.0
_TEXTURE_STOPS: Final = 0.25
_SWIMMING_PX: Final = 0.7
_FOLDED: Final = 0.0005


def unfollowed(_: Sequence[None], case: Case) -> Iterable[Diagnosis]:
    """The rebuilt frames are far from the plate."""
    if case.is_place and case.clip["psnr"] < _POOR_PSNR:
        yield Diagnosis(
            name="unfollowed",
            value=case.clip["psnr"],
            threshold=_POOR_PSNR,
            message=f"The rebuilt frames are {case.clip['psnr']:.1f} dB from the plate: some motion was not followed",
            hint="A mask for what moves by itself, or a shorter range with --frames, helps.",
        )


def unseen(_: Sequence[None], case: Case) -> Iterable[Diagnosis]:
    """No frame shows the layer."""
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
    """The light carries what should be in the atlas."""
    if (stops := case.metrics["light_detail_stops"] or 0) > _TEXTURE_STOPS:
        yield Diagnosis(
            name="textured_light",
            layer=case.layer,
            value=stops,
            threshold=_TEXTURE_STOPS,
            message=f"On {case.layer} the lighting carries texture: the atlas alone is"
            f" {case.metrics['psnr_atlas_only']:.1f} dB",
            hint="Its surface turns, moves by itself or changes too much for one picture; paint on it may show bars."
            " A layer of its own for what differs, or a shorter range, helps.",
        )


def swimming(_: Sequence[None], case: Case) -> Iterable[Diagnosis]:
    """Paint does not stay on its place."""
    if (off := case.metrics["uv_flow_error_px"] or 0) > _SWIMMING_PX:
        yield Diagnosis(
            name="swimming",
            layer=case.layer,
            value=off,
            threshold=_SWIMMING_PX,
            message=f"Paint on {case.layer} may swim by {off:.1f} px from frame to frame",
            hint="Motion blur or very fast motion does that; a shorter range helps.",
        )


def folded(_: Sequence[None], case: Case) -> Iterable[Diagnosis]:
    """The map turns the surface inside out."""
    if (share := case.metrics["folded_share"] or 0) > _FOLDED:
        yield Diagnosis(
            name="folded",
            layer=case.layer,
            value=share,
            threshold=_FOLDED,
            message=f"The map of {case.layer} folds over in places",
            hint="Paint there is doubled; a shorter range helps.",
        )
