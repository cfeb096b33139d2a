"""Files made to harm: each is refused with a sentence or yields inert records, and nothing else happens.

All are read in one other process, under an audit hook installed after the imports; a control at its end unpickles one
of the files with Python's own reader and shows that the hook and the canary would have caught it.
"""

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import sparring
from sparring.tensorfile import serialise

P2 = b"\x80\x02"
MAGIC = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
CANARY = "canary"
BIG = (1 << 63) - 1

READER = """
import io, json, pickle, resource, sys, time
from pathlib import Path
from sparring.errors import FileUnusableError
from sparring.tensorfile import Record, read_safetensors, read_torch_file, tensors_of

def records(value):
    if isinstance(value, Record):
        yield value.name
        yield from records([value.arguments, value.state, value.items, value.elements])
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple | set) else ():
        yield from records(child)

def outcome(path):
    try:
        if path.suffix == ".safetensors":
            return f"read: {sorted(read_safetensors(path).tensors)}"
        value = read_torch_file(path)
    except FileUnusableError as error:
        return f"refused: {error}"
    try:
        tensors_of(value)
    except FileUnusableError:
        pass
    return f"inert: {' '.join(records(value))}"

events = []
def hook(name, arguments):
    reading = name == "open" and isinstance(arguments[1], str) and not set(arguments[1]) & set("wax+")
    if armed and not reading and name not in HARMLESS:
        events.append(name)

HARMLESS = {"object.__getattr__", "builtins.id"}
armed = False
sys.addaudithook(hook)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
results = {}
for path in sorted(Path("files").iterdir()):
    events.clear()
    megabytes, start, armed = peak(), time.process_time(), True
    said = outcome(path)
    armed = False
    results[path.name] = [said, list(events), peak() - megabytes, time.process_time() - start]
canary = Path("canary").exists()
armed = True
pickle.load(io.BytesIO(Path("files/os.system.plain.pkl").read_bytes()))
armed = False
results["control"] = [str(Path("canary").exists()), list(events), 0, 0]
results["canary"] = canary
print(json.dumps(results))
"""


def name(text: str) -> bytes:
    module, _, qualified = text.rpartition(".")
    return b"c" + module.encode() + b"\n" + qualified.encode() + b"\n"


