"""The commands that make images of images: `translate`, `reconstruct`, and `import` of published networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from sparring.cli.latent_commands import RunFolder
from sparring.cli.train_command import Json, Trust, answer

__all__ = ["Direction", "import_", "player_of", "reconstruct", "translate"]

Source = Annotated[Path, Parameter(help="An image, or a folder of images.")]
Out = Annotated[Path, Parameter(help="The PNG to write, or the folder for PNGs with the same names.")]
Direction: TypeAlias = Literal["AtoB", "BtoA"] | None


def translate(
    run: RunFolder,
    source: Source,
    out: Out,
    /,
    *,
    direction: Direction = None,
    seed: int = 0,
    tile: int = 256,
    trust: Trust = (),
    json: Json = False,
) -> None:
    """Make images of images, of any size: by pix2pix, CycleGAN or super-resolution.

    Example: `sparring translate runs/sketches drawings/ coloured/`

    Parameters
    ----------
    direction
        For runs with translators both ways; by default the one that was to be kept.
    seed
        Noise of the first image, where the translator has any (pix2pix's dropout); the next ones count up.
    tile
        Larger images are cut into tiles of so many pixels, without seams, where the translator allows it.
    """
    from sparring.share.load import load_translator
    from sparring.share.translations import translate as write

    made = write(load_translator(run, player=player_of(direction), trust=trust), source, out, seed=seed, tile=tile)
    _tell(made.written, made.skipped, json)


def reconstruct(run: RunFolder, source: Source, out: Out, /, *, trust: Trust = (), json: Json = False) -> None:
    """Write images as a codec's codes and read them back, to see what the codes keep.

    Example: `sparring reconstruct runs/faces-vqgan photos/ kept/`
    """
    from sparring.errors import UsageError
    from sparring.networks.vqgan import Codec
    from sparring.share.load import load_translator
    from sparring.share.translations import translate as write

    translator = load_translator(run, trust=trust)
    if not isinstance(translator.network, Codec):
        raise UsageError(f"{run} has no codes; use translate")
    made = write(translator, source, out)
    _tell(made.written, made.skipped, json)


def import_(
    file: Annotated[Path, Parameter(help="The published weights: .pth, .ckpt or .safetensors. Nothing in it is run.")],
    out: Annotated[Path, Parameter(help="The folder to write.")],
    /,
    *,
    name: Annotated[Literal["cyclegan", "esrgan", "pix2pix", "vqgan"], Parameter(name="--as")],
    licence: str | None = None,
    json: Json = False,
) -> None:
    """Read a network that others published, for translate and reconstruct: CycleGAN, pix2pix, ESRGAN or VQGAN.

    Example: `sparring import latest_net_G.pth horse2zebra/ --as cyclegan`

    Parameters
    ----------
    name
        Which of them the weights are; sizes and settings are read off the weights.
    licence
        The licence of the weights, for the card.
    """
    from sparring.share.importing import import_weights

    folder = import_weights(file, name, out, licence=licence)
    use = "reconstruct" if name == "vqgan" else "translate"
    answer({"folder": str(folder)}, json, f"imported to {folder}; sparring {use} {folder} IN OUT")


def player_of(direction: Direction) -> str | None:
    """The translator that goes so; None is the one that is kept."""
    return None if direction is None else {"AtoB": "a_to_b", "BtoA": "b_to_a"}[direction]


def _tell(written: tuple[Path, ...], skipped: tuple[str, ...], json: bool) -> None:
    lines = [*skipped, f"wrote {len(written)} image{'s' * (len(written) != 1)}, the last one {written[-1]}"]
    answer({"images": [str(path) for path in written], "skipped": list(skipped)}, json, "\n".join(lines))
