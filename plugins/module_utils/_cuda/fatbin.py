# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The GPU architectures that a compiled file has code for, read from the file itself, without cuobjdump.

nvcc lays device code down in fat binaries: a header of 16 bytes (magic, version, its own size, the size of what
follows), then entries. An entry begins with its kind, the size of its header and that of its code, and names its
architecture at byte 28. Read from what nvcc 11.8 to 13.0 write; the layout is the same in all of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MAGIC = struct.pack("<I", 0xBA55ED50)
_HEADER = struct.Struct("<IHHQ")
_ENTRY = struct.Struct("<HHIQ")
_ARCHITECTURE_AT = 28
_PTX, _ELF = 1, 2


def machine_code(data: bytes) -> set[str]:
    """The compute capabilities that a file has machine code for, such as 8.0."""
    return {_capability(architecture) for kind, architecture in _entries(data) if kind == _ELF}


def _capability(architecture: int) -> str:
    return f"{architecture // 10}.{architecture % 10}"


def _entries(data: bytes) -> Iterator[tuple[int, int]]:
    """Kind and architecture of each piece of device code."""
    at = data.find(_MAGIC)
    while at >= 0:
        entry = at + len(_MAGIC)
        if at + _HEADER.size <= len(data):
            _magic, version, header, size = _HEADER.unpack_from(data, at)
            end = at + header + size
            # The four bytes occur by chance, too, and in programs that read fat binaries.
            if version == 1 and header == _HEADER.size and end <= len(data):
                entry = at + header
                while entry + _ARCHITECTURE_AT + 4 <= end:
                    kind, _attributes, own, code = _ENTRY.unpack_from(data, entry)
                    if kind not in (_PTX, _ELF) or own <= _ARCHITECTURE_AT:
                        break
                    yield kind, struct.unpack_from("<I", data, entry + _ARCHITECTURE_AT)[0]
                    entry += own + code
        at = data.find(_MAGIC, entry)
