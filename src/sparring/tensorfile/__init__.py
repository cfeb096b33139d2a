"""Reading and writing tensors without ever running code from a file.

Two kinds of file, one promise. Our own files are safetensors (`serialise`, `read_safetensors`). Published torch
files are read by `read_torch_file`, which interprets a closed list of opcodes and can build only containers, numbers,
strings, tensors and inert `Record`s; nothing a file names is imported, looked up or called. `tensors_of` then finds the
state dict. Whatever is damaged, foreign or hostile raises `FileUnusableError` with a sentence a person can act on.

Reading order: `safe` (safetensors), `torchfile` (the three containers of torch files), `machine` (the opcodes),
`builder` (what the opcodes may build), `record` (what stands for everything else), `limits` (how much of it all),
`statedict` (from what was read to named tensors).
"""

from __future__ import annotations

from sparring.tensorfile.record import Record
from sparring.tensorfile.safe import SafeTensors, read_safetensors, serialise
from sparring.tensorfile.statedict import tensors_of
from sparring.tensorfile.torchfile import read_torch_file

__all__ = [
    "Record",
    "SafeTensors",
    "read_safetensors",
    "read_torch_file",
    "serialise",
    "tensors_of",
]
