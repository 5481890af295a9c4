# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets that could be installed: the curated stacks, and what the tables compose for every other torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_tables import (
    Row,
    accelerator_of,
    apex_for,
    cuda_of,
    cudas,
    deepspeed_fault,
    deepspeeds,
    key,
    minor,
    newest_release,
    stacks,
    toolkit_fits,
    torches,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolve_wishes import Complaint, Wishes

# The python of a composed stack, as far as its torch has wheels for it.
_PYTHON = "3.11"
_NCCL_BF16 = "2.10.3"


@dataclass(frozen=True)
class Candidate:
    """One set. cuda: minor of the toolkit, none without one; torch_cuda: what torch was built with."""

    stack: str
    torch: str
    row: Row
    build: str
    python: str
    deepspeed: str
    apex: str | None
    cuda: str | None
    release: str | None
    unknown: bool = False
    complaints: tuple[Complaint, ...] = ()

    @property
    def accelerator(self) -> str:
        return accelerator_of(self.build)

    @property
    def torch_cuda(self) -> str | None:
        return cuda_of(self.build) if self.accelerator == "cuda" else None

    @property
    def name(self) -> str:
        """torch 2.13.0+cu130."""
        return f"torch {self.torch}+{self.build}"


def row_of(torch: str) -> Row | None:
    """The row of a torch; that of the newest for one that is newer than all."""
    known = torches()
    if torch in known:
        return known[torch]
    newest = list(known)[-1]
    return {**known[newest], "torchvision": None, "torchaudio": None} if key(torch) > key(newest) else None


def _python(wishes: Wishes, row: Row, curated: Row, unknown: bool) -> tuple[str, list[Complaint]]:
    has: list[str] = list(row["python"])
    if not wishes.python:
        return str(curated.get("python") or (_PYTHON if _PYTHON in has else has[-1])), []
    if minor(wishes.python) in has or (unknown and key(minor(wishes.python)) >= key(has[0])):
        return wishes.python, []
    reason = f"torch {row['torch']} has wheels for python {has[0]} to {has[-1]}, not for {wishes.python}."
    return wishes.python, [Complaint("python", reason)]


def _deepspeed(wishes: Wishes, torch: str, curated: Row, headless: bool) -> tuple[str, list[Complaint]]:
    own = wishes.deepspeed or str(curated.get("deepspeed") or "")
    if own:
        fault = deepspeed_fault(own, torch, headless)
        if not fault:
            return own, []
        if wishes.deepspeed:
            return own, [Complaint("deepspeed", f"DeepSpeed {own} does not work with torch {torch}: {fault}.")]
    fitting = next(
        (version for version in reversed(deepspeeds()) if not deepspeed_fault(version, torch, headless)), None
    )
    if fitting:
        return fitting, []
    newest = list(deepspeeds())[-1]
    return newest, [
        Complaint("deepspeed", f"No DeepSpeed works with torch {torch}: {deepspeed_fault(newest, torch, headless)}.")
    ]


def _apex(
    wishes: Wishes, torch: str, curated: Row, cuda: str | None, toolkit: str | None
) -> tuple[str | None, list[Complaint]]:
    if cuda is None:
        wanted = wishes.apex not in ("", "none")
        reason = "apex is built for CUDA, and this stack has none; leave apex out."
        return None, [Complaint("apex", reason)] if wanted else []
    if wishes.apex == "none":
        return None, []
    ref = wishes.apex if wishes.apex not in ("", "fitting") else str(curated.get("apex") or apex_for(torch) or "")
    if cuda != toolkit:
        if not wishes.apex:
            return None, []
        reason = (
            f"apex is compiled only by the CUDA that torch was built with: torch's is {cuda}, and "
            f"cuda_toolkit_versions begins with {toolkit}."
        )
        return ref, [Complaint("apex", reason)]
    if not ref and wishes.apex:
        return None, [Complaint("apex", f"No apex is known for torch {torch}.")]
    return ref or None, []


