"""One file: every kind that is accepted gives the right pixels, every kind that is not gives its reason."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps
from PIL.PngImagePlugin import PngImageFile

from sparring.data.decoding import MOST_BYTES, decode, measure, strict_decoding
from sparring.data.report import Refused


def saved(image: Image.Image, kind: str = "PNG", **how: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def png(width: int, height: int, *, bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG by hand, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + packed[0] + extra + packed[1] + packed[2]


def flat(mode: str, colour: int | tuple[int, ...], size: tuple[int, int] = (8, 8)) -> Image.Image:
    return Image.new(mode, size, colour)


def palette_with_hole() -> bytes:
    image = flat("P", 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    return saved(image, transparency=1)


def grey_with_hole() -> bytes:
    return saved(flat("L", 40), transparency=40)


def turned() -> bytes:
    """Left half black, right half white, to be turned a quarter clockwise: black comes to the top."""
    image = flat("L", 255, (16, 8))
    image.paste(0, (0, 0, 8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(image, exif=exif)


def turned_beside_nonsense() -> bytes:
    """The same, with a unit of resolution that is a word."""
    image = flat("L", 255, (16, 8))
    image.paste(0, (0, 0, 8, 8))
    entries = struct.pack("<HHLHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHL4s", 0x0128, 2, 2, b"x\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries + b"\0\0\0\0"
    return saved(image, "JPEG", exif=exif)


def animated(kind: str) -> bytes:
    frames = [flat("RGB", colour) for colour in [(255, 0, 0), (0, 255, 0), (0, 0, 255)]]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=40)


def with_linear_profile() -> bytes:
    """Grey 128 said to be XYZ-like: a profile that is not sRGB and changes values."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    return saved(flat("RGB", (10, 20, 30)), icc_profile=profile.tobytes())