def const(value: object) -> bytes:
    """The opcodes that push a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def call(text: str, *arguments: bytes) -> bytes:
    return name(text) + b"(" + b"".join(arguments) + b"tR"


def storage(elements: int = 4, kind: str = "torch.FloatStorage", key: str = "0", extra: bytes = b"") -> bytes:
    head = const("storage") + name(kind) + const(key) + const("cpu") + const(elements)
    return b"(" + head + extra + b"tQ"


def tensor(size=(4,), stride=(1,), offset=0, kind="torch._utils._rebuild_tensor_v2", base=None, extra=b"", grad=False):
    hooks = call("collections.OrderedDict")
    return call(kind, base or storage(), const(offset), const(size), const(stride), const(grad), hooks, extra)


def nest(opener: bytes, closer: bytes, depth: int) -> bytes:
    return opener * depth + const(1) + closer * depth


TOUCH = const(f"touch {CANARY}")
SCRIPT = const(f"open({CANARY!r}, 'w')")
# Sixty lists, each holding the one before twice: 2^60 when written out.
DOUBLING = b"]q\x000" + b"".join(b"](h%ch%ceq%c0" % (i, i, i + 1) for i in range(60)) + b"h%c" % 60

# Programs: what they do, the opcodes, and what must be said (after "refused: file: ") or recorded (after "inert: ").
PROGRAMS: dict[str, tuple[bytes, str]] = {
    "os.system": (call("posix.system", TOUCH), "inert: posix.system"),
    "nt.system": (call("nt.system", TOUCH), "inert: nt.system"),
    "eval": (call("builtins.eval", SCRIPT), "inert: builtins.eval"),
    "exec": (call("builtins.exec", SCRIPT), "inert: builtins.exec"),
    "exec of python 2": (call("__builtin__.execfile", SCRIPT), "inert: __builtin__.execfile"),
    "compile": (call("builtins.compile", SCRIPT, const("x"), const("exec")), "inert: builtins.compile"),
    "importlib": (call("importlib.import_module", const("antigravity")), "inert: importlib.import_module"),
    "__import__": (call("builtins.__import__", const("os")), "inert: builtins.__import__"),
    "subprocess": (call("subprocess.Popen", const(["touch", CANARY])), "inert: subprocess.Popen"),
    "subprocess by newobj": (name("subprocess.Popen") + const(("ls",)) + b"\x81", "inert: subprocess.Popen"),
    "socket": (call("socket.create_connection", const(("127.0.0.1", 9))), "inert: socket.create_connection"),
    "getattr": (call("builtins.getattr", name("builtins.os"), const("system")), "inert: builtins.getattr builtins.os"),
    "getattr chain": (
        call("builtins.getattr", name("posix.x"), const("system")) + const(("id",)) + b"R",
        "calls the record 'builtins.getattr'",
    ),
    "stack global": (const("posix") + const("system") + b"\x93(" + TOUCH + b"tR", "inert: posix.system"),
    "dotted global": (const("os") + const("path.os.system") + b"\x93(" + TOUCH + b"tR", "inert: os.path.os.system"),
    "global of numbers": (const(1) + const(2) + b"\x93", "names something by what is not text"),
    "global without end": (b"c" + b"a" * 5000, "a name is longer"),
    "torch.hub": (call("torch.hub.load", const("a/b"), const("c")), "inert: torch.hub.load"),
    "torch.load": (call("torch.load", const("x.pt")), "inert: torch.load"),
    "torch.jit": (
        call("torch.jit.unsupported_tensor_ops.execWrapper", SCRIPT, const({}), const({})),
        "inert: torch.jit",
    ),
    "numpy testing": (call("numpy.testing._private.utils.runstring", SCRIPT, const({})), "inert: numpy.testing"),
    "pip main": (call("pip.main", const(["install", "x"])), "inert: pip.main"),
    "inner pickle": (call("pickle.loads", const(pickle.dumps(1))), "inert: pickle.loads"),
    "operator": (call("operator.methodcaller", const("system"), TOUCH), "inert: operator.methodcaller"),
    "partial": (call("functools.partial", name("posix.system"), TOUCH), "inert: functools.partial posix.system"),
    "partial called": (call("functools.partial", name("posix.system")) + b")R", "calls the record 'functools.partial'"),
    "map": (call("builtins.map", name("posix.system"), const(["id"])), "inert: builtins.map posix.system"),
    "setstate": (name("posix.system") + b")\x81" + const({"__setstate__": 1}) + b"b", "inert: posix.system"),
    "shadowed methods": (call("collections.OrderedDict") + const({"items": 1}) + b"b", "inert: "),
    "build on a name": (name("builtins.dict") + const({"get": 1}) + b"b", "sets the state of the record"),
    "build on a dict": (b"}" + const({"get": 1}) + b"b", "sets the state of a dict"),
    "build on a number": (const(1) + const({}) + b"b", "sets the state of 1"),
    "build on a tensor": (call("torch.Size", const((1,))) + const({}) + b"b", "sets the state of a Size"),
    "build twice": (name("a.b") + b")\x81" + (const({}) + b"b") * 2, "sets the state of the record"),
    "call of a number": (const(1) + b")R", "calls 1, which is not a name"),
    "call without tuple": (name("a.b") + const([1]) + b"R", "calls the record"),
    "call of a dtype": (name("torch.float32") + b")R", "calls a dtype"),
    "newobj_ex": (name("posix.system") + b")}\x92", "instruction 0x92"),
    "extension 1": (b"\x82\x01", "instruction 0x82"),
    "extension 2": (b"\x83\x01\x00", "instruction 0x83"),
    "extension 4": (b"\x84\x01\x00\x00\x00", "instruction 0x84"),
    "inst": (b"(" + TOUCH + b"iposix\nsystem\n", "instruction 0x69"),
    "obj": (b"(" + name("posix.system") + TOUCH + b"o", "instruction 0x6f"),
    "text persistent id": (b"Pposix\n", "instruction 0x50"),
    "text string": (b"S'a'\n", "instruction 0x53"),
    "out-of-band buffer": (b"\x97", "instruction 0x97"),
    "protocol 0": (b"\x80\x00N", "protocol 0, not 2 to 5"),
    "protocol 255": (b"\x80\xffN", "protocol 255, not 2 to 5"),
    "stack underflow": (b"0", "takes a value from an empty stack"),
    "tuple underflow": (b"N\x87", "takes a value from an empty stack"),
    "call underflow": (b"R", "takes a value from an empty stack"),
    "append underflow": (b"Na", "uses a value of an empty stack"),
    "no mark": (b"Nt", "closes a container that it never opened"),
    "mark left": (b"N(", "values left over"),
    "values left": (b"NN", "values left over"),
    "nothing left": (b"", "values left over"),
    "memo missing": (b"h\x07", "recalls value number 7"),
    "memo huge": (b"Nr\xff\xff\xff\xff", "remembers a value under number 4294967295"),
    "memo of nothing": (b"q\x00", "uses a value of an empty stack"),
    "string oversize": (b"X\xff\xff\xff\xffabc", "4294967295 bytes are announced"),
    "string 2^63": (b"\x8d" + struct.pack("<Q", 1 << 63), "9223372036854775808 bytes are announced"),
    "bytes 2^63": (b"\x8e" + struct.pack("<Q", 1 << 63), "9223372036854775808 bytes are announced"),
    "frame 2^63": (b"\x95" + struct.pack("<Q", 1 << 63), "a frame of 9223372036854775808 bytes"),
    "integer oversize": (b"\x8b\xff\xff\xff\x7f", "an integer of 2147483647 bytes"),
    "integer negative": (b"\x8b\xff\xff\xff\xff", "an integer of -1 bytes"),
    "text not utf-8": (b"U\x01\xff", "not UTF-8"),
    "text lone surrogate": (b"X\x03\x00\x00\x00\xed\xa0\x80", "not UTF-8"),
    "opcode bomb": (b"N0" * 1_100_000 + b"N", "more than 2000000 instructions"),
    "set bomb": (b"\x8f0" * 900_000 + b"N", "may ask for"),
    "set copied": (
        b"](" + b"N" * 50_000 + b"eq\x000" + (name("builtins.set") + b"h\x00\x85R0") * 5_000 + b"N",
        "a set of 5000256 bytes",
    ),
    "encoded again": (
        const("a" * 1_000_000) + b"q\x090" + call("_codecs.encode", b"h\x09", const("latin1")) * 100,
        "a byte string of 1000000 bytes",
    ),
    "marks": (b"(" * 2_000, "opens more than 1000 containers"),
    "lists 100,000 deep": (nest(b"", b"\x85", 100_000), "nests"),
    "lists 300 deep": (nest(b"]", b"a", 300), "nests"),
    "tuple as deep key": (b"}" + nest(b"", b"\x85", 100_000) + b"Ns", "a key is a tuple"),
    "tuple as deep set": (b"\x8f(" + nest(b"", b"\x85", 100_000) + b"\x90", "a key is a tuple"),
    "doubling lists": (DOUBLING, "unfolds to"),
    "list in itself": (b"]q\x00h\x00a", "holds itself"),
    "dict in itself": (b"}q\x00K\x01h\x00s", "holds itself"),
    "record in itself": (name("a.b") + b")\x81q\x00h\x00b", "holds itself"),
    "list as key": (b"}]Ns", "a key is []"),
    "called record as key": (b"}" + name("a.b") + b")RNs", "a key is the record"),
    "long number as key": (b"}" + const(1 << 300) + b"Ns", "a number of 301 bits"),
    "odd dict": (b"}(NNNu", "sets 3 keys and values"),
    "items on a list": (b"]NNs", "not a dict"),
    "append to a dict": (b"}Na", "not a list"),
    "add to a list": (b"](N\x90", "not a set"),
    "items on a name": (name("a.b") + b"NNs", "not a dict"),
    "set of a text": (call("builtins.set", const("ab")), "not of a list"),
    "ordered dict of text": (call("collections.OrderedDict", const("ab")), "other than a list of pairs"),
    "ordered dict of triples": (call("collections.OrderedDict", const([(1, 2, 3)])), "not a pair"),
    "bytes of a size": (call("builtins.bytes", const(1 << 40)), "has 1 arguments where it needs 0"),
    "bytearray of a size": (call("builtins.bytearray", const(1 << 40)), "inert: builtins.bytearray"),
    "encode by codec": (call("_codecs.encode", const("a"), const("zlib")), "not as Latin-1"),
    "encode beyond": (call("_codecs.encode", const("\u20ac"), const("latin1")), "not Latin-1"),
    "size of huge": (call("torch.Size", const((1 << 70,))), "from 0 to 2^62"),
    "size of records": (call("torch.Size", b"(" + name("a.b") + b"t"), "from 0 to 2^62"),
    "size of bools": (call("torch.Size", const((True,))), "from 0 to 2^62"),
    "device unknown": (call("torch.device", const("fpga")), "a device is"),
    "device of lists": (call("torch.device", const([[1]])), "a device is"),
    "sparse": (call("torch._utils._rebuild_sparse_tensor", const(1)), "not a dense plain one"),
    "tensor of nothing": (call("torch._utils._rebuild_tensor_v2"), "0 arguments where it needs 6"),
    "tensor on a list": (tensor(base=const([1.0])), "not a storage"),
    "parameter of a text": (
        call("torch._utils._rebuild_parameter", const("a"), const(True), const({})),
        "not of a tensor",
    ),
    "subclass by system": (
        call("torch._tensor._rebuild_from_type_v2", name("posix.system"), name("a.b"), const(("id",)), const(None)),
        "made by the record 'posix.system'",
    ),
    "subclass of itself": (
        call("torch._tensor._rebuild_from_type_v2", *[name("torch._tensor._rebuild_from_type_v2")] * 2, b")", b"N"),
        "not from a plain tensor",
    ),
    "nested of text": (call("torch.storage._load_from_bytes", const("abc")), "not bytes"),
    "nested nothing": (call("torch.storage._load_from_bytes", const(b"")), "no torch file"),
    "nested system": (
        call("torch.storage._load_from_bytes", b"B" + struct.pack("<I", 19) + P2 + name("posix.system") + b")R."),
        "inert: posix.system",
    ),
}

# Storages that are not there and tensors that leave their storage of four floats; in containers that have storages.
STORED: dict[str, tuple[bytes, str]] = {
    "persistent text": (const("0") + b"Q", "refers to"),
    "persistent of another kind": (const(("module", 1, 2, 3, 4)) + b"Q", "refers to"),
    "persistent tensor": (b"(" + storage() + b"tQ", "refers to"),
    "storage of a function": (storage(kind="posix.system"), "storage of the record 'posix.system'"),
    "storage of a dtype": (storage(kind="torch.float32"), "storage of a dtype"),
    "storage with path": (storage(key="../../../etc/passwd"), "storage"),
    "storage 2^63": (storage(elements=BIG), "which cannot be"),
    "storage 2^60": (storage(elements=1 << 60), "elements|needs"),
    "storage negative": (storage(elements=-1), "which cannot be"),
    "storage true": (storage(elements=True), "which cannot be"),
    "quantised": (tensor(kind="torch._utils._rebuild_qtensor"), "not a dense plain one"),
    "shape beyond": (tensor(size=(5,)), "reaches outside"),
    "offset beyond": (tensor(offset=1), "reaches outside"),
    "offset huge": (tensor(offset=BIG), "cannot be"),
    "offset negative": (tensor(offset=-1), "cannot be"),
    "offset true": (tensor(offset=True), "cannot be"),
    "stride beyond": (tensor(size=(2,), stride=(4,)), "reaches outside"),
    "stride huge": (tensor(size=(2,), stride=(1 << 62,)), "reaches outside"),
    "stride 2^63": (tensor(size=(2,), stride=(BIG,)), "from 0 to 2^62"),
    "stride negative": (tensor(stride=(-1,)), "from 0 to 2^62"),
    "size negative": (tensor(size=(-4,)), "from 0 to 2^62"),
    "size 2^63": (tensor(size=(BIG,)), "from 0 to 2^62"),
    "size overflow to nothing": (tensor(size=(1 << 32, 1 << 32), stride=(0, 0)), "reaches outside"),
    "size of empty overflow": (tensor(size=(0, 1 << 40, 1 << 40), stride=(1, 1, 1)), "reaches outside"),
    "expanded bomb": (tensor(size=(1 << 40,), stride=(0,)), "unfolds to"),
    "expanded many times": ((tensor(size=(1 << 20,), stride=(0,)) + b"0") * 40 + b"N", "unfolds to"),
    "ranks differ": (tensor(stride=(1, 1)), "cannot be"),
    "rank 65": (tensor(size=(1,) * 65, stride=(1,) * 65), "not up to 64 numbers"),
    "requires_grad text": (tensor(grad="yes"), "requires_grad"),
    "integers with grad": (tensor(base=storage(2, "torch.LongStorage"), size=(2,), grad=True), "requires_grad"),
    "conjugated": (tensor(extra=const({"conj": True})), "conjugated"),
    "storage in two ways": (b"(" + storage() + storage(2, "torch.LongStorage") + b"t", "in two ways"),
    "storage of another size": (storage(3), "needs 12 bytes|3 are announced"),
    "typeless as function": (
        call(
            *(
                "torch._utils._rebuild_tensor_v3",
                storage(16, "torch.UntypedStorage"),
                const(0),
                const((1,)),
                const((1,)),
            ),
            *(const(False), const({}), name("posix.system")),
        ),
        "it needs a dtype",
    ),
    "system beside weights": (b"(" + tensor() + call("posix.system", TOUCH) + b"t", "inert: posix.system"),
}


def plain(program: bytes) -> bytes:
    return P2 + program + b"."


FLOATS = struct.pack("<q4f", 4, 1, 2, 3, 4)


def legacy(program: bytes, keys: object = ("0",), data: bytes = FLOATS) -> bytes:
    return MAGIC + pickle.dumps(SYSTEM, 2) + plain(program) + pickle.dumps(keys and [*keys], 2) + data


def archive(program: bytes, compression: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    entries = {"data.pkl": plain(program), "byteorder": b"little", "data/0": struct.pack("<4f", 1, 2, 3, 4)} | more
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for entry, content in entries.items():
            file.writestr(entry if entry.startswith("/") else f"archive/{entry}", content)
    return buffer.getvalue()


def safe(header: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(dtype: object = "F32", shape: object = (1,), offsets: object = (0, 4)) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def twice(data: bytes) -> bytes:
    """The zip with its first entry's name given to a later one as well."""
    return data.replace(b"archive/twin/2", b"archive/data/0")


