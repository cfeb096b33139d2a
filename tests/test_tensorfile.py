"""Files that should be read: what torch wrote and we read is equal; what we write is the same every time."""

import io
import pickle
import random
import sys
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
import torch
from torch import nn

from sparring.errors import FileUnusableError, UsageError
from sparring.tensorfile import (
    Record,
    read_safetensors,
    read_torch_file,
    serialise,
    tensors_of,
)

ZIP, LEGACY, PLAIN = "zip", "legacy", "plain"
CONTAINERS = [ZIP, LEGACY, PLAIN]
PLAIN_DTYPES = [torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
PLAIN_DTYPES += [torch.float16, torch.bfloat16, torch.float32, torch.float64]
TORCH_DTYPES = [*PLAIN_DTYPES, torch.complex64, torch.complex128, torch.uint16, torch.float8_e4m3fn]


class EasyDict(dict):
    """Stands for a dict subclass that the reader does not know."""


def torch_bytes(value: object, container: str) -> bytes:
    if container == PLAIN:
        return pickle.dumps(value, protocol=4)
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=container == ZIP)
    return buffer.getvalue()


def reread(tmp_path: Path, value: object, container: str) -> object:
    path = tmp_path / "value.pt"
    path.write_bytes(torch_bytes(value, container))
    return read_torch_file(path)