ACCEPTED = {
    # name: (bytes, mode, first pixel, said)
    "rgb": (lambda: saved(flat("RGB", (1, 2, 3))), "RGB", (1, 2, 3), ""),
    "grey": (lambda: saved(flat("L", 77)), "L", 77, ""),
    "rgba": (lambda: saved(flat("RGBA", (1, 2, 3, 4))), "RGBA", (1, 2, 3, 4), ""),
    "grey and alpha": (lambda: saved(flat("LA", (9, 7))), "RGBA", (9, 9, 9, 7), ""),
    "one bit": (lambda: saved(flat("1", 1)), "L", 255, "1-bit"),
    "one bit with hole": (lambda: saved(flat("1", 1), transparency=255), "RGBA", (255, 255, 255, 0), ""),
    "16-bit grey with hole": (
        lambda: saved(Image.fromarray(np.full((8, 8), 0x8080, np.uint16)), transparency=0x8080),
        "RGBA",
        (128, 128, 128, 0),
        "16-bit",
    ),
    "16-bit grey beside a hole": (
        lambda: saved(Image.fromarray(np.full((8, 8), 0x8080, np.uint16)), transparency=0x8081),
        "RGBA",
        (128, 128, 128, 255),
        "16-bit",
    ),
    "palette": (lambda: saved(flat("RGB", (5, 6, 7)).quantize(4)), "RGB", (5, 6, 7), "palette"),
    "palette with hole": (palette_with_hole, "RGBA", (0, 0, 255, 0), ""),
    "grey with hole": (grey_with_hole, "RGBA", (40, 40, 40, 0), ""),
    # 0x8080 = 32896 = 128 * 257: by hand; clipping would give 255
    "16-bit grey": (lambda: saved(Image.fromarray(np.full((8, 8), 0x8080, np.uint16))), "L", 128, "16-bit"),
    "16-bit low": (lambda: saved(Image.fromarray(np.full((8, 8), 300, np.uint16))), "L", 1, "16-bit"),
    "16-bit rgb": (
        lambda: png(1, 1, bits=16, colour=2, rows=b"\0\x12\x12\xab\xab\xff\xff"),
        "RGB",
        (0x12, 0xAB, 0xFF),
        "16-bit",
    ),
    "cmyk": (lambda: saved(flat("CMYK", (0, 0, 0, 255)), "JPEG"), "RGB", (0, 0, 0), "CMYK"),
    "bmp": (lambda: saved(flat("RGB", (1, 2, 3)), "BMP"), "RGB", (1, 2, 3), ""),
    "webp": (lambda: saved(flat("RGB", (1, 2, 3)), "WEBP", lossless=True), "RGB", (1, 2, 3), ""),
    "turned": (turned, "L", 0, "upright"),
    "turned beside nonsense": (turned_beside_nonsense, "L", 0, "upright"),
    "animated gif": (lambda: animated("GIF"), "RGB", (255, 0, 0), "first frame"),
    "animated png": (lambda: animated("PNG"), "RGB", (255, 0, 0), "first frame"),
    "useless profile": (with_linear_profile, "RGB", (10, 20, 30), "profile not usable"),
    "broken profile": (lambda: saved(flat("RGB", (1, 2, 3)), icc_profile=b"x" * 200), "RGB", (1, 2, 3), "not usable"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    make, mode, first, said = ACCEPTED[name]
    with strict_decoding():
        picture = decode(make())
    assert picture.image.mode == mode
    assert picture.image.getpixel((0, 0)) == first
    assert said in ", ".join(picture.conversions)
    assert bool(said) == bool(picture.conversions)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_does(orientation: int) -> None:
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(image, exif=exif)
    with strict_decoding():
        found = decode(data).image
    assert np.array_equal(found, ImageOps.exif_transpose(Image.open(io.BytesIO(data))))


def test_sizes_are_told_as_seen() -> None:
    assert measure(turned()) == (16, 8)
    with strict_decoding():
        assert decode(turned()).image.size == (8, 16)


def test_a_png_is_measured_without_being_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = []
    monkeypatch.setattr(PngImageFile, "load", lambda image: loads.append(image))
    assert measure(saved(flat("RGB", (1, 2, 3), (8, 16)))) == (16, 8)
    assert not loads


@pytest.mark.parametrize("behind", [False, True])
def test_a_png_is_turned_wherever_it_says_so(behind: bool) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = saved(flat("RGB", (1, 2, 3), (16, 8)), exif=exif)
    start = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[start : start + 4], "big")
    if behind:  # the chunk moves from before the pixels to before IEND, which has 12 bytes
        data = data[:start] + data[start + length : -12] + data[start : start + length] + data[-12:]
    assert measure(data) == (16, 8)
    with strict_decoding():
        assert decode(data).image.size == (8, 16)


def test_wide_gamut_profile_is_converted_to_srgb() -> None:
    """A display profile with red and blue exchanged: the colours must come out exchanged."""
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    swapped = swapped.replace("sRGB built-in".encode("utf-16-be"), "xxxx built-in".encode("utf-16-be"))
    swapped = swapped.replace(b"rXYZ", b"qXYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"qXYZ", b"bXYZ", 1)
    with strict_decoding():
        picture = decode(saved(flat("RGB", (250, 0, 0)), icc_profile=bytes(swapped)))
    assert picture.conversions == ("colour profile converted to sRGB",)
    red, _, blue = picture.image.getpixel((0, 0))
    assert blue > 240
    assert red < 20


def large(width: int, height: int) -> bytes:
    """A header that announces a size; the pixels behind it are never reached."""
    return png(width, height, bits=8, colour=2, rows=b"\0" * 100)


REFUSED = {
    "empty": (lambda: b"", "empty file"),
    "text": (lambda: b"hello, I am no image", "not an image"),
    "tiff": (lambda: saved(flat("RGB", (1, 2, 3)), "TIFF"), "TIFF"),
    "zip": (lambda: b"PK\x03\x04" + b"\0" * 40, "ZIP"),
    "heif": (lambda: b"\0\0\0\x18ftypheic" + b"\0" * 40, "HEIF"),
    "only a signature": (lambda: b"\x89PNG\r\n\x1a\n", "header"),
    "noise behind a signature": (lambda: b"\xff\xd8\xff" + b"\x01\x02\x03" * 30, ""),
    "64 megapixels": (lambda: large(8001, 8000), "megapixels"),
    "bomb": (lambda: large(50_000, 50_000), "megapixels"),
    "bomb Pillow only warns of": (lambda: large(10_000, 9_500), "megapixels"),
    "long side": (lambda: large(20_000, 10), "a side"),
    "heavy": (lambda: b"\x89PNG\r\n\x1a\n" + b"\0" * MOST_BYTES, "limit is 25 MB"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    make, reason = REFUSED[name]
    with strict_decoding(), pytest.raises(Refused, match=reason):
        decode(make())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
@pytest.mark.parametrize("lenient", [False, True])
def test_truncated_is_refused_even_where_the_program_is_lenient(
    kind: str, lenient: bool, photo: Callable[..., Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    whole = saved(photo(0, (64, 64)), kind)
    with strict_decoding(), pytest.raises(Refused, match=r"ends early|damaged"):
        decode(whole[: len(whole) * 6 // 10])
    assert lenient is ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_any_damage_is_a_verdict(kind: str, photo: Callable[..., Image.Image]) -> None:
    """200 files with a few random bytes each: an image or a reason, never another exception."""
    random = np.random.RandomState(3)
    whole = np.frombuffer(saved(photo(1, (24, 24)), kind), dtype=np.uint8)
    refused = 0
    with strict_decoding():
        for _ in range(200):
            damaged = whole.copy()
            where = np.concatenate([random.randint(0, 60, 2), random.randint(0, len(whole), 2)])
            damaged[where] = random.randint(0, 256, 4)
            try:
                decode(damaged.tobytes(), near=(16, 16))
            except Refused:
                refused += 1
    assert refused > 0


def test_large_jpegs_are_decoded_small_but_not_too_small() -> None:
    with strict_decoding():
        picture = decode(saved(flat("RGB", (9, 9, 9), (1024, 768)), "JPEG"), near=(64, 64))
    assert picture.image.width < 1024
    assert min(picture.image.size) >= 128
