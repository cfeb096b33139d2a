"""What is handed over draws what the run draws, needs nothing else, and says nothing of its author."""

from __future__ import annotations

import ast
import importlib
import json
import runpy
import shutil
import subprocess
import sys
import textwrap
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from share.conftest import tiny
from sparring import recipes
from sparring.engine.rundir import Run
from sparring.errors import DiskError, FileUnusableError, SparringError, UsageError
from sparring.recipes.changes import labels
from sparring.share import export as export_module
from sparring.share.export import export
from sparring.share.load import load
from sparring.share.sheets import write_samples
from sparring.share.standalone import png_bytes
from sparring.tensorfile import read_safetensors

FILES = {"README.md", "card.json", "generate.py", "generator.safetensors", "samples.png"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def card_of(folder: Path) -> dict:
    return json.loads((folder / "card.json").read_text())


def rewrite(run: Run, path: Path, **changes: object) -> Run:
    """A copy of a run with another `recipe.json`."""
    shutil.copytree(run.path, path)
    card = json.loads((path / "recipe.json").read_text()) | changes
    (path / "recipe.json").write_text(json.dumps(card))
    return Run(path)


def drawn(folder: Path) -> torch.Tensor:
    """What `generate.py` wrote, in the order of the seeds."""
    if (folder / "points.csv").exists():
        rows = [line.split(",") for line in (folder / "points.csv").read_text().splitlines()[1:]]
        return torch.tensor([[float(x), float(y)] for _, x, y in rows])[:, :, None, None]
    pixels = [np.asarray(Image.open(path)) for path in sorted(folder.glob("seed-*.png"))]
    images = torch.from_numpy(np.stack(pixels))
    return images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2)


def test_the_script_draws_the_runs_images_without_sparring(member, exported, tmp_path, monkeypatch):
    assert names(exported) == FILES
    ours = write_samples(member.generator, tmp_path / "ours", n=3, seed=7)
    for module in [name for name in sys.modules if name.partition(".")[0] == "sparring"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(sys, "argv", ["generate.py", "-n", "3", "--seed", "7", "--out", str(tmp_path / "drawn")])
    runpy.run_path(str(exported / "generate.py"), run_name="__main__")
    monkeypatch.undo()
    assert torch.equal(drawn(tmp_path / "drawn"), member.generator.sample(3, seed=7))
    assert names(tmp_path / "drawn") == {path.name for path in ours} == names(tmp_path / "ours") - {"grid.png"}
    assert all(path.read_bytes() == (tmp_path / "drawn" / path.name).read_bytes() for path in ours)


def test_the_script_needs_torch_and_safetensors_only(run, tmp_path):
    out = export(run, tmp_path / "out")
    blocked = ("sparring", "PIL", "torchvision", "accelerate", "onnx", "cyclopts", "rich")
    program = textwrap.dedent(f"""
        import runpy, sys
        sys.modules.update(dict.fromkeys({blocked!r}))
        sys.argv = ["generate.py", "-n", "70", "--seed", "7", "--out", {str(tmp_path / "drawn")!r}]
        runpy.run_path({str(out / "generate.py")!r}, run_name="__main__")
    """)
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 70
    assert torch.equal(drawn(tmp_path / "drawn"), run.generator.sample(70, seed=7))


@pytest.mark.parametrize(("style_based", "asked"), [(False, "bee"), (True, "2")])
def test_the_script_draws_the_class_and_the_truncation_asked_for(make_run, tmp_path, monkeypatch, style_based, asked):
    """By its name, with z that is cut off; by its number, with styles that are drawn together."""
    run = make_run(tmp_path / "run", labels(tiny("stylegan2"), "projection") if style_based else tiny("cgan"))
    words = ["--class", asked, "--truncation", "0.5", "--seed", "7", "-n", "3", "--out", str(tmp_path / "drawn")]
    monkeypatch.setattr(sys, "argv", ["generate.py", *words])
    runpy.run_path(str(export(run, tmp_path / "out") / "generate.py"), run_name="__main__")
    label = {"bee": 1, "2": 2}[asked]
    expected = run.generator.sample(3, seed=7, classes=label, truncation=0.5)
    assert torch.equal(drawn(tmp_path / "drawn"), expected)
    for other in ({"classes": label}, {"classes": 0, "truncation": 0.5}):
        assert not torch.equal(expected, run.generator.sample(3, seed=7, **other))
    with Image.open(tmp_path / "drawn" / "seed-000008.png") as picture:
        assert (picture.text["Class"], picture.text["Truncation"]) == (str(label), "0.5")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-n", "0"], "0 samples cannot be drawn"),
        (["--class", "ant"], "unrecognized arguments: --class ant"),
        (["--truncation", "inf"], "a truncation of inf cannot be"),
        (["--device", "tpu9"], "tpu9 cannot be used"),
        (["--out", __file__], "test_export.py cannot be a folder"),
    ],
)
def test_the_script_answers_nonsense_in_a_sentence(run, tmp_path, monkeypatch, capsys, words, said):
    out = export(run, tmp_path / "out")
    monkeypatch.setattr(sys, "argv", ["generate.py", "--out", str(tmp_path / "drawn"), *words])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(out / "generate.py"), run_name="__main__")
    assert stopped.value.code == 2
    assert f"error: {said}" in " ".join(capsys.readouterr().err.split()).replace(str(Path(__file__).parent) + "/", "")


