"""One picture in every kind of file that artists have, written by OpenImageIO, Pillow and tifffile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
import tifffile
from films import picture
from OpenImageIO import ImageOutput, ImageSpec
from PIL import Image

from nvd_core.image.colour import linear_from_display
from nvd_core.spec.conventions import Size

CODED: Final = picture(5, Size(97, 65))
"""What all of them show, display-encoded."""

_UNIT: Final = CODED.astype(np.float32) / 255
_LIGHT: Final = linear_from_display(_UNIT)
_ALPHA: Final = np.where(np.arange(97) < 40, 0.5, 1).astype(np.float32)[None, :, None].repeat(65, axis=0)

Write = Callable[[Path], object]


def _oiio(values: np.ndarray, kind: str, tile: int = 0, names: str = "", **attributes: object) -> Write:
    def write(path: Path) -> None:
        spec = ImageSpec(values.shape[1], values.shape[0], values.shape[2], kind)
        spec.tile_width = spec.tile_height = tile
        if names:
            spec.channelnames = names.split()
        for name, value in attributes.items():
            spec.attribute(name.replace("__", ":"), value)
        out = ImageOutput.create(str(path))
        assert out.open(str(path), spec), out.geterror()
        assert out.write_image(np.ascontiguousarray(values)), out.geterror()
        assert out.close()

    return write


def _pillow(picture: Image.Image, **options: object) -> Write:
    return lambda path: picture.save(path, **options)


def _and_more(path: Path) -> None:
    """What telephones append: here a film."""
    STILLS["444.jpg"](path)
    path.write_bytes(path.read_bytes() + b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(5000))


def _dpx(bits: int, packing: str, **attributes: object) -> Write:
    kind = "uint8" if bits == 8 else "uint16"
    return _oiio(_UNIT, kind, oiio__BitsPerSample=bits, dpx__Packing=packing, **attributes)


_PICTURE: Final = Image.fromarray(CODED)

STILLS: Final[dict[str, Write]] = {
    "8.png": _oiio(_UNIT, "uint8"),
    "16.png": _oiio(_UNIT, "uint16"),
    "8_alpha.png": _oiio(np.dstack([_UNIT, _ALPHA]), "uint8", oiio__UnassociatedAlpha=1),
    "16_alpha.png": _oiio(np.dstack([_UNIT, _ALPHA]), "uint16", oiio__UnassociatedAlpha=1),
    "palette.png": _pillow(_PICTURE.quantize(16)),
    "8_still_of_an_animation.png": _pillow(
        _PICTURE, save_all=True, default_image=True, append_images=[_PICTURE.rotate(180), _PICTURE.rotate(90)]
    ),
    "444.jpg": _pillow(_PICTURE, quality=97, subsampling=0),
    "420.jpg": _pillow(_PICTURE, quality=97, subsampling=2),
    "progressive.jpg": _pillow(_PICTURE, quality=97, subsampling=0, progressive=True),
    "with_a_film.jpg": _and_more,
    "8.tif": _oiio(_UNIT, "uint8"),
    "8_turned.tif": _oiio(_UNIT, "uint8", Orientation=6),
    "8_separate.tif": _oiio(_UNIT, "uint8", planarconfig="separate"),
    "8_selection.tif": _oiio(np.dstack([_UNIT, _ALPHA, _ALPHA]), "uint8", names="R G B A selection", compression="lzw"),
    "8_big.tif": lambda path: tifffile.imwrite(path, CODED, photometric="rgb", bigtiff=True, byteorder=">"),
    "palette.tif": _pillow(_PICTURE.quantize(16)),
    "16.tif": _oiio(_UNIT, "uint16"),
    "16_alpha.tif": _oiio(np.dstack([_UNIT, _ALPHA]), "uint16", oiio__UnassociatedAlpha=1),
    "16_zip.tif": _oiio(_UNIT, "uint16", compression="zip"),
    "8_tiled.tif": _oiio(_UNIT, "uint8", tile=32),
    "float.tif": _oiio(_LIGHT, "float"),
    "half_float.tif": _oiio(_LIGHT, "half"),
    "double_float.tif": lambda path: tifffile.imwrite(path, _LIGHT.astype(np.float64), photometric="rgb"),
    "half.exr": _oiio(_LIGHT, "half"),
    "float.exr": _oiio(_LIGHT, "float"),
    "alpha.exr": _oiio(np.dstack([_LIGHT, _ALPHA]), "half"),
    "bright.exr": _oiio(np.where((_LIGHT == 1) & (np.arange(65) < 40)[:, None, None], 50_000, _LIGHT), "half"),
    "layers.exr": _oiio(np.dstack([_LIGHT, _ALPHA, _LIGHT]), "half", names="R G B depth.Z left.R left.G left.B"),
    "beside.exr": _oiio(np.dstack([_LIGHT, _ALPHA, _LIGHT, _ALPHA]), "half", names="R G B X Y Z r ID"),
    "tiled.exr": _oiio(_LIGHT, "half", tile=32),
    **{f"{kind}.exr": _oiio(_LIGHT, "half", compression=kind) for kind in ("rle", "zips", "piz", "pxr24", "dwaa")},
    "8.dpx": _dpx(8, "Filled, method A"),
    **{f"{bits}{name}.dpx": _dpx(bits, f"Filled, method {name.upper()}") for bits in (10, 12, 16) for name in "ab"},
    "10_little.dpx": _dpx(10, "Filled, method A", oiio__Endian="little"),
    "12_packed.dpx": _dpx(12, "Packed"),
}
"""How each is written, by what it is."""
