# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets that could be installed: the curated stacks, and what the tables compose for every other torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    Row,
    accelerator_of,
    apex_fits,
    apex_for,
    apexes,
    bf16,
    cuda_of,
    deepspeed_fault,
    deepspeed_for,
    deepspeeds,
    newest_release,
    of_its_time,
    stacks,
    toolkits_for,
    torch_row,
    torches,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.constraints import Wishes
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.reader import VARIABLES
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._resolver.sentences import Remark, span

# The python of a composed stack, as far as its torch has wheels for it.
_PYTHON = "3.11"


@dataclass(frozen=True)
class Candidate:
    """One set. cuda, release: of the toolkit, none without one. known: whether there is a row for its torch."""

    stack: str
    torch: str
    row: Row
    build: str
    python: str
    deepspeed: str
    apex: str | None
    cuda: str | None
    release: str | None
    known: bool = True
    faults: tuple[Remark, ...] = ()

    @property
    def accelerator(self) -> str:
        return accelerator_of(self.build)

    @property
    def torch_cuda(self) -> str | None:
        """The CUDA that torch was built with."""
        return cuda_of(self.build) if self.accelerator == "cuda" else None

    @property
    def name(self) -> str:
        """torch 2.13.0+cu130."""
        return f"torch {self.torch}+{self.build}"


def _python(wishes: Wishes, torch: str, row: Row, curated: Row) -> tuple[str, list[Remark]]:
    has = [str(python) for python in row["python"]]
    if not wishes.python:
        return str(curated.get("python") or (_PYTHON if _PYTHON in has else has[-1])), []
    wished = minor(wishes.python)
    every = [*has, *row.get("python_torch_only", ())]
    if wished in every or (torch not in torches() and numbers(wished) >= numbers(has[0])):
        return wishes.python, []
    return wishes.python, [Remark("python", f"torch {torch} has wheels for python {span(every)}, not for {wished}.")]


def _deepspeed(wishes: Wishes, torch: str, curated: Row, headless: bool) -> tuple[str, list[Remark]]:
    own = wishes.deepspeed or str(curated.get("deepspeed") or "")
    fault = deepspeed_fault(own, torch, headless) if own else None
    if own and not fault:
        return own, []
    if wishes.deepspeed:
        return own, [Remark("deepspeed", f"DeepSpeed {own} does not work with torch {torch}: {fault}.")]
    found = deepspeed_for(torch, headless)
    if found:
        return found, []
    newest = list(deepspeeds())[-1]
    fault = deepspeed_fault(newest, torch, headless)
    return newest, [Remark("torch", f"No DeepSpeed works with torch {torch}: {fault}.")]


def _toolkit(wishes: Wishes, torch: str, build: str, deepspeed: str) -> tuple[str | None, str | None, list[Remark]]:
    """Minor and release of the toolkit."""
    own = cuda_of(build) if accelerator_of(build) == "cuda" else None
    if own and wishes.cuda in ("", own):
        pinned = str(torch_row(torch).get("cuda_release") or "")
        return own, pinned if minor(pinned) == own else newest_release(own), []
    if not wishes.cuda:
        return None, None, []
    name = VARIABLES["cuda"]
    if own is None:
        said = (
            f"{name} begins with {wishes.cuda}, and torch {torch}+{build} computes without CUDA; leave one of both out."
        )
        return None, None, [Remark("cuda", said)]
    wished = minor(wishes.cuda)
    release = wishes.cuda if wishes.cuda != wished else newest_release(wished)
    if wished in toolkits_for(deepspeed, own):
        return wished, release, []
    said = (
        f"{name} begins with {wishes.cuda}, and torch {torch}+{build} has CUDA {own}: DeepSpeed {deepspeed} compiles "
        f"its ops for that only with {span(toolkits_for(deepspeed, own))}."
    )
    return wished, release, [Remark("cuda", said)]


def _apex(
    wishes: Wishes, torch: str, curated: Row, python: str, cudas: tuple[str | None, str | None]
) -> tuple[str | None, list[Remark]]:
    """The ref of apex; cudas: torch's and the toolkit's."""
    wanted = wishes.apex not in ("", "none")
    own, toolkit = cudas
    if wishes.apex == "none":
        return None, []
    if own is None:
        said = "apex is built for CUDA, and torch computes without it here; leave apex out."
        return None, [Remark("apex", said)] if wanted else []
    ref = wishes.apex if wishes.apex not in ("", "fitting") else str(curated.get("apex") or apex_for(torch) or "")
    alike = wishes.apex_mismatch and own.split(".", maxsplit=1)[0] == str(toolkit).split(".", maxsplit=1)[0]
    if own != toolkit and not alike:
        said = (
            f"apex compiles only with the very CUDA of torch: that is {own}, and {VARIABLES['cuda']} begins with "
            f"{toolkit}; make them equal, or leave apex out."
        )
        return (ref, [Remark("apex", said)]) if wanted else (None, [])
    fault = apex_fits(ref, python) if ref else f"none is known for torch {torch}"
    if fault:
        return (ref or None, [Remark("apex", f"apex {ref}: {fault}.".replace(" :", ":"))]) if wanted else (None, [])
    return ref, []


