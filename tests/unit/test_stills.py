"""Rarer pictures: what Blender and OpenImageIO show of them is what is read, all else is refused in a sentence."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import tifffile
from OpenImageIO import ImageBuf, ImageInput
from PIL import Image
from stills import CODED, STILLS

from nvd_core.clip import open_clip
from nvd_core.clip.pictures import has_own_window, read_mask, read_picture, read_rgb
from nvd_core.masks.files import coverage
from nvd_core.roto.rotoscope import Wanted, rotoscope
from nvd_core.spec.errors import InputError
from nvd_core.spec.folder import masks_path
from nvd_core.spec.settings import MaskSource

GREY = CODED[..., 1]
WIDE = (GREY.astype(np.uint16) * 251 + 13).astype(np.uint16)
"""16 bits that are no multiples of 8."""


def exr(path: Path, channels: dict[str, np.ndarray], data: tuple | None = None, frame: tuple | None = None) -> Path:
    header = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
    for name, box in (("dataWindow", data), ("displayWindow", frame)):
        if box:
            header[name] = (np.array(box[:2], np.int32), np.array(box[2:], np.int32))
    OpenEXR.File(header, channels).write(str(path))
    return path


PLANE = np.linspace(0, 1, 60 * 80, dtype=np.float32).reshape(60, 80)
CROPS = {"over": ((-10, 0, 69, 59), (0, 0, 59, 49)), "under": ((30, 20, 109, 79), (0, 0, 159, 119)),
         "shifted": ((10, 0, 89, 59), (0, 0, 79, 59)), "below zero": ((-90, -80, -11, -21), (-100, -70, -21, -11)),
         "beside": ((80, 0, 159, 59), (0, 0, 79, 59)), "far off": ((9000, -9000, 9079, -8941), (0, 0, 79, 59)),
         "one pixel": ((0, 0, 79, 59), (79, 59, 79, 59))}  # fmt: skip


@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("names", ["RGB", "RGBA", "Y", "R", "YA"])
def test_the_display_window_is_read(crop: str, names: str, tmp_path: Path) -> None:
    """What is outside of the data window is nothing, in every channel."""
    planes = {name: PLANE / (1 + index) for index, name in enumerate(names)}
    path = exr(tmp_path / "shot.1001.exr", planes, *CROPS[crop])
    image = ImageBuf(str(path))
    whole = image.get_pixels("float", image.roi_full)
    colour = whole[..., :3] if names.startswith("RGB") else whole[..., :1].repeat(3, axis=2)
    assert has_own_window(path)
    assert np.array_equal(read_rgb(path), colour)
    if names[-1] == "A":
        assert np.array_equal(read_picture(path)[..., 3], whole[..., -1])


@pytest.mark.parametrize("crop", CROPS)
def test_a_mask_marks_nothing_outside_of_its_data_window(crop: str, tmp_path: Path) -> None:
    (x0, y0, *_), (left, top, right, bottom) = CROPS[crop]
    path = exr(tmp_path / "mask.exr", {"matte.V": PLANE}, *CROPS[crop])
    matte = coverage(read_mask(path))
    y, x = np.mgrid[top : bottom + 1, left : right + 1]
    assert matte.shape == y.shape
    inside = (y >= y0) & (y < y0 + 60) & (x >= x0) & (x < x0 + 80)
    assert not matte[~inside].any()
    assert np.array_equal(matte[inside], PLANE[(y - y0)[inside], (x - x0)[inside]])


@pytest.mark.parametrize(
    ("names", "words"),
    [("RG", "lacks B"), ("RGA", "lacks B"), ("GB", "lacks R"), ("A", "no plain R, G, B"), ("Z", "no plain R, G, B"),
     (("Y", "RY", "BY"), "no plain R, G, B")],
)  # fmt: skip
def test_an_exr_without_all_of_its_colours_is_refused(names: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read_picture(exr(tmp_path / "plate.exr", dict.fromkeys(names, PLANE)))


@pytest.mark.parametrize(
    ("names", "beside"),
    [("R G B V", "V"), ("R G B A AR AG AB", "AB, AG, AR"), ("R G B red", "red"), ("X Y Z", "X, Z"),
     ("x Y Z A", "Z, x"), ("R X Y Z", "X, Y, Z"), ("Y V", "V"), ("R g b", "b, g"), ("Y A left.R", "left.R")],
)  # fmt: skip
def test_an_exr_of_which_blender_shows_other_channels_is_refused(names: str, beside: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"The EXR has {beside} beside .*, which Blender may show instead"):
        read_picture(exr(tmp_path / "plate.exr", dict.fromkeys(names.split(), PLANE)))


@pytest.mark.parametrize("names", ["R G B A X Y Z", "R G B r b N U", "Y X U", "R A Z left.R left.G", "G depth"])
def test_channels_beside_colour_do_not_matter(names: str, tmp_path: Path) -> None:
    """As Blender has it, too."""
    planes = {name: PLANE / (2 + index) for index, name in enumerate(names.split())}
    plate = read_rgb(exr(tmp_path / "plate.exr", dict(planes)))
    colours = "RGB" if names.startswith("R G B") else names[0] * 3
    assert np.array_equal(plate, np.dstack([planes[name] for name in colours]))


def test_an_exr_of_one_colour_is_grey(tmp_path: Path) -> None:
    for names in ("R", "G", "Y", "RA", "YA"):
        plate = read_rgb(exr(tmp_path / "grey.exr", {name: PLANE / (1 + (name == "A")) for name in names}))
        assert np.array_equal(plate, np.dstack([PLANE] * 3)), names


def test_an_exr_of_several_parts_or_views_is_refused(tmp_path: Path) -> None:
    parts = [OpenEXR.Part({"name": name}, dict.fromkeys("RGB", PLANE)) for name in ("left", "right")]
    OpenEXR.File(parts).write(str(tmp_path / "stereo.exr"))
    with pytest.raises(InputError, match="several parts"):
        read_picture(tmp_path / "stereo.exr")
    header = {"type": OpenEXR.scanlineimage, "multiView": ["left", "right"]}
    OpenEXR.File(header, dict.fromkeys(["R", "G", "B", "right.R", "right.G", "right.B"], PLANE)).write(
        str(tmp_path / "views.exr")
    )
    with pytest.raises(InputError, match="several parts or views"):
        read_picture(tmp_path / "views.exr")


def test_layers_beside_rgb_do_not_matter(tmp_path: Path) -> None:
    layers = {"depth.Z": PLANE * 7, "left.R": PLANE * 3}
    plate = read_rgb(exr(tmp_path / "plate.exr", dict.fromkeys("RGB", PLANE) | layers))
    assert np.array_equal(plate, np.dstack([PLANE] * 3))


def test_a_matte_of_one_channel_or_with_alpha_is_coverage(tmp_path: Path) -> None:
    soft = np.linspace(0, 1, 80, dtype=np.float32)[None].repeat(60, 0)
    white = np.ones_like(soft)
    for channels in ({"A": soft}, {"V": soft}, {"Y": white, "A": soft}, {"R": soft, "G": soft * 0}):
        assert np.array_equal(coverage(read_mask(exr(tmp_path / "mask.exr", channels))), soft), [*channels]
    wide = np.rint(soft * 65535).astype(np.uint16)
    both = np.stack([np.full_like(wide, 65535), wide], axis=-1)
    tifffile.imwrite(
        tmp_path / "m.tif", both, photometric="minisblack", extrasamples=["unassalpha"], planarconfig="contig"
    )
    assert np.array_equal(coverage(read_mask(tmp_path / "m.tif")), wide / np.float32(65535))
    Image.fromarray((both >> 8).astype(np.uint8), "LA").save(tmp_path / "m.png")
    assert np.array_equal(coverage(read_mask(tmp_path / "m.png")), (wide >> 8) / np.float32(255))


def test_a_mask_of_values_that_are_not_numbers_is_refused(tmp_path: Path) -> None:
    for name in "VYA":
        with pytest.raises(InputError, match="not numbers"):
            read_mask(exr(tmp_path / "mask.exr", {name: np.where(PLANE == 0, np.nan, PLANE).astype(np.float32)}))


def indexed(path: Path, indices: np.ndarray, palette: list[int], **options: object) -> Path:
    picture = Image.fromarray(indices.astype(np.uint8))
    picture.putpalette(palette)
    picture.save(path, **options)
    return path


DAVIS = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0, 0, 0, 128, 128, 0, 128, 0, 128, 128, 128, 128, 128]
BLOB = np.zeros((40, 60), np.uint8)
BLOB[10:30, 20:50] = 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("index", [1, 2, 7])
def test_a_mask_of_indices_marks_whatever_is_not_0(index: int, suffix: str, tmp_path: Path) -> None:
    path = indexed(tmp_path / f"mask.{suffix}", BLOB * index, DAVIS)
    assert np.array_equal(coverage(read_mask(path)), BLOB)


def test_the_colour_of_index_0_does_not_matter(tmp_path: Path) -> None:
    path = indexed(tmp_path / "mask.png", BLOB, [68, 1, 84, 253, 231, 37])
    assert np.array_equal(coverage(read_mask(path)), BLOB)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_mask_of_several_objects_indices_is_refused(suffix: str, tmp_path: Path) -> None:
    two = BLOB.copy()
    two[:5] = 3
    with pytest.raises(InputError, match="numbers of 2 objects"):
        read_mask(indexed(tmp_path / f"mask.{suffix}", two, DAVIS))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_palette_of_greys_up_to_white_is_coverage(suffix: str, tmp_path: Path) -> None:
    soft = np.linspace(0, 255, 60).astype(np.uint8)[None].repeat(40, 0)
    ramp = [value for grey in range(255, -1, -1) for value in (grey, grey, grey)]
    path = indexed(tmp_path / f"mask.{suffix}", 255 - soft, ramp)
    # TIFFs have palettes of 16 bits, of which Pillow writes but the upper 8.
    assert np.abs(coverage(read_mask(path)) - soft / np.float32(255)).max() <= (0.0041 if suffix == "tif" else 0)


def test_a_transparent_palette_is_a_cutout(tmp_path: Path) -> None:
    path = indexed(tmp_path / "mask.png", BLOB + BLOB[::-1], [9, 9, 9, *DAVIS[3:]], transparency=0)
    assert np.array_equal(coverage(read_mask(path)), np.minimum(BLOB + BLOB[::-1], 1))


def test_indices_of_a_key_frame_are_no_half_an_object(tmp_path: Path) -> None:
    """The mask given at one frame must not flicker."""
    clip, dice = tmp_path / "clip", np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    clip.mkdir()
    for number in (1, 2):
        Image.fromarray(np.roll(dice, number, 1)).save(clip / f"a.{number}.png")
    mask = np.pad(BLOB, ((0, 8), (0, 4)))
    given = MaskSource.of(name="swan", path=str(indexed(tmp_path / "mask.png", mask, DAVIS)), frame=1)
    wanted = Wanted(open_clip(clip), range(1, 3), (given,), masks_path(tmp_path / "out"), tmp_path, 2)
    rotoscope(wanted)
    assert np.array_equal(coverage(read_mask(next((tmp_path / "out").rglob("swan.*1.png")))), mask)


def test_tiffs_are_read_as_they_are_stored(tmp_path: Path) -> None:
    for orientation in range(1, 9):
        tifffile.imwrite(
            tmp_path / "t.tif", CODED, photometric="rgb", extratags=[(274, "H", 1, orientation, True)], metadata=None
        )
        assert np.array_equal(read_picture(tmp_path / "t.tif"), CODED), orientation


def test_of_many_channels_the_first_alpha_counts(tmp_path: Path) -> None:
    alpha, selection = GREY[::-1], GREY[:, ::-1]
    tifffile.imwrite(
        tmp_path / "photoshop.tif", np.dstack([CODED, alpha, selection]), photometric="rgb",
        extrasamples=["unassalpha", "unspecified"],
    )  # fmt: skip
    assert np.array_equal(read_picture(tmp_path / "photoshop.tif"), np.dstack([CODED, alpha]))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_go_from_black_to_white(bits: int, tmp_path: Path) -> None:
    levels = np.arange(2**bits, dtype=np.uint8)[None].repeat(8, 0)
    packed = np.packbits(np.unpackbits(levels[..., None], axis=2)[..., -bits:].reshape(8, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    png(tmp_path / "few.png", 2**bits, 8, (bits, 0), rows)
    assert np.array_equal(read_picture(tmp_path / "few.png")[..., 0], levels * (255 // (2**bits - 1)))


def test_sixteen_bits_are_kept(tmp_path: Path) -> None:
    Image.fromarray(WIDE).save(tmp_path / "wide.png")
    tifffile.imwrite(tmp_path / "wide.tif", WIDE, photometric="minisblack", byteorder=">")
    assert np.array_equal(read_picture(tmp_path / "wide.png")[..., 0], WIDE)
    assert np.array_equal(read_picture(tmp_path / "wide.tif")[..., 0], WIDE)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path: Path, width: int, height: int, kind: tuple[int, int], rows: bytes, *more: bytes) -> Path:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, *kind, 0, 0, 0))
    parts = (header, *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def test_no_chunk_changes_the_colour_of_a_png(tmp_path: Path) -> None:
    """Blender shows the numbers as they are: a result's scene must keep them, too."""
    rows = b"".join(b"\0" + row.tobytes() for row in CODED)
    chunks = {
        "gAMA": chunk(b"gAMA", struct.pack(">I", 100_000)), "sRGB": chunk(b"sRGB", b"\0"),
        "cICP": chunk(b"cICP", bytes([9, 16, 0, 1])), "sBIT": chunk(b"sBIT", bytes([5, 5, 5])),
        "iCCP": chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile")),
        "tEXt": chunk(b"tEXt", b"a\0b")[:-1] + b"!",
    }  # fmt: skip
    for name, more in chunks.items():
        assert np.array_equal(read_rgb(png(tmp_path / "a.png", 97, 65, (8, 2), rows, more)), CODED), name