def _toolkit(wishes: Wishes, torch: str, build: str, deepspeed: str) -> tuple[str | None, str | None, list[Complaint]]:
    """Minor and release of the toolkit."""
    own = cuda_of(build) if accelerator_of(build) == "cuda" else None
    if not wishes.cuda:
        row = row_of(torch) or {}
        pinned = str(row.get("cuda_release") or "")
        release = pinned if own and minor(pinned) == own else newest_release(own) if own else None
        return own, release, []
    wished = minor(wishes.cuda)
    release = wishes.cuda if wishes.cuda != wished else newest_release(wished)
    if own is None:
        reason = f"cuda_toolkit_versions begins with {wishes.cuda}, and torch {torch}+{build} computes without CUDA."
        return None, None, [Complaint("cuda", reason)]
    if toolkit_fits(deepspeed, wished, own):
        return wished, release, []
    reason = (
        f"DeepSpeed {deepspeed} does not compile with CUDA {wished} for torch {torch}+{build}, whose CUDA is {own}; "
        f"the toolkit must be {own}"
        + ("." if int(own.split(".", maxsplit=1)[0]) >= 13 or wished[:2] != own[:2] else " or near it.")
    )
    return wished, release, [Complaint("cuda", reason)]


def _bf16(wishes: Wishes, row: Row, accelerator: str) -> list[Complaint]:
    if not wishes.bf16 or accelerator != "cuda" or key(row["nccl"]) >= key(_NCCL_BF16):
        return []
    reason = f"bf16 needs NCCL {_NCCL_BF16} or newer, and torch {row['torch']} has {row['nccl']} inside."
    return [Complaint("bf16", reason)]


def compose(wishes: Wishes, torch: str, build: str, headless: bool, curated: Row | None = None) -> Candidate:
    """The set for a torch and its build, with what the wishes have against it.

    :param headless: whether some node computes without a GPU, which some DeepSpeed cannot be imported on.
    """
    row = row_of(torch) or {}
    unknown = torch not in torches()
    own: Row = curated or {}
    python, python_faults = _python(wishes, row, own, unknown)
    deepspeed, deepspeed_faults = _deepspeed(wishes, torch, own, headless)
    cuda, release, cuda_faults = _toolkit(wishes, torch, build, deepspeed)
    torch_cuda = cuda_of(build) if accelerator_of(build) == "cuda" else None
    apex, apex_faults = _apex(wishes, torch, own, torch_cuda, cuda)
    faults = [*python_faults, *deepspeed_faults, *cuda_faults, *apex_faults, *_bf16(wishes, row, accelerator_of(build))]
    as_curated = (
        own
        and (python, deepspeed, cuda) == (own["python"], own["deepspeed"], torch_cuda)
        and apex in (own["apex"], None)
    )
    return Candidate(
        stack=str(own["stack"]) if as_curated else f"torch-{torch}-{build}",
        torch=torch,
        row=row,
        build=build,
        python=python,
        deepspeed=deepspeed,
        apex=apex,
        cuda=cuda,
        release=release,
        unknown=unknown or (torch_cuda is not None and torch_cuda not in cudas()),
        complaints=tuple(faults),
    )


def _wanted(wishes: Wishes, torch: str, build: str, accelerator: str) -> bool:
    if wishes.torch and torch != wishes.torch:
        return False
    return build == wishes.torch_build if wishes.torch_build else accelerator_of(build) == accelerator


def _builds(wishes: Wishes, torch: str) -> list[str]:
    """The builds of a torch: that of PyPI first, then the newest."""
    row = row_of(torch) or {}
    if torch not in torches() and wishes.torch_build:
        return [wishes.torch_build]
    return sorted(row["builds"], key=lambda build: (build == row["default"], key(build)), reverse=True)


def candidates(wishes: Wishes, accelerator: str, headless: bool) -> Iterator[Candidate]:
    """What may be tried, best first: curated stacks as they are, then every other torch, newest first.

    A torch that is newer than every curated stack that C(auto) takes comes last, unless it is wished for.
    """
    if wishes.stack:
        row = stacks()[wishes.stack]
        yield compose(wishes, str(row["torch"]), str(row["build"]), headless, row)
        return
    newest_first = list(reversed(stacks().values()))
    taken, held = ([row for row in newest_first if bool(row.get("auto")) is late] for late in (False, True))
    for row in (*taken, *held):
        if (wishes.torch or not row.get("auto")) and _wanted(wishes, row["torch"], row["build"], accelerator):
            found = compose(wishes, str(row["torch"]), str(row["build"]), headless, row)
            if found.stack == row["stack"]:
                yield found
    newest = max(key(row["torch"]) for row in stacks().values() if not row.get("auto"))
    every = [wishes.torch] if wishes.torch else sorted(torches(), key=lambda torch: (key(torch) <= newest, key(torch)))
    for torch in every if wishes.torch else reversed(every):
        for build in _builds(wishes, torch):
            if _wanted(wishes, torch, build, accelerator):
                yield compose(wishes, torch, build, headless)
