# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which architectures are read from what nvcc makes, and what is said where it makes nothing."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.fatbin import machine_code
from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.proof import Proof, ProofError, prove
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

PTX, ELF = 1, 2


def fat_binary(*entries: tuple[int, int], header: int = 64) -> bytes:
    """Device code as nvcc 13.0 lays it down; the numbers are those that it wrote, but for the sizes."""
    parts = []
    for kind, architecture in entries:
        code = b"\x7fELF" * 4
        head = struct.pack("<HHIQIIHHI", kind, 257, header, len(code), 0, 0, 8, 1, architecture)
        parts.append(head.ljust(header, b"\0") + code)
    body = b"".join(parts)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


# What a file holds, and the machine code in it.
FILES = [
    (b"", set()),
    (b"\x7fELF and nothing else", set()),
    (fat_binary((ELF, 80)), {"8.0"}),
    (b"ab" + fat_binary((ELF, 70), (ELF, 120), header=96) + b"cd", {"7.0", "12.0"}),
    (fat_binary((ELF, 80)) + fat_binary((ELF, 90), (PTX, 90), header=112), {"8.0", "9.0"}),
    (fat_binary((PTX, 75)), set()),
    # The magic by chance, at the end and before anything else.
    (fat_binary((ELF, 80)) + struct.pack("<I", 0xBA55ED50), {"8.0"}),
    (struct.pack("<I", 0xBA55ED50) + b"\x09" * 200 + fat_binary((ELF, 80)), {"8.0"}),
    # Cut off.
    (fat_binary((ELF, 80))[:60], set()),
]


@pytest.mark.parametrize(("data", "machine"), FILES)
def test_architectures_are_read_from_the_file(data: bytes, machine: set[str]) -> None:
    assert machine_code(data) == machine


class Nvcc:
    """Writes a program with code for some architectures, or fails."""

    def __init__(self, *architectures: int, finished: Finished | None = None) -> None:
        self.architectures = architectures
        self.finished = finished or Finished(0)
        self.argv: list[str] = []

    def __call__(self, argv: Sequence[str], extra: Mapping[str, str], timeout: float) -> Finished:
        self.argv = list(argv)
        source = next(Path(word) for word in argv if word.endswith(".cu"))
        assert "__global__" in source.read_text()
        if self.finished.rc == 0:
            program = fat_binary(*((ELF, architecture) for architecture in self.architectures))
            Path(argv[argv.index("-o") + 1]).write_bytes(program)
        return self.finished


def test_a_toolkit_is_proved_for_each_architecture() -> None:
    nvcc = Nvcc(90, 80)
    assert prove(Proof(Path("/cuda"), ["8.0", "9.0"], "/usr/bin/g++-11"), nvcc) == ["8.0", "9.0"]
    assert nvcc.argv[0] == "/cuda/bin/nvcc"
    assert "-ccbin=/usr/bin/g++-11" in nvcc.argv
    assert nvcc.argv.count("-gencode") == 2
    assert "arch=compute_80,code=sm_80" in nvcc.argv


def test_without_architectures_nvcc_chooses() -> None:
    nvcc = Nvcc(75)
    assert prove(Proof(Path("/cuda")), nvcc) == ["7.5"]
    assert not [word for word in nvcc.argv if word.startswith(("-gencode", "-ccbin"))]


# What nvcc does, what the sentence must hold.
FAILURES = [
    (Nvcc(80), "no code for compute capability 9.0; it has code for 8.0"),
    (Nvcc(), "no code for compute capability 8.0, 9.0; it has code for none"),
    (Nvcc(finished=Finished(1, "", "boom")), "/cuda/bin/nvcc failed on a small kernel and said: boom"),
    (Nvcc(finished=Finished(None)), "was not done in time"),
    (
        Nvcc(finished=Finished(1, "", "#error -- unsupported GNU version! gcc versions later than 11")),
        "Its gcc is too new for this toolkit",
    ),
    (
        Nvcc(finished=Finished(1, "", "nvcc fatal   : Unsupported gpu architecture 'compute_70'")),
        "Wish for a toolkit that still has, or already has, this architecture",
    ),
    (Nvcc(finished=Finished(1, "", "gcc: No such file or directory")), "There is no C++ compiler"),
]


@pytest.mark.parametrize(("nvcc", "words"), FAILURES)
def test_what_is_not_proved_is_said_in_a_sentence(nvcc: Nvcc, words: str) -> None:
    with pytest.raises(ProofError) as caught:
        prove(Proof(Path("/cuda"), ["8.0", "9.0"]), nvcc)
    assert words in str(caught.value)