@pytest.mark.parametrize("content", [None, b"torn"])
def test_the_script_without_its_weights_says_so(run, tmp_path, monkeypatch, capsys, content):
    out = export(run, tmp_path / "out")
    (out / "generator.safetensors").unlink()
    if content is not None:
        (out / "generator.safetensors").write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["generate.py", "--out", str(tmp_path / "drawn")])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(out / "generate.py"), run_name="__main__")
    assert stopped.value.code == 2
    assert "generator.safetensors beside this file cannot be used" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "drawn").exists()


def test_what_is_loaded_is_what_was_trained(member, exported):
    before = torch.random.get_rng_state()
    loaded = load(exported)
    assert torch.equal(before, torch.random.get_rng_state())
    assert loaded.source == member.generator.source
    for generator in (loaded, load(member.path)):
        assert torch.equal(generator.sample(3, seed=7), member.generator.sample(3, seed=7))


def test_only_the_generator_leaves_the_house(member, exported):
    tensors = read_safetensors(exported / "generator.safetensors").tensors
    assert tensors.keys() == member.generator.network.state_dict().keys()


def test_nothing_private_leaves_the_house(run, tmp_path):
    out = export(run, tmp_path / "out")
    for path in out.iterdir():
        content = path.read_bytes()
        for word in (
            b"/home/somebody",
            b"secret-host",
            str(run.path).encode(),
            str(Path(__file__).parents[2]).encode(),
        ):
            assert word not in content, path.name


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    one, two = export(run, tmp_path / "one"), export(str(run.path), tmp_path / "two")
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in FILES)


def test_the_card_says_what_it_is(make_run, tmp_path):
    run = make_run(tmp_path / "run", recipes.gan(width=8, batch=4), budget=1000)
    run.append({"seen": 8, "scores": [{"name": "old"}]})
    run.append({"seen": 8, "scores": [{"name": "fid", "value": 12.5, "protocol": {"features": "efficientnet"}}]})
    run.append({"seen": 12, "loss": 1.0})
    out = export(run, tmp_path / "out", licence=" CC0-1.0 ")
    card = card_of(out)
    assert (card["name"], card["shape"], card["seen"], card["licence"]) == ("gan", [1, 28, 28], 12, "CC0-1.0")
    assert (card["z_dim"], card["z_kind"], card["classes"], card["trained_on"]) == (100, "normal", 0, 16)
    assert card["data"] == {"name": "noise", "fingerprint": "f00d", "images": 16, "classes": ["ant", "bee", "cat"]}
    assert card["checkpoint"] == run.checkpoint.digest
    assert card["scores"]["scores"][0]["protocol"] == {"features": "efficientnet"}
    assert card["recipe"] == run.card["recipe"]
    assert card["papers"] == [str(paper) for paper in recipes.gan().papers]
    warnings = " ".join(card["warnings"])
    assert "12 of 1,000" in warnings
    assert "8 images seen" in warnings
    assert "licence" not in warnings
    text = (out / "README.md").read_text()
    assert all(word in text for word in ("12.5", "efficientnet", "CC0-1.0", "Goodfellow", "samples.png", "12 of 1,000"))