def same(one: object, other: object) -> bool:
    """Equal in type, order and, for tensors, in dtype, shape, strides, requires_grad and bits."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        bits = [t.detach().contiguous().reshape(-1).view(torch.uint8) for t in (one, other)]
        facts = [(t.dtype, t.shape, t.stride(), t.storage_offset(), t.requires_grad) for t in (one, other)]
        return facts[0] == facts[1] and torch.equal(*bits)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == other


BASE = torch.arange(24.0).reshape(4, 6)
VALUES = {
    "scalars": [None, True, False, 0, -1, 255, 65535, -(1 << 31), 1 << 40, -(1 << 200), 1.5, float("inf"), 2 - 3j],
    "texts": ["", "é", "a" * 300, b"", b"\xff\x00", b"b" * 300, "\n\x00"],
    "containers": {
        "t": (),
        "t1": (1,),
        "t5": (1, 2, 3, 4, 5),
        "l": [[], [1]],
        "d": {1: {2.5: {None: ("k",)}}, (1, "a"): 0},
    },
    "sets": [set(), {1, "a", (2, 3)}, frozenset({b"x", None})],
    "ordered": OrderedDict(b=1, a=OrderedDict()),
    "torch values": [torch.Size([2, 3]), torch.device("cpu"), torch.device("cuda", 1), torch.float32, torch.bfloat16],
    "0-dim": torch.tensor(3.5),
    "empty": [torch.empty(0), torch.empty(3, 0, 2, dtype=torch.int64)],
    "views": [BASE, BASE.T, BASE[1:3, ::2], BASE[0], BASE[2, 3], torch.ones(1).expand(5, 4)],
    "grad": [
        torch.ones(2, requires_grad=True),
        nn.Parameter(torch.ones(2)),
        nn.Parameter(torch.ones(1, dtype=int), False),
    ],
    "nested": {"a": {"b": [torch.ones(1), {"c": (torch.zeros(2),)}]}, "epoch": 3},
    "optimiser": torch.optim.Adam([nn.Parameter(torch.ones(3))]).state_dict(),
    "many": {f"layer.{i}.weight": torch.full((2,), float(i)) for i in range(500)},
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", VALUES)
def test_what_torch_wrote_reads_the_same(tmp_path, name, container):
    assert same(reread(tmp_path, VALUES[name], container), VALUES[name])


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("dtype", TORCH_DTYPES, ids=str)
def test_every_dtype_reads_to_the_bit(tmp_path, dtype, container):
    bits = torch.arange(96, dtype=torch.uint8)
    tensor = bits % 2 == 0 if dtype == torch.bool else bits.view(dtype)
    assert same(reread(tmp_path, {"w": tensor}, container), {"w": tensor})


@pytest.mark.parametrize("container", [ZIP, LEGACY])
def test_shared_storages_stay_shared(tmp_path, container):
    read = reread(tmp_path, {"all": BASE, "row": BASE[1], "again": BASE}, container)
    read["row"].zero_()
    assert read["all"][1].sum() == 0
    assert read["again"] is read["all"]


@pytest.mark.parametrize("container", [ZIP, LEGACY])
def test_state_dict_keeps_its_metadata_and_loads(tmp_path, container):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    read = reread(tmp_path, net.state_dict(), container)
    assert read._metadata == net.state_dict()._metadata
    nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).load_state_dict(read)
    assert same(dict(read), dict(net.state_dict()))


def test_attributes_of_an_ordered_dict_cannot_shadow_its_methods(tmp_path):
    table = OrderedDict(a=1)
    table.keys = "shadow"
    table._metadata = "not a table"
    assert vars(reread(tmp_path, table, PLAIN)) == {}


def test_bare_storage_reads_as_a_flat_tensor(tmp_path):
    assert torch.equal(reread(tmp_path, [BASE.untyped_storage()], ZIP)[0].view(torch.float32), BASE.reshape(-1))


def test_tensor_with_attributes_reads_as_the_tensor(tmp_path):
    tensor, parameter = torch.ones(2), nn.Parameter(torch.zeros(2))
    tensor.note = parameter.note = "mine"
    read = reread(tmp_path, [tensor, parameter], ZIP)
    assert torch.equal(read[0], torch.ones(2))
    assert isinstance(read[1], nn.Parameter)


@pytest.mark.parametrize("container", [ZIP, PLAIN])
def test_classes_may_be_keys(tmp_path, container):
    """As Lightning 1.0 has its callbacks."""
    read = reread(tmp_path, {"callbacks": {Path: {"best": 1.0}}, "state_dict": {"w": torch.ones(2)}}, container)
    assert [key.name for key in read["callbacks"]] == ["pathlib.Path"]
    assert list(tensors_of(read)) == ["w"]
    assert list(tensors_of({Record("a.B"): {"w": torch.ones(2)}})) == ["a.B.w"]


def test_unknown_classes_become_records(tmp_path):
    read = reread(tmp_path, [EasyDict(z=512), Counter("aa"), defaultdict(list, a=1), Path, slice(1, 2)], PLAIN)
    assert all(isinstance(record, Record) for record in read)
    assert (read[0].name.rsplit(".", 1)[1], read[0].items) == ("EasyDict", {"z": 512})
    assert (read[1].name, read[1].arguments) == ("collections.Counter", ({"a": 2},))
    assert read[2].items == {"a": 1}
    assert (read[3].name, read[3].arguments) == ("pathlib.Path", None)
    assert read[4].arguments == (1, 2, None)


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_whole_saved_module_gives_its_state_dict(tmp_path, container):
    net = nn.Sequential(OrderedDict(model=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4)))
    net.register_buffer("scratch", torch.ones(2), persistent=False)
    assert same(tensors_of(reread(tmp_path, {"G_ema": net}, container)), dict(net.state_dict(keep_vars=True)))


def test_nvidia_persistent_objects_give_their_state_dict(tmp_path, monkeypatch):
    """Laid out as by torch_utils/persistence.py of NVlabs/stylegan2-ada-pytorch: a function called with (meta,)."""

    class Persistent:
        def __reduce__(self):
            return module._reconstruct_persistent_obj, (meta,)

    module = ModuleType("torch_utils.persistence")
    module._reconstruct_persistent_obj = FunctionType((lambda meta: None).__code__, {}, "_reconstruct_persistent_obj")
    module._reconstruct_persistent_obj.__module__ = module.__name__
    module._reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    monkeypatch.setitem(sys.modules, "torch_utils", ModuleType("torch_utils"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    net = nn.Sequential(nn.Linear(2, 3))
    meta = {"type": "class", "module_src": "import os", "class_name": "Generator", "state": vars(net)}
    read = reread(tmp_path, {"G_ema": Persistent(), "D": Persistent(), "augment_pipe": None}, PLAIN)
    assert read["G_ema"].name == "torch_utils.persistence._reconstruct_persistent_obj"
    assert same(tensors_of(read), dict(net.state_dict(keep_vars=True)))
    assert same(tensors_of(read, wrapper="D"), tensors_of(read))


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ({"w": torch.ones(2)}, ["w"]),
        ({"state_dict": {"w": torch.ones(2)}, "epoch": 1, "loss": torch.tensor(0.5)}, ["w"]),
        ({"g": {"w": torch.ones(2)}, "d": {"v": torch.ones(2)}, "g_ema": {"u": torch.ones(2)}}, ["u"]),
        ({"state_dict": {"w": torch.ones(2)}, "rng_state": torch.get_rng_state()}, ["w"]),
        ({"model": {"state_dict": {"a.w": torch.ones(2)}}}, ["a.w"]),
        ({"encoder": {"w": torch.ones(2)}, "decoder": {"w": torch.ones(2)}}, ["encoder.w", "decoder.w"]),
    ],
)
def test_state_dicts_are_found_in_wrappers(value, names):
    assert list(tensors_of(value)) == names


@pytest.mark.parametrize(
    ("value", "wrapper", "message"),
    [
        ({"epoch": 1}, None, "no named tensors, only 'epoch'"),
        (3, None, "no named tensors, only other values"),
        ({"a": torch.ones(2)}, "D", "no entry 'D'; it has 'a'"),
        ({"a.b": torch.ones(2), "a": {"b": torch.ones(2)}}, None, "two tensors called 'a.b'"),
    ],
)
def test_no_state_dict_is_said(value, wrapper, message):
    with pytest.raises(FileUnusableError, match=message):
        tensors_of(value, wrapper=wrapper)


def test_five_thousand_tensors_are_within_the_limits(tmp_path):
    state = {f"layers.{i}.weight": torch.full((1,), float(i)) for i in range(5_000)}
    read = reread(tmp_path, state, ZIP)
    assert len(read) == 5_000
    assert read["layers.777.weight"] == 777


def test_missing_file_is_said(tmp_path):
    for reader in (read_torch_file, read_safetensors):
        with pytest.raises(FileUnusableError, match=r"gone\.pt cannot be read \(No such file.*; check its name"):
            reader(tmp_path / "gone.pt")


# Safetensors ---------------------------------------------------------------------------------------------------------


def test_safetensors_round_trip(tmp_path):
    tensors = {str(dtype): (torch.arange(12) % 2).to(dtype).reshape(3, 4) for dtype in PLAIN_DTYPES}
    tensors |= {"0-dim": torch.tensor(1.5), "empty": torch.empty(0, 3), "view": BASE.T, "é": BASE[1], "tied": BASE}
    metadata = {"seen": "64", "note": 'é "quoted"\n'}
    (tmp_path / "w.safetensors").write_bytes(serialise(tensors, metadata))
    read = read_safetensors(tmp_path / "w.safetensors")
    assert read.metadata == metadata
    assert set(read.tensors) == set(tensors)
    assert all(read.tensors[k].dtype == tensors[k].dtype and torch.equal(read.tensors[k], tensors[k]) for k in tensors)


def test_what_was_read_outlives_its_file(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(serialise({"w": torch.ones(5000)}, {}))
    read = read_safetensors(path).tensors["w"]
    path.write_bytes(b"")
    assert read.sum() == 5000


def test_same_content_same_bytes():
    tensors = {name: torch.full((2,), float(i)) for i, name in enumerate("abcdef")}
    metadata = {name: name for name in "uvwxyz"}
    backwards = serialise(dict(reversed(tensors.items())), dict(reversed(metadata.items())))
    assert serialise(tensors, metadata) == backwards
    # By hand: the library's metadata order changes from call to call, so ten equal results are no accident.
    assert len({serialise(tensors, metadata) for _ in range(10)}) == 1


@pytest.mark.parametrize(
    ("tensors", "metadata", "message"),
    [
        ({"w": torch.ones(1, dtype=torch.complex64)}, {}, "convert it"),
        ({"w": torch.ones(1).to_sparse()}, {}, "convert it"),
        ({"__metadata__": torch.ones(1)}, {}, "reserves"),
        ({}, {"seen": 64}, "strings only"),
        ({}, {"config": "x" * (1 << 20)}, "shorten"),
    ],
)
def test_what_cannot_be_written_is_said(tensors, metadata, message):
    with pytest.raises(UsageError, match=message):
        serialise(tensors, metadata)


# Damage --------------------------------------------------------------------------------------------------------------


def test_damaged_files_are_refused_or_keep_their_shapes(tmp_path):
    """Bit flips, cuts, splices: 700 of them. What still reads, reads no more than there was, and from zips the same."""
    state = OrderedDict(w=torch.arange(6.0).reshape(2, 3), b=nn.Parameter(torch.ones(2)), n=torch.tensor(3))
    originals = {container: torch_bytes({"model": state, "step": 5}, container) for container in CONTAINERS}
    originals["safe"] = serialise({name: tensor.detach() for name, tensor in state.items()}, {"seen": "1"})
    dice = random.Random(0)
    path = tmp_path / "damaged"
    whole = serialise(state, {})
    outcomes: Counter[str] = Counter()
    for round_number in range(700):
        container = [*originals][round_number % len(originals)]
        damaged = _damaged(originals[container], dice)
        path.write_bytes(damaged)
        try:
            read = read_safetensors(path).tensors if container == "safe" else tensors_of(read_torch_file(path))
        except FileUnusableError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        if container == ZIP:  # its checksums leave nothing that matters unnoticed
            assert serialise(read, {}) == whole
        elements = [tensor.numel() for tensor in read.values()]
        assert max(elements) <= 6  # the largest storage in the file: no damage makes more of it
    assert outcomes["refused"] > 300
    assert outcomes["read"] > 10  # otherwise this says nothing about what survives


def _damaged(data: bytes, dice: random.Random) -> bytes:
    kind = dice.randrange(3)
    place = dice.randrange(len(data))
    if kind == 0:
        return data[:place]
    if kind == 1:
        return data[:place] + data[dice.randrange(len(data)) :]
    changed = bytearray(data)
    for _ in range(dice.choice([1, 1, 1, 4])):
        changed[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    return bytes(changed)
