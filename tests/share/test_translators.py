"""Trained translators: any size, tiles without seams, files and folders, exports, and published weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from golden.filling import fill
from share.conftest import make_run, tiny
from share.test_published import published as published_file
from sparring import recipes
from sparring.engine.rundir import Run
from sparring.engine.translator import TrainedTranslator, interleaved
from sparring.errors import DataError, FileUnusableError, ShapeError, TooLargeError, UsageError
from sparring.networks.johnson import ResNetTranslator
from sparring.networks.layers import Translator
from sparring.networks.rrdb import RRDBNet
from sparring.networks.unet import UNet
from sparring.share.card import read_card
from sparring.share.export import export
from sparring.share.importing import import_weights
from sparring.share.load import load, load_translator
from sparring.share.onnxfile import onnx_bytes
from sparring.share.translations import translate
from sparring.tensorfile import serialise

KINDS = {"pix2pix": (6, 32, 32), "cyclegan": (3, 32, 32), "esrgan": (3, 32, 32), "vqgan": (3, 32, 32)}


def pictures(n: int, channels: int, height: int, width: int) -> Tensor:
    source = torch.Generator().manual_seed(3)
    return torch.randint(0, 256, (n, channels, height, width), generator=source, dtype=torch.uint8)


def write(path: Path, image: Tensor) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return path


def read(path: Path) -> Tensor:
    return torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1)


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of every recipe that makes images of images."""
    name = request.param
    classes = 2 if name == "cyclegan" else 0
    return make_run(tmp_path_factory.mktemp("translators") / name, tiny(name), KINDS[name], classes=classes)


@pytest.mark.parametrize("size", [(32, 32), (31, 45), (7, 90), (3, 4), (1, 1)])
def test_any_size_goes_in(trained: Run, size: tuple[int, int]) -> None:
    translator = trained.translator()
    scale = translator.network.scale
    made = translator.translate(pictures(2, 3, *size))
    assert made.shape == (2, 3, scale * size[0], scale * size[1])
    assert made.dtype == torch.uint8
    again = translator.translate(pictures(2, 3, *size))
    assert torch.equal(made, again)
    assert torch.equal(made[1:], translator.translate(pictures(2, 3, *size)[1:], seed=1))  # by itself


def test_tiles_have_no_seams() -> None:
    """What tiles make is what the whole image makes, to the rounding of a byte, at every place."""
    networks: list[Translator] = [
        RRDBNet((3, 32, 32), width=6, blocks=1, growth=4, scale=2),
        ResNetTranslator((3, 32, 32), width=4, blocks=1, norm="batch"),
    ]
    for network in networks:
        fill(network)
        translator = TrainedTranslator(network)
        image = pictures(1, 3, 75, 101)
        whole = translator.translate(image, tile=4096)
        for tile in (16, 33):
            pieces = translator.translate(image, tile=tile)
            assert (pieces.int() - whole.int()).abs().max() <= 1
            assert (pieces != whole).float().mean() < 0.001


def test_whole_images_are_not_cut() -> None:
    """A network that looks at all of an image is given all of it, whatever the tile."""
    network = UNet((3, 32, 32), width=4, doublings=5, dropout=0.0)
    fill(network)
    image = pictures(1, 3, 64, 64)
    assert torch.equal(
        TrainedTranslator(network).translate(image, tile=16), TrainedTranslator(network).translate(image)
    )


class Same(Translator):
    """Leaves images as they are, and takes no others than it says."""

    given = channels = 3
    multiple, least = 8, 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2] % 8 == x.shape[3] % 8 == 0
        assert min(x.shape[2:]) >= 16
        return x


@pytest.mark.parametrize("size", [(13, 21), (32, 17), (3, 40), (1, 1)])
def test_what_is_filled_up_is_what_is_cut_off(size: tuple[int, int]) -> None:
    image = pictures(2, 3, *size)
    assert torch.equal(TrainedTranslator(Same()).translate(image), image)


class Greedy(Translator):
    """Asks for more memory than there is."""

    given = channels = 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x.new_empty(2**46)