def test_the_card_says_with_whose_weights_it_began(run, tmp_path):
    """Another run's, whose licence it may be bound by."""
    assert card_of(export(run, tmp_path / "alone"))["begun_with"] == []
    out = export(rewrite(run, tmp_path / "copy", start="0123456789abcdef"), tmp_path / "out")
    assert card_of(out)["begun_with"] == ["0123456789abcdef"]
    assert "began with the weights of 0123456789abcdef" in " ".join(card_of(out)["warnings"])
    assert "| Began with | `0123456789abcdef` |" in (out / "README.md").read_text()


def test_points_are_called_points(make_run, tmp_path):
    out = export(make_run(tmp_path / "run", recipes.gan(width=8, batch=4), (2, 1, 1)), tmp_path / "out")
    assert "points, float32 [16, 2, 1, 1]" in (out / "README.md").read_text()
    assert "The seed is in every row of points.csv" in (out / "generate.py").read_text()


def test_without_licence_and_scores_the_card_warns(run, tmp_path):
    out = export(run, tmp_path / "out")
    assert card_of(out)["licence"] is None
    assert card_of(out)["scores"] is None
    text = (out / "README.md").read_text()
    assert "unspecified" in text
    assert "Not measured" in text
    assert "No licence was given" in text


def test_the_sheet_shows_other_seeds_if_asked(run, tmp_path):
    one, two = export(run, tmp_path / "one"), export(run, tmp_path / "two", seed=1)
    assert Image.open(two / "samples.png").text == {"Software": run.generator.source, "Seeds": "1..64"}
    assert (one / "samples.png").read_bytes() != (two / "samples.png").read_bytes()


def test_a_foreign_folder_is_refused_and_left_alone(run, tmp_path):
    (tmp_path / "card.json").write_text('{"kind": "business card"}')
    (tmp_path / "thesis.tex").write_text("x")
    for folder, words in [(tmp_path, "not empty"), (run.path, "not empty"), (tmp_path / "thesis.tex", "is a file")]:
        with pytest.raises(UsageError, match=words):
            export(run, folder)
    assert names(tmp_path) == {"card.json", "thesis.tex"}


def test_a_folder_that_cannot_be_made(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="another place"):
        export(run, tmp_path / "file" / "out")


def test_a_second_export_leaves_nothing_old_behind(run, tmp_path):
    out = export(run, tmp_path / "out", to=("safetensors", "onnx"))
    assert names(out) == FILES | {"generator.onnx"}
    (out / "notes.txt").write_text("mine")
    assert names(export(run, out)) == FILES | {"notes.txt"}


def test_an_export_that_broke_off_can_be_repeated(run, tmp_path, monkeypatch):
    written = []

    def full(path: Path, data: bytes) -> None:
        if len(written) == 2:
            raise DiskError(f"{path} could not be written")
        written.append(path.write_bytes(data))

    monkeypatch.setattr(export_module, "write_durably", full)
    with pytest.raises(DiskError):
        export(run, tmp_path / "out")
    monkeypatch.undo()
    assert names(export(run, tmp_path / "out")) == FILES


def test_what_a_kill_has_left_is_swept_away(run, tmp_path):
    """Before anything was whole, and beside an earlier export."""
    for _ in range(2):
        (tmp_path / ".tmp-1-0123abcd").write_text('{"for')
        assert names(export(run, tmp_path)) == FILES


@pytest.mark.parametrize(("to", "words"), [(("torch",), "no export form 'torch'"), ((), "nothing was asked for")])
def test_forms_that_do_not_exist(run, tmp_path, to, words):
    with pytest.raises(UsageError, match=words):
        export(run, tmp_path / "out", to=to)
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_run(tmp_path):
    with pytest.raises(FileUnusableError, match="not a run"):
        export(tmp_path / "nowhere", tmp_path / "out")


