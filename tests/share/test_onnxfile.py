"""The ONNX form gives the network's numbers on any batch size, or it is not handed over."""

from __future__ import annotations

import sys

import pytest
import torch

from sparring import recipes
from sparring.errors import SparringError, UsageError
from sparring.share import onnxfile
from sparring.share.export import export
from test_contracts import OF_IMAGES

onnxruntime = pytest.importorskip("onnxruntime")


NAMES = [name for name in recipes.__all__ if name not in OF_IMAGES]
MEMBERS = [(name, shape) for name in NAMES for shape in ((3, 32, 48), (2, 1, 1))]  # seconds each


@pytest.mark.parametrize("member", MEMBERS, indirect=True, ids=str)
def test_it_gives_the_networks_numbers(member, tmp_path, capfd):
    out = export(member, tmp_path / "out", to=("onnx",))
    assert {path.name for path in out.iterdir()} == {"README.md", "card.json", "generator.onnx", "samples.png"}
    assert capfd.readouterr() == ("", "")
    generator = member.generator
    session = onnxruntime.InferenceSession(str(out / "generator.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == {
        "recipe": member.bound.recipe.name,
        "z_dim": str(generator.z_dim),
        "z_kind": generator.z_kind,
        "checkpoint": member.checkpoint.digest,
    }
    for n in (1, 2, 65):  # none of them is a size that the export itself checks
        z, labels = generator.latents(n, seed=100), generator.labels(n, seed=1)
        given = {"z": z} if labels is None else {"z": z, "labels": labels}
        (images,) = session.run(["images"], {name: tensor.numpy() for name, tensor in given.items()})
        with torch.inference_mode():
            assert torch.allclose(torch.from_numpy(images), generator.network(*given.values()), atol=1e-4)


def test_no_path_of_this_machine_is_in_it(run, tmp_path):
    content = (export(run, tmp_path / "out", to=("onnx",)) / "generator.onnx").read_bytes()
    assert b".py" not in content
    assert b"stack_trace" not in content


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_the_packages_it_says_what_to_install(run, tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UsageError, match=rf"needs {package}: in sparring's folder, pip install '\.\[export\]'"):
        export(run, tmp_path / "out", to=("onnx",))
    assert not (tmp_path / "out").exists()


def test_numbers_that_differ_leave_no_file(run, tmp_path, monkeypatch):
    monkeypatch.setattr(onnxfile, "_TOLERANCE", -1.0)
    with pytest.raises(SparringError, match="differs from the network"):
        export(run, tmp_path / "out", to=("safetensors", "onnx"))
    assert not (tmp_path / "out").exists()


def test_a_network_without_an_onnx_form_is_refused(run, tmp_path, monkeypatch):
    network = run.generator.network
    monkeypatch.setattr(
        type(network), "forward", lambda self, z, labels=None: z * float(z.sum().item() > 0) * z.tolist()[0][0]
    )
    with pytest.raises(SparringError, match="has no ONNX form"):
        export(run, tmp_path / "out", to=("onnx",))
    assert not (tmp_path / "out").exists()