def nested_storages(depth: int) -> bytes:
    data = plain(b"N")
    for _ in range(depth):
        data = plain(call("torch.storage._load_from_bytes", b"B" + struct.pack("<I", len(data)) + data))
    return data


def nested_often(times: int) -> bytes:
    inner = legacy(storage(250_000), data=struct.pack("<q", 250_000) + bytes(1_000_000))
    again = name("torch.storage._load_from_bytes") + b"h\x00\x85R0"
    return plain(b"B" + struct.pack("<I", len(inner)) + inner + b"q\x000" + again * times + b"N")


WEIGHTS = archive(tensor())
LEGACY_WEIGHTS = legacy(tensor())
SAFE = serialise({"w": torch.ones(1)}, {})
ONE = {"w": entry()}

FILES: dict[str, tuple[bytes, str]] = {
    "empty.pt": (b"", "no torch file"),
    "text.pt": (b"import os; os.system('id')", "no torch file"),
    "protocol 0.pt": (b"cposix\nsystem\n(S'touch canary'\ntR.", "no torch file"),
    "tar.pt": (b"storages".ljust(257, b"\0") + b"ustar\x0000", "a tar archive"),
    "hdf5.pt": (b"\x89HDF\r\n\x1a\n" + b"\0" * 500, "HDF5"),
    "numpy object array.pt": (b"\x93NUMPY\x01\x00", "a NumPy array"),
    "safetensors as torch.pt": (SAFE, "which read_safetensors reads"),
    "control is read.pt": (WEIGHTS, "inert: "),
    "control is read as legacy.pt": (LEGACY_WEIGHTS, "inert: "),
    "zip cut.pt": (WEIGHTS[:-1], "cut short or ends with a comment"),
    "zip cut at start.pt": (b"PK\3\4", "cut short or ends with a comment"),
    "zip damaged data.pt": (WEIGHTS.replace(struct.pack("<4f", 1, 2, 3, 4), struct.pack("<4f", 1, 2, 3, 5)), "CRC"),
    "zip compressed.pt": (archive(tensor(), zipfile.ZIP_DEFLATED), "is compressed"),
    "zip bomb.pt": (archive(tensor(), zipfile.ZIP_DEFLATED, **{"data/1": bytes(50_000_000)}), "is compressed"),
    "zip of no program.pt": (WEIGHTS.replace(b"data.pkl", b"date.pkl"), "0 parts called data.pkl"),
    "zip of two programs.pt": (archive(tensor(), **{"/x/data.pkl": b""}), "odd entry"),
    "zip up.pt": (archive(tensor(), **{"../../x": b""}), "odd entry"),
    "zip absolute.pt": (archive(tensor(), **{"/etc/cron.d/x": b""}), "odd entry"),
    "zip backslash.pt": (archive(tensor(), **{"..\\x": b""}), "odd entry"),
    "zip twice.pt": (twice(archive(tensor(), **{"twin/2": b"abcd"})), "odd entry"),
    "zip big-endian.pt": (archive(tensor(), byteorder=b"big"), "big-endian"),
    "zip torchscript.pt": (archive(tensor(), **{"constants.pkl": b""}), "TorchScript"),
    "zip without storage.pt": (archive(tensor(base=storage(key="9"))), "the file holds no"),
    "zip program is longer.pt": (archive(tensor() + b".garbage"), "follow the end of its program"),
    "zip directory huge.pt": (
        WEIGHTS[:-10] + struct.pack("<I", 0x7FFFFFFF) + WEIGHTS[-6:],
        "a directory of 2147483647 bytes",
    ),
    "zip entry claims 4 GB.pt": (
        WEIGHTS.replace(struct.pack("<II", 16, 16), struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)),
        "its entries claim",
    ),
    "legacy other version.pt": (
        LEGACY_WEIGHTS.replace(b"\x80\x02M\xe9\x03.", b"\x80\x02M\xea\x03."),
        "version is 1002",
    ),
    "legacy big-endian.pt": (
        MAGIC + pickle.dumps(SYSTEM | {"little_endian": False}, 2) + plain(b"N") + plain(b"]"),
        "big-endian",
    ),
    "legacy system calls.pt": (MAGIC + plain(call("posix.system", TOUCH)) + plain(b"N") + plain(b"]"), "version is"),
    "legacy keys none.pt": (legacy(tensor(), None), "its list of storages is None"),
    "legacy keys missing.pt": (legacy(tensor(), []), "does not match"),
    "legacy keys twice.pt": (legacy(tensor(), ["0", "0"]), "does not match"),
    "legacy keys of numbers.pt": (legacy(tensor(), [0]), "not a list of texts"),
    "legacy keys unknown.pt": (legacy(tensor(), ["1"]), "does not match"),
    "legacy data of other size.pt": (legacy(tensor(), data=struct.pack("<q4f", 5, 1, 2, 3, 4)), "5 elements where 4"),
    "legacy data negative.pt": (legacy(tensor(), data=struct.pack("<q4f", -1, 1, 2, 3, 4)), "-1 elements where 4"),
    "legacy data cut.pt": (LEGACY_WEIGHTS[:-1], "cut short"),
    "legacy data longer.pt": (LEGACY_WEIGHTS + b"\0", "1 bytes follow its end"),
    "legacy view of storage.pt": (legacy(tensor(base=storage(extra=const(("1", 0, 4))))), "a view of a storage"),
    "legacy module source.pt": (
        legacy(b"(" + const("module") + name("posix.system") + const("f") + const("import os") + b"tQ", [], b""),
        "inert: posix.system",
    ),
    "plain cut.pkl": (plain(const("abc"))[:-1], "cut short"),
    "plain longer.pkl": (plain(b"N") + plain(call("posix.system", TOUCH)), "follow its end"),
    "plain with storage.pkl": (plain(storage()), "outside the file"),
    "nested 4 deep.pkl": (nested_storages(4), "inert: "),
    "nested 5 deep.pkl": (nested_storages(5), "more than 4 deep"),
    "nested again and again.pkl": (nested_often(400), "a storage of 1000000 bytes"),
    "control.safetensors": (SAFE, "read: ['w']"),
    "empty.safetensors": (b"", "too few"),
    "length 2^63.safetensors": (safe(ONE, bytes(4), length=1 << 63), "a header of 9223372036854775808 bytes"),
    "length beyond.safetensors": (safe(ONE, length=500), "a header of 500 bytes"),
    "length 2 MB.safetensors": (safe(b"{" + b" " * (2 << 20) + b"}"), "a header of 2097154 bytes"),
    "length 0.safetensors": (safe(b""), "a header of 0 bytes"),
    "not json.safetensors": (safe(b"{'w': 1}"), "not JSON"),
    "not utf-8.safetensors": (safe(b'{"\xff": 1}'), "not JSON"),
    "not an object.safetensors": (safe([1]), "not a JSON object"),
    "leading space.safetensors": (safe(b"  {}"), "not a JSON object"),
    "deep.safetensors": (safe(b"[" * 400_000), "deeper than 4"),
    "deep in an entry.safetensors": (safe(b'{"w":' + b'{"a":' * 9 + b"1" + b"}" * 10), "deeper than 4"),
    "nan.safetensors": (safe(b'{"w": NaN}'), "which is not JSON"),
    "long number.safetensors": (safe(b'{"w": ' + b"9" * 9_000 + b"}"), "not JSON"),
    "twice.safetensors": (
        safe(b'{"w":' + json.dumps(entry()).encode() + b',"w":' + json.dumps(entry()).encode() + b"}", bytes(4)),
        "names 'w' twice",
    ),
    "twice escaped.safetensors": (safe(b'{"w":{"dtype":"F32","d\\u0074ype":"F16"}}'), "names 'dtype' twice"),
    "dtype unknown.safetensors": (safe({"w": entry("F31")}, bytes(4)), "dtype 'F31'"),
    "dtype of list.safetensors": (safe({"w": entry(["F32"])}, bytes(4)), "has dtype"),
    "dtype missing.safetensors": (safe({"w": {"shape": [1], "data_offsets": [0, 4]}}, bytes(4)), "needs exactly"),
    "entry more.safetensors": (safe({"w": entry() | {"code": "x"}}, bytes(4)), "needs exactly"),
    "entry of text.safetensors": (safe({"w": "F32"}), "needs exactly"),
    "shape negative.safetensors": (safe({"w": entry(shape=[-1])}, bytes(4)), "impossible shape"),
    "shape true.safetensors": (safe({"w": entry(shape=[True])}, bytes(4)), "impossible shape"),
    "shape 2^63.safetensors": (safe({"w": entry(shape=[1 << 63])}, bytes(4)), "impossible shape"),
    "shape overflow.safetensors": (safe({"w": entry(shape=[1 << 32, 1 << 32])}, bytes(4)), "impossible shape"),
    "shape empty overflow.safetensors": (safe({"w": entry(shape=[0, 1 << 62], offsets=[0, 0])}), "impossible shape"),
    "shape rank 65.safetensors": (safe({"w": entry(shape=[1] * 65)}, bytes(4)), "impossible shape"),
    "offsets short.safetensors": (safe({"w": entry(shape=[2])}, bytes(4)), "do not fit its shape"),
    "offsets backwards.safetensors": (safe({"w": entry(offsets=[4, 0])}, bytes(4)), "do not fit its shape"),
    "offsets of three.safetensors": (safe({"w": entry(offsets=[0, 4, 8])}, bytes(4)), "do not fit its shape"),
    "hole.safetensors": (safe({"w": entry(offsets=[4, 8])}, bytes(8)), "starts at byte 4"),
    "overlap.safetensors": (safe({"v": entry(), "w": entry()}, bytes(4)), "starts at byte 0"),
    "remainder.safetensors": (safe(ONE, bytes(5)), "need 4 bytes, but the file holds 5"),
    "cut.safetensors": (SAFE[:-1], "need 4 bytes, but the file holds 3"),
    "metadata of numbers.safetensors": (safe({"__metadata__": {"a": 1}}), "not a table of strings"),
    "metadata of list.safetensors": (safe({"__metadata__": []}), "not a table of strings"),
    "many.safetensors": (
        safe(json.dumps({str(i): entry("U8", [0], [0, 0]) for i in range(20_001)}, separators=(",", ":")).encode()),
        "a header of|20001 tensors",
    ),
}
for _title, (_program, _said) in PROGRAMS.items():
    FILES[f"{_title}.plain.pkl"] = (plain(_program), _said)
    if len(_program) > 100_000:
        continue  # a bomb takes a second, and the container makes no difference to it
    FILES[f"{_title}.zip.pt"] = (archive(_program), _said)
    FILES[f"{_title}.legacy.pt"] = (legacy(_program, [], b""), _said)
