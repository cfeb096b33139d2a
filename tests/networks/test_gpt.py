"""The prior over codes: golden logits, codes that follow them exactly, one pass a place, ONNX."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from golden.filling import sparse
from golden.vqgan import CLASSES, prior, prior_answers, spoken
from sparring.engine.sampler import TrainedGenerator, render
from sparring.errors import ShapeError, UsageError
from sparring.networks.gpt import CodePrior
from sparring.networks.vqgan import Codec
from sparring.share.onnxfile import onnx_bytes

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vqgan.json").read_text())["answers"]
TOLD = pytest.mark.parametrize("classes", CLASSES)
toy_codec = partial(Codec, width=2, multipliers=(1, 1), blocks=1, codes=7, dim=2)


def toy(shape: tuple[int, int, int] = (3, 4, 6), classes: int = 0, *, seed: int = 0, **more: object) -> CodePrior:
    """A prior in evaluation mode whose logits, and codes, are far from equal (norms of equal ones magnify rounding)."""
    torch.manual_seed(seed)
    network = CodePrior(shape, classes, codec=toy_codec, **{"width": 8, "layers": 2, "heads": 2, **more})  # type: ignore[arg-type]
    with torch.no_grad():
        network.places.normal_()
        network.head.weight.normal_(0, 0.5)
        network.embedding.weight.normal_()
        network.start.weight.normal_()
        network.codec.quantiser.codebook.normal_(0, 3)
    return network.eval()


def uniform(n: int, places: int) -> Tensor:
    return torch.rand(n, places, generator=torch.Generator().manual_seed(3)) * 2 - 1


@TOLD
def test_logits_and_gradients_are_the_references(classes: int) -> None:
    """Recorded by `tests/golden/parity_vqgan.py` from the repository and commit that the file names."""
    network = prior(classes)
    found = prior_answers(network.logits(*spoken(network)), network.places)
    for name, golden in GOLDEN[f"prior-{classes}"].items():
        assert sparse(found[name]) == pytest.approx(golden, abs=1e-9 * max(map(abs, golden))), name


@TOLD
@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4, 6), (4, 8, 2)], ids=str)
def test_any_shape(shape: tuple[int, int, int], classes: int) -> None:
    network = toy(shape, classes)
    assert network.z_dim == shape[1] * shape[2] // 4
    labels = torch.arange(5) % classes if classes else None
    images = network(uniform(5, network.z_dim), labels)
    assert images.shape == (5, *shape)
    assert images.abs().max() <= 1
    tokens = network.tokens(images)
    assert tokens.shape == (5, network.z_dim)
    assert network.logits(tokens, labels).shape == (5, network.z_dim, 7)
    torch.testing.assert_close(network.logits(tokens.view(5, *network.grid), labels), network.logits(tokens, labels))
    with pytest.raises(ShapeError, match="not multiples of 2"):
        toy((3, 5, 4))


def test_it_is_a_generator_like_any_other() -> None:
    network = toy(classes=3)
    generator = TrainedGenerator(network)
    assert (generator.z_kind, generator.classes, generator.shape) == ("uniform", 3, (3, 4, 6))
    assert bool((generator.latents(20).abs() <= 1).all())
    torch.testing.assert_close(generator.sample(5, seed=2)[1:3], generator.sample(2, seed=3))
    assert render(network, generator.latents(3), generator.labels(3)).dtype == torch.uint8
    with pytest.raises(UsageError, match="3 classes; give a label"):
        network(uniform(1, network.z_dim))


@TOLD
def test_a_code_depends_on_those_before_it_only(classes: int) -> None:
    network = prior(classes)
    indices, labels = spoken(network)
    other = indices.clone()
    other[:, 5] = (other[:, 5] + 1) % network.codes
    before, after = network.logits(indices, labels), network.logits(other, labels)
    assert torch.equal(before[:, :6], after[:, :6])
    assert bool(((before - after)[:, 6:].abs().amax(2) > 0).all())


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (0.5, 3), (2.0, 1)])
@TOLD
def test_keeping_the_past_changes_nothing(classes: int, temperature: float, top_k: int | None) -> None:
    """Each place again from all codes before it, without anything kept."""
    network = toy(classes=classes, temperature=temperature, top_k=top_k).double()
    z, labels = uniform(64, network.z_dim).double(), torch.arange(64) % classes if classes else None
    slow = torch.zeros(64, network.z_dim, dtype=torch.int64)
    for place in range(network.z_dim):
        logits = network.logits(slow, labels)[:, place] / temperature
        if top_k is not None:
            logits = logits.where(logits >= logits.sort(1).values[:, -top_k, None], torch.tensor(-torch.inf).double())
        level = (z[:, place] + 1) / 2
        slow[:, place] = (logits.softmax(1).cumsum(1) > level[:, None]).long().argmax(1)
    assert torch.equal(network.sample(z, labels), slow)
    assert len(slow.unique(dim=0)) > (1 if top_k == 1 else 10) - 1


@TOLD
@pytest.mark.parametrize("place", [0, 3, 5])
def test_codes_are_as_frequent_as_their_logits_say(classes: int, place: int) -> None:
    """Over a grid of one z, with the others kept, each code's share is its probability to one step of the grid."""
    network, steps = toy(classes=classes), 4000
    z = uniform(1, network.z_dim).repeat(steps, 1)
    z[:, place] = (torch.arange(steps) + 0.5) / steps * 2 - 1
    labels = torch.full((steps,), classes - 1) if classes else None
    codes = network.sample(z, labels)
    assert bool((codes[:, :place] == codes[:1, :place]).all())
    expected = network.logits(codes[:1], None if labels is None else labels[:1])[0, place].softmax(0)
    shares = codes[:, place].bincount(minlength=7) / steps
    assert bool(((shares - expected).abs() <= 1.5 / steps).all())
    assert bool((codes[1:, place] >= codes[:-1, place]).all())  # an inverse distribution function


