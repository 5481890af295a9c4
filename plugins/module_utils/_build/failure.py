# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the log of a failed build says, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_LAST_LINES = 12
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Symptom:
    """A text in a log, and what it means. C(says) may use the groups of the pattern by their names."""

    pattern: re.Pattern[str]
    says: str


def _symptom(pattern: str, says: str) -> Symptom:
    return Symptom(re.compile(pattern, re.MULTILINE | re.IGNORECASE), says)


# Headers, and what brings each: the first that fits counts.
_HEADERS: Sequence[tuple[str, str]] = (
    (
        r"Python\.h",
        "the headers of the environment's Python (Debian: python3.11-dev for Python 3.11, RHEL: python3.11-devel), or "
        "create the environment with conda, whose Python includes them",
    ),
    (r"libaio\.h", "libaio (Debian: libaio-dev, RHEL: libaio-devel)"),
    (r"cudnn_frontend\S*\.h", "the source's submodules, of which it is one"),
    (r"cudnn\S*\.h", "cuDNN (NVIDIA's package libcudnn9-dev-cuda-12 or -13, or pip's nvidia-cudnn)"),
    (r"nccl\.h", "NCCL's headers (NVIDIA's package libnccl-dev)"),
    (r"cufile\.h", "cuFile (NVIDIA's package libcufile-dev)"),
    (r"cutlass/\S+", "CUTLASS: its repository, named by the variable CUTLASS_PATH, or the source's submodules"),
    (
        r"(cuda|cublas|cusparse|cusolver|curand|cufft|nvToolsExt|nvtx|thrust|cub|crt)\S*\.(h|cuh)",
        "the whole CUDA toolkit: this one lacks a component (role cuda_toolkit installs all of it)",
    ),
)
# The cause before its consequences: the first that fits counts.
_SYMPTOMS = (
    _symptom(
        r"Killed signal terminated program|virtual memory exhausted|Cannot allocate memory|out of memory allocating"
        r"|std::bad_alloc|c\+\+: fatal error: Killed",
        "The compiler ran out of memory: let fewer run at once, add swap, or build on a node that has more.",
    ),
    _symptom(
        r"No space left on device|Disk quota exceeded",
        "A disk is full: make room on that of the environment, where the build has its files.",
    ),
    _symptom(
        r"unsupported GNU version! gcc versions later than (?P<gcc>\d+)",
        "This nvcc takes gcc up to {gcc}: let role cuda_toolkit bring one, or name it (CC, CXX, NVCC_CCBIN).",
    ),
    _symptom(
        r"Unsupported gpu architecture '(?P<arch>[^']+)'",
        "This nvcc does not compile for {arch}: take that architecture out, or take a toolkit that has it.",
    ),
    _symptom(
        r"(version of Cuda that does not match the version used to compile Pytorch"
        r"|The detected CUDA version \((?P<nvcc>[\d.]+)\) mismatches|CUDAMismatchException)",
        "The toolkit and torch are of different CUDA versions: take the toolkit of torch's, or a torch of the "
        "toolkit's.",
    ),
    _symptom(
        r"No module named ['\"]?(?P<module>[\w.]+)",
        "The build imports {module}, which the environment does not have: install it there.",
    ),
    _symptom(
        r"Ninja is required|ninja: (command )?not found|No such file or directory: 'ninja'",
        "The build needs ninja, which the environment does not have: install it there.",
    ),
    _symptom(
        r"(c\+\+|g\+\+|gcc|cc|x86_64-linux-gnu-g\+\+)['\"]?: (command )?not found|No such file or directory: "
        r"'(c\+\+|g\+\+|gcc)'",
        "There is no C++ compiler: install g++ (Debian: g++, RHEL: gcc-c++).",
    ),
    _symptom(
        r"CUDA_HOME environment variable is not set|nvcc: (command )?not found|Nvcc was not found",
        "The build needs nvcc and found none: name the toolkit's folder, or install one by the role cuda_toolkit.",
    ),
    _symptom(r"cannot find -l(?P<library>\S+?):?\s", "The library {library} is missing: install what it comes from."),
    _symptom(
        r"Could not find a version that satisfies the requirement (?P<wanted>\S+)|No matching distribution found "
        r"for (?P<other>\S+)",
        "No index or folder that this node uses has the source: name an index that has it, or correct the version.",
    ),
    _symptom(
        r"Connection refused|Failed to establish a new connection|NameResolutionError|Connection timed out",
        "An index cannot be reached from this node: name one that can, or set a proxy.",
    ),
    _symptom(
        r"error: invalid (command|option)|option \S+ not recognized|no such option",
        "It does not know an option of the build.",
    ),
)


_REFUSED_OP = re.compile(r"Unable to pre-compile (?P<op>[a-z]\w*)\s*$", re.MULTILINE)
_REMARK = re.compile(r"^\s*\[WARNING\]\s+(?P<text>.+?)\.?\s*$", re.MULTILINE)


def _of_op(op: str, text: str) -> str:
    """DeepSpeed says why an op cannot be built in warnings before it gives up."""
    remarks = dict.fromkeys(found["text"] for found in _REMARK.finditer(text) if found["text"].startswith(op))
    return f"DeepSpeed refuses to build the op {op}: {'. '.join(remarks) or 'it gives no reason'}."


def explain(log: str) -> str:
    """What went wrong by a log, in sentences that say what to do; its last lines where the cause is not known."""
    text = _CREDENTIALS.sub("***@", _COLOUR.sub("", log))
    missing = re.search(r"fatal error: (?P<header>[^\s:]+): No such file or directory", text)
    if missing:
        header = missing["header"]
        brings = next((what for pattern, what in _HEADERS if re.fullmatch(pattern, header)), "")
        remedy = f"install {brings}" if brings else "install what brings it"
        return f"The header {header} is missing: {remedy}."
    refused = _REFUSED_OP.search(text)
    if refused:
        return _of_op(refused["op"], text)
    for symptom in _SYMPTOMS:
        found = symptom.pattern.search(text)
        if found:
            groups = {name: value or "" for name, value in found.groupdict().items()}
            return f"{symptom.says.format(**groups)} It said: {_line(text, found.start())}."
    last = [line.strip() for line in text.splitlines() if line.strip()][-_LAST_LINES:]
    return "; ".join(last) + "." if last else "it said nothing."


def _line(text: str, position: int) -> str:
    """The line around a position, cut where it is long."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)].strip().rstrip(".")
    return line if len(line) <= 240 else f"...{line[-240:]}"
