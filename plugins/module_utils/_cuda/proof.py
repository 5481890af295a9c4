# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The proof of a toolkit: its nvcc compiles a kernel, and the program has code for the wished architectures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cuda.fatbin import machine_code
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.installation import one_line
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import numbers

# argv, variables beside those of the account, seconds
Compile = Callable[[Sequence[str], Mapping[str, str], float], Finished]

# It needs the headers of the toolkit and its runtime library, and nothing of a GPU.
KERNEL = """\
#include <cuda_fp16.h>
#include <cuda_runtime.h>

__global__ void scale(__half *values, float by) {
    values[threadIdx.x] = __float2half(by * __half2float(values[threadIdx.x]));
}

int main() {
    scale<<<1, 32>>>(nullptr, 2.0f);
    return 0;
}
"""


class ProofError(RuntimeError):
    """A toolkit does not compile what it should; the message is a sentence for the user."""


@dataclass(frozen=True)
class Proof:
    """What is to be proved.

    :param home: the toolkit.
    :param architectures: compute capabilities, such as 8.0; none where nvcc's own choice will do.
    :param cxx: the C++ compiler for the host's part; empty where nvcc finds its own.
    """

    home: Path
    architectures: Sequence[str] = ()
    cxx: str = ""
    timeout: float = 300


def prove(proof: Proof, compile_with: Compile) -> list[str]:
    """Compile, and read the architectures in the result, the lowest first.

    :raises ProofError: nvcc failed, or an architecture is missing.
    """
    nvcc = proof.home / "bin" / "nvcc"
    with tempfile.TemporaryDirectory(prefix="cuda-proof-") as folder:
        source, program = Path(folder, "scale.cu"), Path(folder, "scale")
        source.write_text(KERNEL, encoding="utf-8")
        argv = [str(nvcc), "-o", str(program), str(source), *([f"-ccbin={proof.cxx}"] if proof.cxx else [])]
        for architecture in proof.architectures:
            number = architecture.replace(".", "")
            argv += ["-gencode", f"arch=compute_{number},code=sm_{number}"]
        finished = compile_with(argv, {"TMPDIR": folder}, proof.timeout)
        if finished.rc != 0:
            ended = "was not done in time" if finished.rc is None else "failed"
            said = one_line(finished.stderr.strip() or finished.stdout.strip())
            raise ProofError(f"{nvcc} {ended} on a small kernel and said: {said or 'nothing'}{_advice(said)}")
        found = machine_code(program.read_bytes())
    missing = [architecture for architecture in proof.architectures if architecture not in found]
    if missing or not found:
        raise ProofError(
            f"{nvcc} compiled a small kernel, but the program has no code for compute capability "
            f"{', '.join(missing) or 'of any kind'}; it has code for {', '.join(_sorted(found)) or 'none'}."
        )
    return _sorted(found)


def _advice(said: str) -> str:
    if "unsupported GNU version" in said:
        return " Its gcc is too new for this toolkit; let the role bring one (cuda_toolkit_compiler: auto)."
    if "Unsupported gpu architecture" in said:
        return " Wish for a toolkit that still has, or already has, this architecture (cuda_toolkit_versions)."
    if ("No such file or directory" in said and "g++" in said) or "gcc: " in said:
        return " There is no C++ compiler; let the role bring one (cuda_toolkit_compiler: auto)."
    return ""


def _sorted(architectures: set[str]) -> list[str]:
    return sorted(architectures, key=numbers)
