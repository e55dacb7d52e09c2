"""``nvd render``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import (
    Positional,
    UseAppendAction,
    arg,
)

from nvd_core.faces import parent
from nvd_core.faces.cli.talk import AsJson, Folder, json_text, talk, tracked
from nvd_core.result.composite import Mode
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.rendering import Format, frame_writer, render
from nvd_core.runtime.progress import SILENT, Tell
from nvd_core.runtime.stopping import heed
from nvd_core.shot.compositing import AS_SHOT, Look
from nvd_core.spec.errors import UsageError
from nvd_core.spec.manifest import Manifest
from nvd_core.spec.protocol import Artifact, Event, Metric

_PerLayer = Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="LAYER=NUMBER")]
_MOST_GAIN = 1000.0


@dataclass(frozen=True, kw_only=True)
class Render:
    """Re-composite a decomposition with its atlases as they are now, without Blender."""

    folder: Positional[Folder]
    out: Annotated[Path, arg(aliases=["-o"], metavar="FOLDER|FILE.mp4", help="A folder for pictures, or a video file.")]
    atlas: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="LAYER=FILE", help="A painted atlas in place of the folder's own."),
    ] = ()
    opacity: _PerLayer = ()
    """0 to 1: of a layer when the frame is rebuilt, of its paint when the plate is kept."""
    light: _PerLayer = ()
    """0 to 1: how much of a layer's residual is used; 0 shows its atlas unlit."""
    gain: _PerLayer = ()
    """Factor on a layer's light."""
    hide: Annotated[
        UseAppendAction[tuple[str, ...]],
        arg(metavar="LAYER", help="An object to take out of the shot; its place shows what is behind it."),
    ] = ()
    clean_plate: Annotated[bool, arg(help="Take all objects out of the shot.")] = False
    mode: Annotated[Mode, arg(help="keep-plate: only what was painted is touched; rebuild: the layers alone.")] = (
        "keep-plate"
    )
    replace: Annotated[bool, arg(help="Write over files that are there. Default: they are refused.")] = False
    format: Annotated[
        Format, arg(help="Of pictures: 8-bit PNG, or linear EXR, half-float if that holds the plate.")
    ] = "png"
    json: AsJson = False
    events: Annotated[
        bool, arg(help="Tell progress and finished files as JSON lines, and stop where input ends. Used by Blender.")
    ] = False

    def run(self) -> str:
        """Render all frames."""
        tell = _parent() if self.events else None
        hear = tell or SILENT.tell
        decomposition = Decomposition.open(self.folder)
        atlases = {layer: Path(path) for layer, path in _by_layer("atlas", "FILE", self.atlas).items()}
        manifest = decomposition.manifest
        hidden = self._hidden(manifest)
        frames = render(decomposition, atlases, self.mode, self._looks(), hidden)
        paths, filled_px, invented_px = [], 0, 0
        with frame_writer(decomposition, self.out, self.format, atlases.values(), replaces=self.replace) as write:
            for frame in tracked(frames, len(manifest.source.numbers), "render", tell):
                paths.append(write(frame))
                filled_px, invented_px = filled_px + frame.filled_px, invented_px + frame.invented_px
                if paths[-1] != self.out:
                    hear(Artifact(path=str(paths[-1].absolute())))
        talk.print(f"{len(paths)} frames in {self.out}", soft_wrap=True)
        result: dict[str, Any] = {"files": sorted({str(path.absolute()) for path in paths})}
        if hidden:
            result["invented_share"] = invented_px / max(1, filled_px)
            talk.print(_filled(filled_px, invented_px, manifest.background), soft_wrap=True)
            hear(Metric(name="invented_share", value=result["invented_share"]))
        if self.out in paths:  # a video is finished only now
            hear(Artifact(path=str(self.out.absolute())))
        return json_text(result) if self.json else ""

    def _hidden(self, manifest: Manifest) -> list[str]:
        if not self.clean_plate:
            return [*self.hide]
        if not manifest.objects:
            raise UsageError("--clean-plate takes objects out, and the result has none")
        return [*dict.fromkeys([*self.hide, *manifest.objects])]

    def _looks(self) -> dict[str, Look]:
        looks: dict[str, Look] = {}
        for what, texts, most in (
            ("opacity", self.opacity, 1.0),
            ("light", self.light, 1.0),
            ("gain", self.gain, _MOST_GAIN),
        ):
            for layer, text in _by_layer(what, "NUMBER", texts).items():
                value = _number(text)
                if not 0 <= value <= most:
                    raise UsageError(f"--{what} {layer}={text} is no number from 0 to {most:.0f}")
                looks[layer] = replace(looks.get(layer, AS_SHOT), **{what: value})
        return looks


def _parent() -> Tell:
    """Begin to talk with the program that has started this one; what is returned tells it an event, or cancels."""
    send = parent.speak()
    parent.listen()

    def tell(event: Event) -> None:
        send(event)
        heed()

    return tell


def _filled(filled_px: int, invented_px: int, background: str) -> str:
    """Say what fills the place of hidden layers, and how much of it no frame has shown."""
    if not filled_px:
        return "The hidden layers are seen in no frame: there is nothing to fill."
    if not invented_px:
        return f"All that was hidden is seen in some frame, and filled from the atlas of {background}."
    share = invented_px / filled_px
    words = f"{share:.0%}" if share >= 0.01 else "Less than 1%"
    return (
        f"{words} of the filled area is seen in no frame: it is invented, smoothly from what is around it."
        f" The atlas of {background} has alpha 0 there; paint it there."
    )


def _by_layer(flag: str, what: str, texts: Iterable[str]) -> dict[str, str]:
    """``LAYER=VALUE``, as often as it was given."""
    values = {}
    for text in texts:
        layer, equals, value = text.partition("=")
        if not (layer and equals and value):
            raise UsageError(f"--{flag} {text} says no {what.lower()}", hint=f"Write it as --{flag} LAYER={what}.")
        values[layer] = value
    return values


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan
