"""Read a picture file: through OpenImageIO, with which Blender reads pictures, too; EXR through OpenEXR."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
import OpenImageIO as oiio  # noqa: N813 (as its manual has it)
from jaxtyping import Bool, Num, Shaped, UInt8

from nvd_core.image.exr import is_whole, read_stored, window
from nvd_core.spec.atlas_faults import not_finite
from nvd_core.spec.conventions import Size
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import atomic

Picture: TypeAlias = Num[np.ndarray, "height width chan"]
Palette: TypeAlias = UInt8[np.ndarray, "colours 3"]

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".dpx")

NAMES: Final = "PNG, JPEG, TIFF, EXR and DPX"
"""The same formats, for messages."""

MOST_PIXELS: Final = 120_000_000
"""Most in a frame; the largest cameras have 80 million. Decoded as floats a frame takes 12 to 16 bytes a pixel."""

_FORMATS: Final = {
    b"\x76\x2f\x31\x01": "openexr",
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpeg",
    b"SDPX": "dpx",
    b"XPDS": "dpx",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "tiff"),
}
"""Formats by the first bytes of a file, as names may lie."""

_HARMLESS: Final = re.compile(r"extraneous bytes before marker 0x(?!d[0-7])|Unknown Adobe color transform")
"""Warnings about a JPEG whose picture is whole: of bytes between its segments, or of a tag."""

_TIFF_COMPRESSIONS: Final = re.compile("none|lzw|zip|packbits|jpeg|ccitt")
"""Compressions that every version of Blender reads."""

_WHITE: Final = 254
"""Least white of a palette: some programs write only the upper half of a TIFF palette's 16 bits."""

_LIKE_COLOURS: Final = {"V", "RED", "GREEN", "BLUE", "AR", "RA", "AG", "GA", "AB", "BA"}
"""Channels of an EXR, in capitals, that Blender shows in place of R, G or B (measured with 4.2 to 5.2)."""

_TIFF_PALETTE: Final = 3
_TIFF_REFUSED: Final = {5: "CMYK", 8: "L*a*b*", 9: "L*a*b*", 10: "L*a*b*", 32844: "log luminance", 32845: "LogLuv"}
"""Colours that Blender's versions and OpenImageIO turn into RGB in different ways, by PhotometricInterpretation."""


def read_picture(path: Path) -> Picture:
    """Read a picture: R, G, B, A (or one grey), in the file's own depth, as Blender shows it.

    Of an EXR it is the display window, as OpenImageIO's ``--fullpixels`` has it, while Blender shows the data window.

    Raises:
        InputError: the file is missing, truncated, too large or no picture; Blender shows it in another way; or a
            value is not finite.
    """
    with _opened(path) as kind:
        return _finite(_read_exr(path) if kind == "openexr" else _decode(path, kind)[0], path)


def read_rgb(path: Path) -> Num[np.ndarray, "height width 3"]:
    """Read a picture's colour without its alpha; grey is repeated.

    Raises:
        InputError: see :func:`read_picture`.
    """
    picture = read_picture(path)
    colour = picture[..., :3] if picture.shape[2] >= 3 else np.repeat(picture[..., :1], 3, axis=2)
    return np.ascontiguousarray(colour)


def has_own_window(path: Path) -> bool:
    """Whether a picture is an EXR whose data window is not its display window.

    Raises:
        InputError: see :func:`read_picture`.
    """
    with _opened(path) as kind:
        return kind == "openexr" and not is_whole(path)


def read_mask(path: Path) -> Picture:
    """Read a mask picture; Blender need not be able to show it.

    Outside of an EXR's data window nothing is marked, and its only channel may have any name. A picture of numbers, be
    they indices into a palette of colours, as segmentation tools write it, or an ID pass, marks whatever is not 0.

    Raises:
        InputError: see :func:`read_picture`; or it holds the numbers of several objects.
    """
    with _opened(path) as kind:
        picture, palette = (_read_exr(path, is_mask=True), None) if kind == "openexr" else _decode(path, kind)
        picture = _finite(picture, path)
        opaque = np.iinfo(picture.dtype).max if picture.dtype.kind == "u" else 1
        if picture.shape[2] == 4 and bool((picture[..., 3] < opaque).any()):
            return picture  # alpha alone counts
        colour = picture[..., :3]
        if palette is not None and not _is_matte(palette):
            return _marked(colour, (colour != palette[0]).any(axis=-1), path)
        if _is_numbers(colour):
            return _marked(colour, (colour != 0).any(axis=-1), path)
        return picture


def check_size(size: Size, path: Path) -> None:
    """Refuse a frame that would take gigabytes, before it is decoded.

    Raises:
        InputError: it is too large.
    """
    if size.width * size.height > MOST_PIXELS:
        raise InputError(
            f"The picture is {size}, of more than {MOST_PIXELS // 1_000_000} million pixels",
            where=path,
            hint="Export it smaller.",
        )