def _bf16(wishes: Wishes, torch: str, row: Row, accelerator: str) -> list[Remark]:
    first = bf16()["nccl"]
    if not wishes.bf16 or accelerator != "cuda" or numbers(row["nccl"]) >= numbers(first):
        return []
    return [Remark("bf16", f"bf16 needs NCCL {first} or newer, and torch {torch} has {row['nccl']} inside.")]


def compose(wishes: Wishes, torch: str, build: str, headless: bool, curated: Row | None = None) -> Candidate:
    """The set for a torch and its build, with what the wishes have against it.

    :param headless: whether some node computes without a GPU; there are DeepSpeeds that cannot be imported there.
    :param curated: the stack that gives what is not wished for.
    """
    row, own = torch_row(torch), curated or {}
    accelerator = accelerator_of(build)
    torch_cuda = cuda_of(build) if accelerator == "cuda" else None
    python, python_faults = _python(wishes, torch, row, own)
    deepspeed, deepspeed_faults = _deepspeed(wishes, torch, own, headless)
    cuda, release, cuda_faults = _toolkit(wishes, torch, build, deepspeed)
    apex, apex_faults = _apex(wishes, torch, own, python, (torch_cuda, cuda))
    faults = (*python_faults, *deepspeed_faults, *cuda_faults, *apex_faults, *_bf16(wishes, torch, row, accelerator))
    as_it_is = own and (minor(python), deepspeed, cuda) == (own["python"], own["deepspeed"], torch_cuda)
    return Candidate(
        stack=str(own["stack"]) if as_it_is and apex in (own["apex"], None) else f"torch-{torch}-{build}",
        torch=torch,
        row=row,
        build=build,
        python=python,
        deepspeed=deepspeed,
        apex=apex,
        cuda=cuda,
        release=release,
        known=torch in torches(),
        faults=faults,
    )


def _wanted(wishes: Wishes, torch: str, build: str, accelerator: str) -> bool:
    if wishes.torch and torch != wishes.torch:
        return False
    return build == wishes.torch_build if wishes.torch_build else accelerator_of(build) == accelerator


def _builds(wishes: Wishes, torch: str) -> list[str]:
    """The builds of a torch: that of PyPI first, then the newest."""
    row = torch_row(torch)
    if torch not in torches() and wishes.torch_build:
        return [wishes.torch_build]
    return sorted(row["builds"], key=lambda build: (build == row["default"], numbers(build)), reverse=True)


def _row(wishes: Wishes, torch: str, build: str, headless: bool) -> Candidate:
    """The curated stack of a torch and its build where it is as wished for, else what the tables compose."""
    for row in sorted(stacks().values(), key=lambda row: bool(row.get("auto"))):
        if (row["torch"], row["build"]) == (torch, build):
            found = compose(wishes, torch, build, headless, row)
            if found.stack == row["stack"]:
                return found
    return compose(wishes, torch, build, headless)


def _strays(wishes: Wishes, candidate: Candidate) -> bool:
    """Whether a toolkit or an apex is wished for that is of another torch."""
    return candidate.cuda != candidate.torch_cuda or (
        wishes.apex in apexes() and not of_its_time(wishes.apex, candidate.torch)
    )


def candidates(wishes: Wishes, accelerator: str, headless: bool) -> Iterator[Candidate]:
    """What may be tried, best first.

    Curated stacks go before all others, newest first, unless python, DeepSpeed, toolkit or apex are wished for: then a
    newer torch goes before a stack. What is newer than the stacks that C(auto) takes comes last.
    """
    if wishes.stack in stacks():
        row = stacks()[wishes.stack]
        yield compose(wishes, str(row["torch"]), str(row["build"]), headless, row)
        return
    taken = [row for row in reversed(stacks().values()) if not row.get("auto")]
    narrowed = wishes.python or wishes.deepspeed or wishes.cuda or wishes.apex in apexes()
    for row in () if narrowed and not wishes.torch else taken:
        if _wanted(wishes, str(row["torch"]), str(row["build"]), accelerator):
            found = compose(wishes, str(row["torch"]), str(row["build"]), headless, row)
            if found.stack == row["stack"]:
                yield found
    newest = max(numbers(row["torch"]) for row in taken)
    every = sorted(torches(), key=lambda torch: (numbers(torch) <= newest, numbers(torch)), reverse=True)
    composed = [
        _row(wishes, torch, build, headless)
        for torch in ([wishes.torch] if wishes.torch else every)
        for build in _builds(wishes, torch)
        if _wanted(wishes, torch, build, accelerator)
    ]
    yield from sorted(composed, key=lambda found: _strays(wishes, found))
