"""Images as people see them: grids, strips, files. Pure presentation, for every layer above."""

from __future__ import annotations

import base64
import importlib.util
import io
import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from sparring.errors import UsageError

__all__ = [
    "data_url", "film", "film_ending", "grid", "picture", "png", "require_png", "scaled", "scatter", "to_uint8",
]  # fmt: skip


def to_uint8(images: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8: clamped and rounded, so that -1 is 0 and 1 is 255. Points pass through.

    >>> to_uint8(torch.tensor([-1.0, 0.0, 1.0, 7.0]).view(1, 1, 2, 2)).flatten().tolist()
    [0, 128, 255, 255]
    """
    if images.shape[-2:] == (1, 1):
        return images
    return images.float().add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def scaled(images: Tensor) -> Tensor:
    """uint8 images as float32 in [-1, 1]; floats are left alone.

    >>> scaled(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
    [-1.0, 1.0]
    """
    return images.float().div_(127.5).sub_(1) if images.dtype == torch.uint8 else images


def picture(image: Tensor) -> Image.Image:
    """One uint8 image `[c, h, w]` as grey, RGB or RGBA; of other channel counts the first one or three are shown."""
    channels = image.shape[0] if image.shape[0] in (1, 3, 4) else (3 if image.shape[0] > 4 else 1)
    pixels = image[:channels].permute(1, 2, 0).contiguous().cpu().numpy()
    return Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)


def grid(
    images: Tensor, *, columns: int | None = None, gap: int = 1, scale: int = 1, reach: float | None = None
) -> Image.Image:
    """Images `[n, c, h, w]` uint8 side by side, `scale` times enlarged; points `[n, 2, 1, 1]` as a scatter.

    Raises UsageError for no images.

    >>> grid(torch.zeros(6, 1, 4, 4, dtype=torch.uint8), columns=3).size
    (16, 11)
    """
    if images.shape[-2:] == (1, 1):
        return scatter(images, reach=reach)
    if not len(images):
        raise UsageError("a grid of no images cannot be drawn; give one or more")
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    first = picture(images[0])
    width, height = first.width * scale, first.height * scale
    ground = {"L": "#181818", "RGB": "#18181b", "RGBA": "#0000"}[first.mode]
    sheet = Image.new(first.mode, (columns * (width + gap) + gap, rows * (height + gap) + gap), ground)
    for place, image in enumerate(images):
        cell = picture(image).resize((width, height), Image.Resampling.NEAREST)
        row, column = divmod(place, columns)
        sheet.paste(cell, (gap + column * (width + gap), gap + row * (height + gap)))
    return sheet


def scatter(points: Tensor, *, side: int = 320, reach: float | None = None) -> Image.Image:
    """Points of the plane `[n, 2, 1, 1]` as dots; `reach` is the half-width of the window, by default their own."""
    flat = points.detach().flatten(1)[:, :2].float().cpu()
    reach = reach or max(float(flat.abs().nan_to_num(0).max()) * 1.1, 1e-3) if len(flat) else 1.0
    sheet = Image.new("RGB", (side, side), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for x, y in ((flat / reach + 1) * side / 2).nan_to_num(-9).tolist():
        pen.ellipse((x - 1.5, side - y - 1.5, x + 1.5, side - y + 1.5), fill=(0, 120, 80))
    return sheet


def png(image: Image.Image, text: Mapping[str, str] | None = None) -> bytes:
    """A picture as PNG bytes, with text chunks that say where it comes from."""
    info = PngInfo()
    for key, word in (text or {}).items():
        info.add_text(key, word)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def data_url(data: bytes, kind: str = "image/png") -> str:
    """Bytes as a URL that a page carries in itself."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def film(frames: Sequence[Image.Image], ending: str, *, seconds: float = 4.0) -> bytes:
    """A film that loops, as the bytes of a file with one of the endings that `film_ending` gives."""
    milliseconds = max(round(1000 * seconds / len(frames)), 20)
    if ending == ".mp4":
        return _mp4(frames, fps=Fraction(1000, milliseconds))
    buffer = io.BytesIO()
    kind = Image.registered_extensions()[ending]
    rest = [frame.copy() for frame in frames[1:]]
    # Through what is clear in a frame of a GIF, the frame before would be seen.
    cleared = {"disposal": 2} if kind == "GIF" and frames[0].mode == "RGBA" else {}
    frames[0].save(buffer, kind, save_all=True, append_images=rest, duration=milliseconds, loop=0, **cleared)
    return buffer.getvalue()


def require_png(path: Path) -> None:
    """Raises UsageError for the name of another kind of picture, which a PNG would be taken for."""
    if path.suffix.lower() != ".png" and path.suffix.lower() in Image.registered_extensions():
        raise UsageError(f"{path} would be a PNG under another name; give a name that ends in .png")


def film_ending(path: Path) -> str:
    """The ending of a film's name, in small letters; raises UsageError for one that cannot be written here."""
    ending = path.suffix.lower()
    if ending not in (".gif", ".webp", ".png", ".apng", ".mp4"):
        raise UsageError(f"a film cannot be written as {ending!r}; use .gif, .webp, .png or .mp4")
    if ending == ".mp4" and importlib.util.find_spec("av") is None:
        raise UsageError("an MP4 needs a codec: pip install av; or write a .gif")
    return ending


def _mp4(frames: Sequence[Image.Image], *, fps: Fraction) -> bytes:
    """MP4 by PyAV, an optional package."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        even = (frames[0].width // 2 * 2, frames[0].height // 2 * 2)
        stream.width, stream.height, stream.pix_fmt = *even, "yuv420p"
        for frame in frames:
            for packet in stream.encode(av.VideoFrame.from_image(frame.convert("RGB").resize(even))):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return buffer.getvalue()
