"""One image file: from bytes nobody vouches for to grey, RGB or RGBA pixels in sRGB, or a reason why not.

Formats are told by content, never by suffix; limits are checked before any pixel is decoded.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError

from sparring.data.report import Refused, printable

__all__ = ["MOST_BYTES", "Picture", "decode", "measure", "signature", "strict_decoding"]

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")
MOST_PIXELS = 64_000_000
MOST_SIDE = 16_384
MOST_BYTES = 25 * 2**20

_EXCLUSIVE = threading.RLock()
_SIDEWAYS = (5, 6, 7, 8)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an orientation. Pillow's `exif_transpose` writes the rest of the EXIF anew, which may be broken."""
_PNG_METADATA = (b"eXIf", b"exif", b"XML:com.adobe.xmp")
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"8BPS", "Photoshop"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"PK\x03\x04", "ZIP"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\x93NUMPY", "NumPy"),
    (b"<svg", "SVG"),
)


@dataclass(frozen=True)
class Picture:
    """A decoded image of mode L, RGB or RGBA, and what had to be done to it."""

    image: Image.Image
    conversions: tuple[str, ...]


def decode(data: bytes, *, near: tuple[int, int] | None = None) -> Picture:
    """The pixels of one file; call it under `strict_decoding`.

    `near` is the (height, width) wanted in the end: a JPEG several times larger is decoded at a fraction of its size,
    never below twice the wanted one. Raises Refused with the reason.
    """
    image = _opened(data)
    try:
        if near is not None:
            # EXIF may turn the picture later, so both sides allow for the longer one.
            image.draft(None, (2 * max(near), 2 * max(near)))
        return _converted(image)
    except MemoryError as error:
        raise Refused("needs more memory than there is") from error
    except Exception as error:  # decoders meet hostile bytes: whatever they raise is a verdict on this file alone
        raise Refused(_reason(error)) from error


def measure(data: bytes) -> tuple[int, int]:
    """(height, width) as it will be seen, from the header and the metadata. Raises Refused."""
    image = _opened(data)
    # Pillow decodes a PNG to look for metadata behind the pixels; without their names in the file there are none.
    silent = image.format == "PNG" and not any(name in data for name in _PNG_METADATA)
    upright = silent or _orientation(image) not in _SIDEWAYS
    return (image.height, image.width) if upright else (image.width, image.height)


def signature(data: bytes) -> str | None:
    """The format by its first bytes, accepted or not; None for content of no known kind.

    >>> signature(b"GIF89a..."), signature(b"hello")
    ('GIF', None)
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return "HEIF or video"
    return next((name for magic, name in _SIGNATURES if data.startswith(magic)), None)


@contextmanager
def strict_decoding() -> Iterator[None]:
    """Pillow as this package wants it, whatever the surrounding program has set; covers all threads while it lasts."""
    # Both settings belong to the whole process: two threads at once would restore each other's.
    with _EXCLUSIVE, warnings.catch_warnings():
        lenient = ImageFile.LOAD_TRUNCATED_IMAGES
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        try:
            yield
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def _opened(data: bytes) -> Image.Image:
    """Reads the header and applies the limits."""
    if not data:
        raise Refused("empty file")
    if len(data) > MOST_BYTES:
        raise Refused(f"{len(data) / 2**20:.0f} MB; the limit is {MOST_BYTES // 2**20} MB")
    kind = signature(data)
    if kind not in FORMATS:
        raise Refused(f"not an accepted format ({kind or 'not an image'})")
    try:
        image = Image.open(io.BytesIO(data), formats=[kind])
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Refused(f"more than {MOST_PIXELS // 10**6} megapixels") from error
    except UnidentifiedImageError as error:
        raise Refused("damaged or incomplete header") from error
    except Exception as error:  # as in decode: a header can break a parser in any way
        raise Refused(_reason(error)) from error
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise Refused(f"{width}x{height} pixels; the limit is {MOST_PIXELS // 10**6} megapixels")
    if max(width, height) > MOST_SIDE:
        raise Refused(f"{width}x{height} pixels; the limit is {MOST_SIDE} a side")
    if min(width, height) < 1:
        raise Refused(f"{width}x{height} pixels")
    return image


def _converted(image: Image.Image) -> Picture:
    done: list[str] = []
    if getattr(image, "is_animated", False) and image.format != "MPO":
        done.append("animated, first frame taken")
    if isinstance(image, ImageFile.ImageFile) and any(";16" in str(tile.args) for tile in image.tile):
        done.append("16-bit scaled")
    profile = image.info.get("icc_profile")
    image.load()
    if (turned := _orientation(image)) != 1:
        image = image.transpose(_UPRIGHT[turned])
        done.append("turned upright as EXIF says")
    image = _plain(image, done)
    if profile:
        image = _in_srgb(image, profile, done)
    if image.mode == "CMYK":
        image = image.convert("RGB")
        done.append("CMYK converted to RGB")
    return Picture(image, tuple(done))


def _plain(image: Image.Image, done: list[str]) -> Image.Image:
    """Any mode a decoder gives, as L, RGB, RGBA or CMYK."""
    if image.mode.startswith("I"):
        values = np.asarray(image)
        grey = Image.fromarray(_from_16_bits(values))
        clear = image.info.get("transparency")
        if isinstance(clear, int):
            grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
            return grey.convert("RGBA")
        return grey
    if image.mode == "1" and "transparency" not in image.info:
        done.append("1-bit to grey")
        return image.convert("L")
    if image.mode in ("LA", "La", "PA", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode == "P":
        done.append("palette to RGB")
        return image.convert("RGB")
    if image.mode in ("L", "RGB", "RGBA", "CMYK"):
        return image
    done.append(f"{image.mode} converted to RGB")
    return image.convert("RGB")


def _from_16_bits(
    values: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """0..65535 to 0..255 by range; Pillow's own conversion would clip everything above 255 to white."""
    wide = np.clip(values.astype(np.int64), 0, 65535)
    return ((wide * 255 + 32767) // 65535).astype(np.uint8)


def _in_srgb(image: Image.Image, profile: bytes, done: list[str]) -> Image.Image:
    """Applies an embedded colour profile; one that cannot be read or does not fit is ignored, as viewers do."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colours = image.convert("RGB") if alpha else image
    try:
        theirs = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(theirs):
            return image
        converted = ImageCms.profileToProfile(colours, theirs, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        done.append("colour profile not usable, taken as sRGB")
        return image
    if converted is None:
        return image
    done.append("colour profile converted to sRGB")
    if alpha:
        converted.putalpha(alpha)
    return converted.convert("L") if image.mode == "L" else converted


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken EXIF must not cost the picture
        return 1
    return value if value in range(1, 9) else 1


def _reason(error: Exception) -> str:
    text = str(error)
    if isinstance(error, EOFError) or "truncated" in text.lower() or "unexpected end" in text.lower():
        return "file ends early"
    return f"damaged ({printable(text)[:80] or type(error).__name__})"