for _title, (_program, _said) in STORED.items():
    FILES[f"{_title}.zip.pt"] = (archive(_program), _said)
    FILES[f"{_title}.legacy.pt"] = (legacy(_program), _said)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """Every file read in one process that watches itself: name -> (what was said, events, megabytes, seconds)."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "files").mkdir()
    for title, (content, _) in FILES.items():
        (folder / "files" / title).write_bytes(content)
    source = str(Path(sparring.__file__).parents[1])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": source}
    done = subprocess.run(
        [sys.executable, "-c", READER],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("title", FILES)
def test_hostile_file_does_nothing(outcomes, title):
    said, events, megabytes, seconds = outcomes[title]
    expected = FILES[title][1]
    assert any(words in said for words in expected.split("|")), said
    assert said.startswith(("inert: ", "read: ") if expected.startswith(("inert: ", "read: ")) else "refused: ")
    assert events == []
    assert megabytes < 160  # the limit: 64 MB and twice the file, the largest of which has 3 MB; and Python's own
    assert seconds < 10
    assert len(said) < 500


def test_the_watch_would_have_caught_them(outcomes):
    assert outcomes["canary"] is False
    made, events, _, _ = outcomes["control"]
    assert made == "True"
    assert {"pickle.find_class", "os.system"} <= set(events)