@contextmanager
def _opened(path: Path) -> Iterator[str]:
    """Identify the format of a picture file; system errors while it is read become an InputError."""
    try:
        if path.exists() and not path.is_file():  # reading it may never end
            raise InputError("The picture is no file", where=path, hint="Name a file.")
        with path.open("rb") as file:
            first = file.read(4)
        kind = next((kind for magic, kind in _FORMATS.items() if first.startswith(magic)), None)
        if kind is None:
            raise _refused(path)
        yield kind
    except FileNotFoundError:
        raise InputError("The picture is missing", where=path) from None
    except OSError as error:
        raise InputError(f"The picture cannot be read: {error.strerror or error}", where=path) from error


def _finite(picture: Picture, path: Path) -> Picture:
    """Refuse a picture with values that are not finite."""
    for channel, plane in zip("RGBA" if picture.shape[2] > 2 else "YA", np.moveaxis(picture, -1, 0), strict=False):
        if plane.dtype.kind == "f" and not np.isfinite(plane).all():
            raise not_finite(channel, path)
    return picture


def _refused(path: Path) -> InputError:
    """The error about a file that cannot be decoded."""
    return InputError(
        "The picture is damaged, or is no picture of a kind that is supported",
        where=path,
        hint="Export it again, as RGB of 8 or 16 bits.",
    )


def _decode(path: Path, kind: str) -> tuple[Picture, Palette | None]:
    """Decode a picture by OpenImageIO; also its palette, if it has one."""
    palette = _png_palette(path) if kind == "png" else None
    file = _open(path)
    if file is None:
        oiio.geterror()  # else OpenImageIO prints the error to the terminal
        raise _refused(path)
    spec, said = file.spec(), file.geterror()
    check_size(Size(spec.width, spec.height), path)
    sample = _check_kind(spec, path)
    picture = file.read_image(0, 0, 0, min(spec.nchannels, 4), "float" if sample == "double" else sample)
    said += "\n" + file.geterror()
    if picture is None or not all(_HARMLESS.search(line) for line in said.split("\n") if line):
        raise _refused(path)
    if kind == "jpeg" and sample != "uint8":  # an Ultra HDR with its gain map, which Blender leaves out
        coded = np.frombuffer(path.read_bytes(), np.uint8)
        picture = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION))
    if sample == "half":
        picture = picture.astype(np.float32)
    if spec.get_int_attribute("tiff:PhotometricInterpretation") == _TIFF_PALETTE:  # the palette's order is unknown
        colours = np.unique(picture[..., :3].reshape(-1, 3), axis=0)
        palette = np.vstack([np.zeros((1, 3), np.uint8), colours])
    if picture.shape[2] == 2:
        grey, second = picture[..., :1], picture[..., 1:]
        picture = np.concatenate([grey, grey, grey, second], axis=2) if spec.alpha_channel == 1 else grey
    return picture, palette


def _open(path: Path) -> oiio.ImageInput | None:
    """Open a picture by OpenImageIO, with alpha unassociated; None if it cannot be opened."""
    as_stored = oiio.ImageSpec()
    as_stored.attribute("oiio:UnassociatedAlpha", 1)
    try:
        str(path).encode()
    except UnicodeEncodeError:  # a name that is no text, which only some systems allow
        with path.open("rb") as file:
            return oiio.ImageInput.open(f"/dev/fd/{file.fileno()}", as_stored)
    return oiio.ImageInput.open(str(path), as_stored)


def _check_kind(spec: oiio.ImageSpec, path: Path) -> str:
    """Sample type of a picture; refuse what Blender's versions and OpenImageIO decode differently."""
    colour = _TIFF_REFUSED.get(spec.get_int_attribute("tiff:PhotometricInterpretation"))
    if spec.get_string_attribute("jpeg:ColorSpace"):
        colour = "CMYK"
    if colour:
        raise InputError(f"The picture's colour is {colour}", where=path, hint="Export it as RGB.")
    packed = spec.get_string_attribute("compression")
    if spec.get_int_attribute("tiff:Compression") and not _TIFF_COMPRESSIONS.match(packed):
        raise InputError(f"The TIFF is packed with {packed or 'an unknown method'}", where=path, hint="Use LZW or ZIP.")
    sample = str(spec.format)
    if sample not in {"uint8", "uint16", "half", "float", "double"}:
        raise InputError(
            f"Pictures of {sample} are not supported", where=path, hint="Use 8 or 16 bits without sign, or float."
        )
    return sample