def test_whole_images_are_as_frequent_as_their_logits_say() -> None:
    """Two places, 49 pairs of codes: chi-square against products of probabilities, 99.9 % of 48 degrees is 84.0."""
    network, n = toy((1, 2, 4)), 20_000
    codes = network.sample(uniform(n, 2))
    counts = (codes[:, 0] * 7 + codes[:, 1]).bincount(minlength=49)
    pairs = torch.cartesian_prod(torch.arange(7), torch.arange(7))
    likely = network.logits(pairs).detach().softmax(2).gather(2, pairs[:, :, None]).prod(1).flatten()
    assert float(likely.sum()) == pytest.approx(1, abs=1e-5)
    assert float(((counts - n * likely) ** 2 / (n * likely)).sum()) < 84.0


def test_temperature_and_top_k() -> None:
    network = toy()
    first = network.logits(torch.zeros(1, network.z_dim, dtype=torch.int64))[0, 0]
    z = uniform(1, network.z_dim).repeat(2000, 1)
    z[:, 0] = (torch.arange(2000) + 0.5) / 1000 - 1
    network.sharpen(0.5, 2)
    assert (network.temperature, network.top_k) == (0.5, 2)
    shares = network.sample(z)[:, 0].bincount(minlength=7) / 2000
    kept = first.topk(2)
    expected = torch.zeros(7).scatter(0, kept.indices, (2 * kept.values).softmax(0))
    assert bool(((shares - expected).abs() <= 1.5 / 2000).all())
    network.sharpen()
    assert len(network.sample(z)[:, 0].unique()) > 2
    network.top_k = 1  # a plain attribute as well
    assert network.sample(z)[:, 0].unique().tolist() == [int(first.argmax())]


