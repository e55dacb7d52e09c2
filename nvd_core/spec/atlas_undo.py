"""Exchange atlases for painted ones, and keep those of before: one undo, which itself can be undone.

They lie in ``atlas/undo``, where nothing else looks for atlases. Their names hold their digests, and the record that
names them is written last: whenever the process is killed, either version of an atlas is in the folder.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from nvd_core.spec.atlas_pairs import Pair
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import atomic, sha256, write_json
from nvd_core.spec.safe_replace import exchange

_DIGEST: Final = re.compile("[0-9a-f]{64}")
_FACTS: Final = {"before", "after", "original"}
"""Digests in the record of each atlas: of the file that is kept, of the one in its place, of the untouched twin."""


def undo_path(folder: Path) -> Path:
    """Folder of the atlases of before the last paint on the shot."""
    return folder / "atlas" / "undo"


@contextmanager
def exchanging(folder: Path, digests: Mapping[Pair, str]) -> Iterator[dict[Pair, Path]]:
    """Yield a temporary path for each new atlas. At the end they take their places, and the former ones are kept.

    Args:
        folder: of the decomposition.
        digests: of the files that the new ones are made from.

    Raises:
        InputError: a program has saved one of the atlases meanwhile; that stays.
    """
    names = [pair.painted.name for pair in digests]
    kept: dict[str, dict[str, str]] = {}

    def put(pair: Pair, new: Path, path: Path) -> None:
        facts = {"before": digests[pair], "after": sha256(new), "original": sha256(pair.original)}
        if not exchange(new, path, digests[pair]):
            raise _meanwhile(path)
        kept[path.name] = facts

    try:
        with ExitStack() as stack:
            yield {pair: stack.enter_context(atomic(pair.painted, partial(put, pair))) for pair in digests}
            for pair, digest in digests.items():
                with atomic(_kept(folder, pair.painted.name, digest)) as temporary:
                    shutil.copyfile(pair.painted, temporary)
                    if sha256(temporary) != digest:
                        raise _meanwhile(pair.painted)
    finally:
        if kept:
            former = _files(folder, _read(folder))
            write_json(_record(folder), {name: kept[name] for name in names if name in kept})
            for path in former - _files(folder, kept):
                path.unlink(missing_ok=True)


def undo(folder: Path, pairs: Collection[Pair]) -> list[Path]:
    """Restore the atlases of before the last paint on the shot; those of after it are kept in their stead.

    Args:
        folder: of the decomposition.
        pairs: of the atlases in use.

    Returns:
        Paths of the restored atlases.

    Raises:
        InputError: there is nothing to undo, or an atlas has been painted or solved anew since.
    """
    kept, in_use = _read(folder), {pair.painted.name: pair for pair in pairs}
    if not kept:
        raise InputError("There is no paint on the shot that could be undone", where=folder)
    for name, facts in kept.items():
        path = _kept(folder, name, facts["before"])
        if name not in in_use or sha256(in_use[name].original) != facts["original"]:
            raise InputError("The clip was decomposed anew since the last paint on the shot", where=path)
        if sha256(in_use[name].painted) != facts["after"]:
            hint = f"If you want it as it was before, copy {path} there."
            raise InputError("The atlas was saved again since the last paint on the shot", where=name, hint=hint)
    with exchanging(folder, {in_use[name]: facts["after"] for name, facts in kept.items()}) as new:
        for name, facts in kept.items():
            shutil.copyfile(path := _kept(folder, name, facts["before"]), new[in_use[name]])
            if sha256(new[in_use[name]]) != facts["before"]:
                raise InputError("The atlas of before the last paint is damaged", where=path)
    return [in_use[name].painted for name in kept]


def _record(folder: Path) -> Path:
    return undo_path(folder) / "undo.json"


def _read(folder: Path) -> dict[str, dict[str, str]]:
    """Read the record: by name of each atlas, its digests; empty if there is none, or it is damaged."""
    try:
        kept = json.loads(_record(folder).read_text(encoding="utf-8"))
        digests = [facts[name] for facts in kept.values() for name in _FACTS]
        is_whole = all(_DIGEST.fullmatch(one) for one in digests) and all(Path(name).name == name for name in kept)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
    return kept if is_whole else {}


def _kept(folder: Path, name: str, digest: str) -> Path:
    path = Path(name)
    return undo_path(folder) / f"{path.stem}.{digest[:12]}{path.suffix}"


def _files(folder: Path, kept: Mapping[str, Mapping[str, str]]) -> set[Path]:
    return {_kept(folder, name, facts["before"]) for name, facts in kept.items()}


def _meanwhile(path: Path) -> InputError:
    message = "Another program has saved the atlas meanwhile, which stays as it is"
    return InputError(message, where=path, hint="Paint again.")