def _png_palette(path: Path) -> Palette | None:
    """Read the palette of a PNG and check its chunks on the way: libpng reports damaged ones on the terminal."""
    palette, is_indexed = None, False
    with path.open("rb") as file:
        file.seek(8)
        try:
            kind = b""
            while kind != b"IEND":
                length, kind = struct.unpack(">I4s", file.read(8))
                content = file.read(length)
                (crc,) = struct.unpack(">I", file.read(4))
                if not kind.isalpha() or (kind[:1].isupper() and crc != zlib.crc32(kind + content)):
                    raise _refused(path)
                if kind == b"IHDR":
                    is_indexed = content[9] == 3
                if kind == b"PLTE" and is_indexed:
                    palette = np.frombuffer(content, np.uint8).reshape(-1, 3)
        except (struct.error, IndexError, ValueError):
            raise _refused(path) from None
    return palette


def _is_matte(palette: Palette) -> bool:
    """Whether a palette is a matte's: greys up to white."""
    return bool((palette == palette[:, :1]).all() and palette.max() >= _WHITE)


def _is_numbers(colour: Picture) -> bool:
    """Whether a picture is an ID pass of floats: whole numbers, some of them above 1."""
    return bool(colour.dtype.kind == "f" and colour.max() > 1 and (colour == np.rint(colour)).all())


def _marked(
    colour: Picture, marked: Bool[np.ndarray, "height width"], path: Path
) -> UInt8[np.ndarray, "height width 1"]:
    """Mask, 0 or 255, of the pixels ``marked``; refuse colours of more than one object there."""
    if len(numbers := np.unique(colour[marked], axis=0)) > 1:
        raise InputError(
            f"The mask holds the numbers of {len(numbers)} objects",
            where=path,
            hint="Write a mask for each of them; coverage is from 0 to 1 where it is floats.",
        )
    return np.where(marked, np.uint8(255), np.uint8(0))[..., None]


def _read_exr(path: Path, *, is_mask: bool = False) -> Picture:
    """Read an EXR's R, G, B (or Y) and A, cropped or padded to its display window."""
    header, channels = read_stored(path)  # all of them as floats would be several times as much
    colours = [name for name in "RGB" if name in channels] or [name for name in "Y" if name in channels]
    if is_mask and len(channels) == 1:
        colours = [*channels]
    if not is_mask:
        _check_shown(path, header, channels, colours)
    if not colours or {"RY", "BY"} & set(channels):
        found = ", ".join(sorted(channels)[:8])
        raise InputError(f"The EXR has no plain R, G, B (it has {found})", where=path, hint="Export it as RGB.")
    has_alpha = "A" in channels and colours != ["A"]
    if len(colours) == 1:
        colours *= 3 if has_alpha else 1
    elif len(colours) == 2:  # of a mask, where the brightest channel counts
        colours = [colours[0], *colours]
    names = [*colours, "A"] if has_alpha else colours
    planes = [to_display_window(channels[name], header) for name in names]
    return np.stack(planes, axis=-1, dtype=np.float32)


def _check_shown(path: Path, header: dict[str, Any], channels: Collection[str], colours: list[str]) -> None:
    """Refuse an EXR that some version of Blender shows differently from other programs."""
    if header["parts"] > 1 or "multiView" in header:
        raise InputError("The EXR has several parts or views", where=path, hint="Export R, G, B of one of them.")
    if len(colours) == 2:  # Blender fills it with whatever is in memory
        (missing,) = set("RGB") - set(colours)
        raise InputError(f"The EXR lacks {missing}", where=path, hint="Export R, G and B.")
    mistaken = set(_LIKE_COLOURS)
    if len(colours) == 1:
        xyz = {"X", "Y", "Z"}
        mistaken |= {"R", "G", "B"} | (xyz if xyz <= {name.upper() for name in channels} else set())
    beside = sorted(
        name
        for name in set(channels) - {*colours, "A"}
        if name.upper() in mistaken or ("." in name and colours == ["Y"])
    )
    if colours and beside:
        said = f"The EXR has {', '.join(beside[:8])} beside {', '.join(colours)}, which Blender may show instead"
        raise InputError(said, where=path, hint="Export R, G and B alone.")


def to_display_window(
    picture: Shaped[np.ndarray, "rows columns *chan"], header: dict[str, Any]
) -> Shaped[np.ndarray, "height width *chan"]:
    """Crop overscan away and pad a cropped data window: frames are the display window."""
    data, display = (window(header, kind) for kind in ("dataWindow", "displayWindow"))
    if data == display:
        return picture
    out, shown = np.zeros((*reversed(display.size), *picture.shape[2:]), picture.dtype), data.within(display)
    out[shown.seen_from(display).slices] = picture[shown.seen_from(data).slices]
    return out


def write_png(path: Path, picture: UInt8[np.ndarray, "height width chan"]) -> None:
    """Write an 8-bit RGB or RGBA picture, whole or not at all."""
    with atomic(path) as temporary:
        _, data = cv2.imencode(".png", picture[..., [2, 1, 0, *range(3, picture.shape[2])]])
        temporary.write_bytes(data.tobytes())