@pytest.mark.parametrize(
    ("temperature", "top_k", "words"),
    [
        (0.0, None, "above 0"), (-1.0, None, "above 0"), (float("nan"), None, "above 0"), (float("inf"), 2, "above 0"),
        (1.0, 0, "give 1 to 7"), (1.0, 8, "give 1 to 7"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_refused(temperature: float, top_k: int | None, words: str) -> None:
    network = toy()
    with pytest.raises(UsageError, match=words):
        network.sharpen(temperature, top_k)
    assert (network.temperature, network.top_k) == (1.0, None)
    with pytest.raises(UsageError, match=words):
        toy(temperature=temperature, top_k=top_k)


def test_a_level_of_one_is_the_last_code_that_can_be() -> None:
    network = toy()
    logits = torch.tensor([[0.3, 0.1, 0.2, -torch.inf], [-torch.inf, 0.0, 0.0, 0.0]])
    assert network._inverse(logits, torch.tensor([[1.0], [0.0]])).tolist() == [2, 1]
    network.top_k = 2
    assert network._inverse(logits[:1], torch.tensor([[1.0]])).tolist() == [2]
    assert network._inverse(logits[:1], torch.tensor([[0.0]])).tolist() == [0]


def test_labels_tell_the_first_place() -> None:
    network = toy(classes=3)
    z = uniform(1, network.z_dim).repeat(3, 1)
    logits = network.logits(torch.zeros(3, network.z_dim, dtype=torch.int64), torch.arange(3))
    assert len(logits[:, 0].unique(dim=0)) == 3
    assert len(network.sample(z.repeat(40, 1), torch.arange(120) % 3).unique(dim=0)) <= 3


def test_the_codec_stays_as_it_is() -> None:
    """In evaluation mode, without gradients, whatever its owner does; all else has one."""
    network = toy().train()
    assert network.training
    assert not any(module.training for module in network.codec.modules())
    before = {name: tensor.clone() for name, tensor in network.codec.state_dict().items()}
    images = torch.rand(4, 3, 4, 6)
    indices = network.tokens(images)
    assert torch.equal(indices, network.codec.codes_of(images).flatten(1))
    logits = network.logits(indices)
    torch.nn.functional.cross_entropy(logits.flatten(0, 1), indices.flatten()).backward()
    learning = {name for name, p in network.named_parameters() if p.requires_grad}
    assert not any(name.startswith("codec.") for name in learning)
    assert {name for name, p in network.named_parameters() if p.grad is not None} == learning
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.codec.state_dict().items())


def test_it_learns_what_it_is_shown() -> None:
    """One image by heart: every z draws it, in training mode without dropout too."""
    network = toy().train()
    images = network.codec.image_of(torch.tensor([[[3, 1, 4], [1, 5, 2]]])).detach()
    shown = torch.tensor([[3, 1, 4, 1, 5, 2]]).expand(8, -1)
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], 0.03)
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(network.logits(shown).flatten(0, 1), shown.flatten())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.05
    z = uniform(8, network.z_dim) * 0.9
    assert torch.equal(network.sample(z), shown)
    torch.testing.assert_close(network(z), images.expand(8, -1, -1, -1).clamp(-1, 1))


def test_dropout_is_for_training() -> None:
    network = toy(dropout=0.5)
    indices = torch.zeros(2, network.z_dim, dtype=torch.int64)
    assert torch.equal(network.logits(indices), network.logits(indices))
    assert not torch.equal(network.train().logits(indices), network.logits(indices))


def test_heads_split_the_width() -> None:
    with pytest.raises(UsageError, match="multiple of 3"):
        toy(width=8, heads=3)


@pytest.mark.parametrize(("classes", "top_k"), [(0, None), (3, 4)])
def test_the_onnx_form_gives_its_images(classes: int, top_k: int | None) -> None:
    """Four places, so that the past grows thrice; every place is written out there, which takes seconds each."""
    onnxruntime = pytest.importorskip("onnxruntime")
    network = toy((3, 4, 4), classes, temperature=0.8, top_k=top_k)
    generator = TrainedGenerator(network, source="a prior")
    session = onnxruntime.InferenceSession(onnx_bytes(generator, {}), providers=["CPUExecutionProvider"])
    for n in (1, 2, 65):
        z, labels = generator.latents(n, seed=100), generator.labels(n, seed=1)
        given = {"z": z} if labels is None else {"z": z, "labels": labels}
        (images,) = session.run(["images"], {name: tensor.numpy() for name, tensor in given.items()})
        with torch.inference_mode():
            assert torch.allclose(torch.from_numpy(images), network(*given.values()), atol=1e-4)
