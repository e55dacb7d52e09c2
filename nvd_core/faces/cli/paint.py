"""``nvd paint``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from tyro.conf import Positional, arg

from nvd_core.faces.cli.talk import AsJson, Folder, json_text, talk
from nvd_core.result.decomposition import Decomposition
from nvd_core.result.paint_on_shot import PaintedFrame, paint_on_shot, undo_paint
from nvd_core.spec.errors import UsageError

_MANY: Final = 0.01
"""Share of painted pixels that show another colour from which help is offered."""


@dataclass(frozen=True, kw_only=True)
class Paint:
    """Paint on the picture of a frame: the strokes go into the atlases of the layers seen there."""

    folder: Positional[Folder]
    picture: Annotated[
        Positional[Path | None],
        arg(
            metavar="PAINTED",
            help="A transparent picture with the strokes alone, or the frame with strokes on it; of the plate's size.",
        ),
    ] = None
    frame: Annotated[int | None, arg(metavar="NUMBER", help="The frame that was painted on.")] = None
    layer: Annotated[
        str | None,
        arg(metavar="LAYER", help="The layer that alone gets the strokes. Default: all that are seen there."),
    ] = None
    finer: Annotated[bool, arg(help="Enlarge an atlas threefold where it has too few texels for sharp strokes.")] = (
        False
    )
    undo: Annotated[bool, arg(help="Restore the atlases of before the last paint; again, those of after it.")] = False
    json: AsJson = False

    def run(self) -> str:
        """Paint, or undo it."""
        if self.undo:
            if self.picture or self.frame is not None:
                raise UsageError("--undo paints nothing", hint="Write nvd paint FOLDER --undo.")
            restored = undo_paint(Decomposition.open(self.folder))
            talk.print(f"As before: {', '.join(path.name for path in restored)}", soft_wrap=True)
            return json_text({"files": [str(path.absolute()) for path in restored]}) if self.json else ""
        if self.picture is None or self.frame is None:
            raise UsageError("No frame is painted on", hint="Write nvd paint FOLDER --frame NUMBER PAINTED.png.")
        decomposition = Decomposition.open(self.folder)
        done = paint_on_shot(decomposition, self.frame, self.picture, self.layer, finer=self.finer)
        talk.print(_words(done), soft_wrap=True)
        paths = [self.folder / decomposition.manifest.atlas_files[name] for name in done.texels]
        files = [str(path.absolute()) for path in paths]
        return json_text({"files": files, **done._asdict()}) if self.json else ""


def _words(done: PaintedFrame) -> str:
    """Say where the paint went, and how much of it the frame shows otherwise."""
    said = f"Frame {done.number} is painted on {' and '.join(done.texels)}."
    if done.off:
        said += f" {done.off} of {done.pixels} painted pixels show another colour than was painted, by more than 2/255."
    if done.off > _MANY * done.pixels:
        said += " The atlas is too coarse there, or in deep shadow. --finer enlarges it, --undo takes the paint off."
    return said
