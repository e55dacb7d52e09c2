"""Clips, decoded from video files and picture sequences."""

from __future__ import annotations

from pathlib import Path

from nvd_core.clip.sequence import is_sequence, open_sequence
from nvd_core.clip.types import Clip, ClipInfo, Plate, frames_used
from nvd_core.clip.video import open_video

__all__ = ["Clip", "ClipInfo", "Plate", "frames_used", "open_clip"]


def open_clip(path: Path, fps: float | None = None) -> Clip:
    """Open a video file, a folder of pictures, a pattern (``shot.####.exr``) or one picture.

    Args:
        path: what the user named.
        fps: frames a second of a picture sequence, which does not say it itself.

    Raises:
        InputError: nothing there can be read as a clip.
    """
    return open_sequence(path, fps) if is_sequence(path) else open_video(path)