def test_too_large_an_image_is_a_sentence(tmp_path: Path) -> None:
    translator = TrainedTranslator(Greedy())
    with pytest.raises(TooLargeError, match=r"40x30 pixels does not fit into memory, .* depends on the whole image"):
        translator.translate(pictures(1, 3, 30, 40))
    translator.network.reach = 8
    with pytest.raises(TooLargeError, match="does not fit into memory; give a smaller tile, or a smaller image"):
        translator.translate(pictures(1, 3, 30, 40))
    write(tmp_path / "in" / "a.png", pictures(1, 3, 30, 40)[0])
    with pytest.raises(DataError, match=r"nothing of .* could be translated"):
        translate(translator, tmp_path / "in", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_memory_format_is_no_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "required rank 4 tensor to use channels_last memory format"

    def refuse(*_: object) -> Tensor:
        raise RuntimeError(said)

    monkeypatch.setattr(Greedy, "forward", refuse)
    with pytest.raises(RuntimeError, match=said):
        TrainedTranslator(Greedy()).translate(pictures(1, 3, 30, 40))


def test_noise_is_a_function_of_the_seed() -> None:
    """Dropout stays on, and draws from the image's own seed."""
    network = UNet((3, 64, 64), width=4, norm="instance")
    assert network.noisy
    fill(network)
    translator = TrainedTranslator(network)
    images = pictures(1, 3, 64, 64).expand(3, -1, -1, -1)
    state = torch.get_rng_state()
    made = translator.translate(images, seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(made[0], made[1])
    assert torch.equal(made[2], translator.translate(images[:1], seed=7)[0])


def test_folders_and_files(trained: Run, tmp_path: Path) -> None:
    translator, source = trained.translator(), tmp_path / "in"
    images = pictures(2, 3, 20, 24)
    write(source / "a.png", images[0])
    write(source / "more" / "b.bmp", images[1])
    (source / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    done = translate(translator, source, tmp_path / "out", seed=4)
    assert [path.relative_to(tmp_path / "out").as_posix() for path in done.written] == ["a.png", "more/b.png"]
    assert len(done.skipped) == 1
    assert done.skipped[0].startswith("broken.jpg: ")
    assert torch.equal(read(done.written[0]), translator.translate(images[:1], seed=4)[0])
    with pytest.raises(UsageError, match="exists already, and nothing is written over"):
        translate(translator, source, tmp_path / "out")
    single = translate(translator, source / "a.png", tmp_path / "one.png")
    assert single.written == (tmp_path / "one.png",)
    with pytest.raises(UsageError, match=r"one\.jpg would be a PNG under another name"):
        translate(translator, source / "a.png", tmp_path / "one.jpg")
    with pytest.raises(DataError, match="cannot be used"):
        translate(translator, source / "broken.jpg", tmp_path / "two.png")
    with pytest.raises(DataError, match="there is no"):
        translate(translator, tmp_path / "nowhere", tmp_path / "three")
    write(source / "a.bmp", images[0])
    with pytest.raises(UsageError, match=r"would both become .*a\.png"):
        translate(translator, source, tmp_path / "four")


def test_a_generator_is_no_translator(trained: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"makes images from images, not from noise; use (translate|reconstruct)"):
        _ = trained.generator
    other = make_run(tmp_path / "gan", tiny("gan"))
    with pytest.raises(UsageError, match="is no network that makes images from images; use sample"):
        other.translator()
    with pytest.raises(ShapeError, match=r"takes uint8 images \[n, 3, h, w\]"):
        trained.translator().translate(pictures(1, 1, 32, 32))
    with pytest.raises(ShapeError, match="there are no images to translate"):
        trained.translator().translate(pictures(0, 3, 32, 32))


def test_both_ways(tmp_path: Path) -> None:
    run = make_run(tmp_path / "cycle", tiny("cyclegan"), (3, 32, 32), classes=2)
    image = pictures(1, 3, 32, 32)
    there, back = run.translator(), run.translator("b_to_a")
    assert torch.equal(there.translate(image), run.translator("a_to_b").translate(image))
    assert not torch.equal(there.translate(image), back.translate(image))
    assert "| Direction | A to B |" in (export(run, tmp_path / "out") / "README.md").read_text()
    with pytest.raises(UsageError, match="there is no player of cyclegan 'generator'"):
        run.translator("generator")
    with pytest.raises(UsageError, match="is no network that makes images from images"):
        run.translator("judge_a")


def test_the_other_way_is_exported_as_what_it_is(tmp_path: Path) -> None:
    """Its weights, its direction, and none of the scores, which are those of the way that is kept."""
    run = make_run(tmp_path / "cycle", tiny("cyclegan"), (3, 32, 32), classes=2)
    with (run.path / "log.jsonl").open("a") as log:
        log.write(json.dumps({"seen": run.checkpoint.seen, "scores": []}) + "\n")
    kept, other = export(run, tmp_path / "kept"), export(run, tmp_path / "other", player="b_to_a")
    assert read_card(kept)["scores"] is not None
    assert read_card(other)["scores"] is None
    assert "Its images were never measured." in read_card(other)["warnings"]
    assert "| Direction | B to A |" in (other / "README.md").read_text()
    image = pictures(1, 3, 32, 32)
    assert torch.equal(load_translator(other).translate(image), run.translator("b_to_a").translate(image))
    assert not torch.equal(load_translator(kept).translate(image), load_translator(other).translate(image))


def test_a_way_that_is_not_there_is_not_exported(tmp_path: Path) -> None:
    of_pairs = make_run(tmp_path / "pairs", tiny("pix2pix"), (6, 32, 32))
    with pytest.raises(UsageError, match="pairs has no translator b_to_a; leave the direction out"):
        export(of_pairs, tmp_path / "out", player="b_to_a")
    of_noise = make_run(tmp_path / "noise", tiny("gan"))
    with pytest.raises(UsageError, match="noise makes no images of images; leave the direction out"):
        export(of_noise, tmp_path / "out", player="b_to_a")
    assert not (tmp_path / "out").exists()


def test_what_is_exported_translates_alike(trained: Run, tmp_path: Path) -> None:
    folder = export(trained, tmp_path / "out", licence="CC0")
    assert {path.name for path in folder.iterdir()} == {"README.md", "card.json", "generator.safetensors"}
    image = pictures(1, 3, 32, 40)
    assert torch.equal(load_translator(folder).translate(image), trained.translator().translate(image))
    readme = (folder / "README.md").read_text()
    assert "sparring translate . photo.png made.png" in readme
    assert "private-photos" not in readme + (folder / "card.json").read_text()
    with pytest.raises(UsageError, match=r"not from noise; use (translate|reconstruct)"):
        load(folder)
    with pytest.raises(UsageError, match="holds one translator"):
        load_translator(folder, player="b_to_a")


def test_the_onnx_form_makes_the_same_of_images_of_other_sizes(trained: Run, tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = export(trained, tmp_path / "out", to=("onnx",))
    assert {path.name for path in folder.iterdir()} == {"README.md", "card.json", "generator.onnx"}
    network = trained.translator().network.eval()
    multiple = network.multiple
    readme = (folder / "README.md").read_text()
    assert (f"sides are multiples of {multiple}" in readme) == (multiple > 1)
    assert "sparring translate" not in readme
    session = onnxruntime.InferenceSession(folder / "generator.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["multiple"] == str(multiple)
    for n, height, width in ((1, 2, 2), (2, 15, 6), (5, 32, 9)):
        given = torch.rand(n, network.given, height * multiple, width * multiple) * 2 - 1
        (images,) = session.run(["images"], {"given": given.numpy()})
        with torch.inference_mode():
            expected = network.double()(given.double()).float()
        torch.testing.assert_close(torch.from_numpy(images), expected, atol=1e-4, rtol=0)
    with pytest.raises(FileUnusableError):
        load_translator(folder)


@pytest.mark.parametrize(
    "network",
    [
        UNet((3, 64, 64), width=4),
        UNet((1, 32, 32), channels=3, width=2, norm="instance", dropout=0.0),
        ResNetTranslator((3, 64, 64), width=4, blocks=1, norm="batch", residual=True, dropout=0.5),
        RRDBNet((3, 16, 16), width=4, blocks=1, growth=2, scale=2, unit=True),
        RRDBNet((3, 16, 16), width=4, blocks=1, growth=2, residual=True),
    ],
    ids=["unet", "unet-grey", "resnet", "rrdb", "rrdb-residual"],
)
def test_every_translator_has_an_onnx_form(network: Translator) -> None:
    """Noise is left out of the file, and stays where it was in the translator."""
    onnxruntime = pytest.importorskip("onnxruntime")
    fill(network)
    translator = TrainedTranslator(network)
    session = onnxruntime.InferenceSession(onnx_bytes(translator, {}), providers=["CPUExecutionProvider"])
    given = torch.rand(2, network.given, 2 * network.multiple + 64, 128) * 2 - 1
    (images,) = session.run(["images"], {"given": given.numpy()})
    assert torch.equal(network(given), network(given)) == (not network.noisy)
    with torch.inference_mode():
        torch.testing.assert_close(torch.from_numpy(images), network.eval()(given), atol=1e-4, rtol=0)


PUBLISHED: dict[str, Any] = {
    "pix2pix": "unet-batch",
    "cyclegan": "resnet-instance",
    "esrgan": "rrdb",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_weights_become_a_folder(name: str, tmp_path: Path) -> None:
    file, folder = tmp_path / "theirs.safetensors", tmp_path / "ours"
    tensors = {key: torch.randn_like(t, dtype=torch.float32) for key, t in published_file(PUBLISHED[name]).items()}
    file.write_bytes(serialise(tensors, {}))
    import_weights(file, name, folder, licence="BSD")
    translator = load_translator(folder)
    card = json.loads((folder / "card.json").read_text())
    assert card["licence"] == "BSD"
    assert "theirs.safetensors" in (folder / "README.md").read_text()
    image = pictures(1, translator.channels, 40, 33)
    scale = translator.network.scale
    assert translator.translate(image).shape[2:] == (40 * scale, 33 * scale)
    mine = {t.flatten()[0].item() for t in translator.network.state_dict().values() if t.is_floating_point()}
    assert {t.flatten()[0].item() for key, t in tensors.items() if "num_batches" not in key} >= mine - {0.0}


def test_what_is_not_published_so_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    file.write_bytes(serialise({"layer.weight": torch.zeros(3, 3)}, {}))
    for name in ("pix2pix", "esrgan", "vqgan"):
        with pytest.raises(FileUnusableError):
            import_weights(file, name, tmp_path / "out")
    with pytest.raises(UsageError, match="there is no published network 'dcgan'"):
        import_weights(file, "dcgan", tmp_path / "out")
    with pytest.raises(FileUnusableError, match="there is no file"):
        import_weights(tmp_path / "none.pth", "vqgan", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_columns_of_other_sizes_and_colours() -> None:
    """Small ones are enlarged as they are, grey ones repeated, opaque ones beside transparent ones stay opaque."""
    small, large = pictures(2, 1, 4, 4), pictures(2, 4, 8, 8)
    sheet = interleaved((small, large))
    assert sheet.shape == (4, 4, 8, 8)
    assert torch.equal(sheet[1], large[0])
    assert torch.equal(sheet[0, 0, ::2, ::2], small[0, 0])
    assert torch.equal(sheet[2, :3, 1::2, 1::2], small[1].expand(3, -1, -1))
    assert bool((sheet[2, 3] == 255).all())


def test_a_prior_and_its_codec_are_one(tmp_path: Path) -> None:
    """The codec's weights are those of its run, in the prior, in its average, and in what is exported."""
    from sparring.engine.devices import Devices
    from sparring.engine.endowment import endow
    from sparring.engine.state import State

    codec = make_run(tmp_path / "codec", tiny("vqgan"), (3, 32, 32), classes=0)
    recipe = recipes.vqgan_prior(codec=str(codec.path), width=8, depth=1, heads=2)
    bound = recipe.bind((3, 32, 32), 0, images=16, budget=100)
    state = State(bound, seed=0, device=Devices("cpu", threads=1).device)
    assert endow(state, bound.recipe)
    expected = codec.weights(codec.checkpoint, "codec")
    player = state.players["generator"]
    assert player.average is not None
    for network in (player.network, player.average):
        mine = network.get_submodule("codec").state_dict()
        assert all(torch.equal(mine[name], tensor) for name, tensor in expected.items())
    assert not any(name.startswith("codec.") for name in player.parameters)
    with pytest.raises(UsageError, match="which has no codec; name a run of vqgan"):
        recipes.vqgan_prior(codec=str(make_run(tmp_path / "gan", tiny("gan")).path))
    with pytest.raises(UsageError, match="a prior needs a codec"):
        recipes.vqgan_prior().bind((3, 32, 32), 0, images=16, budget=100)