def cmyk_jpeg(path: Path) -> None:
    Image.fromarray(CODED).convert("CMYK").save(path)


def ints(kind: str) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, CODED.astype(kind), photometric="rgb")


REFUSED = {
    "cmyk.jpg": (cmyk_jpeg, "colour is CMYK"),
    "cmyk.tif": (lambda path: Image.fromarray(CODED).convert("CMYK").save(path), "colour is CMYK"),
    "lab.tif": (lambda path: Image.fromarray(CODED).convert("LAB").save(path), r"colour is L\*a\*b\*"),
    "signed.tif": (ints("int16"), "Pictures of int16"),
    "long.tif": (ints("uint32"), "Pictures of uint"),
    "bytes.tif": (ints("int8"), "Pictures of int8"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_programs_show_in_different_ways_is_refused(name: str, tmp_path: Path) -> None:
    write, words = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(InputError, match=words):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("name", ["8.png", "16_alpha.png", "palette.png", "444.jpg", "progressive.jpg", "16_zip.tif",
                                  "8_big.tif", "10a.dpx", "half.exr", "with_a_film.jpg"])  # fmt: skip
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.97])
def test_what_is_cut_off_is_never_a_picture(
    name: str, share: float, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    STILLS[name](tmp_path / name)
    data = (tmp_path / name).read_bytes()
    end = data.index(b"\xff\xd9") + 2 if name == "with_a_film.jpg" else len(data)
    (tmp_path / name).write_bytes(data[: int(share * end)])
    with pytest.raises(InputError, match=r"damaged|no picture"):
        read_picture(tmp_path / name)
    if not name.endswith("exr"):  # OpenEXR speaks before we do
        assert capfd.readouterr().err == ""


def test_a_changed_bit_of_a_png_is_told(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    STILLS["8.png"](tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    for at in range(12, data.index(b"IEND"), 97):
        (tmp_path / "a.png").write_bytes(data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :])
        with suppress(InputError):
            assert np.array_equal(read_picture(tmp_path / "a.png"), CODED), "it was in a comment"
    assert capfd.readouterr().err == ""


def test_what_lies_between_the_segments_of_a_jpeg_does_not_matter(tmp_path: Path) -> None:
    STILLS["444.jpg"](tmp_path / "a.jpg")
    whole, data = read_picture(tmp_path / "a.jpg"), (tmp_path / "a.jpg").read_bytes()
    at = data.index(b"\xff\xdb")
    (tmp_path / "a.jpg").write_bytes(data[:at] + b"junk!" + data[at:])
    assert np.array_equal(read_picture(tmp_path / "a.jpg"), whole)


@pytest.mark.parametrize("offset", [16, 2**40, 2**63 - 1, 2**64 - 1])
def test_a_damaged_tiff_of_64_bits_is_told(offset: int, tmp_path: Path) -> None:
    for order, mark in (("<", b"II+\0"), (">", b"MM\0+")):
        path = tmp_path / "bad.tif"
        path.write_bytes(mark + struct.pack(order + "HHQ", 8, 0, offset) + b"\xff" * 64)
        with pytest.raises(InputError, match="damaged"):
            read_picture(path)


@pytest.mark.parametrize("name", [name for name in STILLS if not name.endswith((".dpx", ".exr"))])
def test_openimageio_shows_the_same(name: str, tmp_path: Path) -> None:
    STILLS[name](tmp_path / name)
    file = ImageInput.open(str(tmp_path / name))
    shown, plate = file.read_image(0, 0, 0, 3, file.spec().format), read_rgb(tmp_path / name)
    if "alpha" not in name and "selection" not in name:  # it premultiplies unless it is asked not to
        assert np.array_equal(plate, shown.astype(plate.dtype))