def test_hostile_words_stay_words(run, tmp_path):
    hostile = '"""\nimport os\nos._exit(3)\n"""<script>alert(1)</script>[x](javascript:1)'
    encoded = json.loads(json.dumps(run.card["recipe"]))
    encoded["with"]["recipe"]["with"]["name"] = hostile
    data = run.card["data"] | {"name": hostile}
    out = export(rewrite(run, tmp_path / "run", recipe=encoded, data=data), tmp_path / "out", licence=hostile)
    tree = ast.parse((out / "generate.py").read_text())
    assert not [node for node in tree.body if isinstance(node, ast.Import) and node.names[0].name == "os"]
    text = (out / "README.md").read_text()
    assert "<script" not in text
    assert "\nimport os" not in text
    assert "[x](javascript:1)" not in text
    assert load(out).z_dim == run.generator.z_dim


OWN = '''
"""A person's own network."""
import math
from torch import nn
from sparring.networks.layers import fold_up as fold
{imports}

def pyramid():
    """Not the pyramid of sparring."""
    return math.pi


class Generator(nn.Module):
    def __init__(self, shape, classes=0, *, z_dim=3, note=None):
        super().__init__()
        self.shape, self.z_dim, self.z_kind = tuple(shape), z_dim, "uniform"
        self.kernel = nn.Parameter(fold(nn.init.normal_(nn.Parameter(nn.Linear(9, 4).weight.view(4, 1, 3, 3).clone()))))
        self.layer = nn.Linear(z_dim, 28 * 28)

    def forward(self, z, labels=None):
        return (self.layer(z) * pyramid() + self.kernel.mean()).unflatten(1, self.shape).tanh()
'''


def own_run(make_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, imports: str = "", **keywords: object) -> Run:
    """A run whose generator lives in a module `own_network`."""
    (tmp_path / "own_network.py").write_text(OWN.format(imports=imports))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    own = importlib.import_module("own_network")
    recipe = recipes.gan(width=8, batch=4)
    game = partial(recipe.game.func, **(recipe.game.keywords | {"generator": partial(own.Generator, **keywords)}))
    run = make_run(tmp_path / "run", recipe.but(game=game))
    return Run(run.path, trust=["own_network"])


def test_a_persons_own_network_is_carried_too(make_run, tmp_path, monkeypatch):
    run = own_run(make_run, tmp_path, monkeypatch)
    out = export(run, tmp_path / "out")
    assert torch.equal(load(out, trust=["own_network"]).sample(2), run.generator.sample(2))
    text = (out / "generate.py").read_text()
    assert "only what this generator needs; the others are their authors'." in text
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in text
    for folder in (out, run.path):
        with pytest.raises(FileUnusableError, match="trust"):
            load(folder)


def test_a_network_that_needs_more_is_refused(make_run, tmp_path, monkeypatch):
    run = own_run(make_run, tmp_path, monkeypatch, imports="import numpy as math")
    with pytest.raises(SparringError, match="imports numpy"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_argument_that_cannot_be_written_down_is_refused(make_run, tmp_path, monkeypatch):
    run = own_run(make_run, tmp_path, monkeypatch, note={"a": 1})
    monkeypatch.setattr("sparring.share.script._is_writable", lambda value: not isinstance(value, dict))
    with pytest.raises(UsageError, match="cannot write down the generator's note"):
        export(run, tmp_path / "out")


def test_a_script_that_draws_something_else_is_not_handed_over(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "sparring.share.script._FOOTER", "def untrained():\n    return {generator}({arguments}, z_kind='uniform')"
    )
    with pytest.raises(SparringError, match="draws other images"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "L"), (3, "RGB"), (4, "RGBA"), (6, "RGB")])
def test_our_png_is_a_png(tmp_path, channels, mode):
    image = torch.randint(0, 256, (channels, 5, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    (tmp_path / "x.png").write_bytes(png_bytes(image, {"Seed": "7", "Software": "naïve 😀", "Empty": ""}))
    with Image.open(tmp_path / "x.png") as read:
        assert (read.mode, read.size) == (mode, (7, 5))
        assert read.text == {"Seed": "7", "Software": "naïve ?"}
        pixels = torch.from_numpy(np.array(read)).reshape(5, 7, -1).permute(2, 0, 1)
    assert torch.equal(pixels, image[: len(pixels)])


def test_fewer_than_one_sample(run, tmp_path):
    with pytest.raises(UsageError, match="1 or more"):
        write_samples(run.generator, tmp_path / "out", n=0)
