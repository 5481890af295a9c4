# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A wheel that is built once for each set of inputs: its key, what there is of it, and a build apart from this process.

A build has a folder of its own, C(<environment>/.fromzero/builds/<name>/<key>). What is in it tells how it stands:
C(wheel.json) is written last and only of a whole wheel; a lock that is held says that the build is at work;
C(failure.json) that it came to an end without a wheel. Without any of these, a build that had begun was cut off.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build import worker as wheel_worker
from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.source import INDEX, Source
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.memory import GIB, compilers
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Runner
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import (
    RECORDS,
    ask,
    python_of,
    search_path,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.indexes import Sources
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import (
    RequirementError,
    version_key,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor

ABSENT, RUNNING, FINISHED, FAILED, CUT_OFF = "absent", "running", "finished", "failed", "cut off"
# Bytes that a build takes at least: its sources, its objects, the wheel.
_ROOM = 2 * GIB
# The first pip that takes several settings for one build.
_LEAST_PIP = "23.1"
_NVCC = re.compile(r"\brelease [\d.]+, V(?P<version>[\d.]+)")
_STEP = re.compile(r"^\s*\[(\d+)/(\d+)\] ", re.MULTILINE)
_GFX = re.compile(r"^gfx[0-9a-f]+$")
_SECONDS_FOR_VERSION = 60


class BuildError(RuntimeError):
    """A wheel cannot be built; the text is a sentence for the user."""


@dataclass(frozen=True)
class Wish:
    """What is to be built, and how.

    :param name: of the distribution. prefix: the environment that it is built in and for.
    :param switches: variables that decide what is built. variables: others, which only say by what.
    :param options: words for the build; scope: where setup.py finds them, C(command) or C(global).
    :param architectures: compute capabilities such as 8.0, or names such as gfx90a.
    :param nvcc: whether the build calls nvcc. nvcc_versions: minor versions of nvcc that will do; none where any will.
    :param native: whether the code is for the very processor that compiles it.
    :param isolated: whether it is built in an environment of its own, as suits what compiles nothing.
    :param memory: GiB that one compiler takes. jobs: compilers at once, 0 for what cores and memory allow.
    """

    name: str
    source: Source
    prefix: str
    switches: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    scope: str = "command"
    substitutions: Sequence[Mapping[str, str]] = ()
    cuda_home: str = ""
    nvcc: bool = False
    nvcc_versions: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    architectures: Sequence[str] = ()
    native: bool = False
    isolated: bool = False
    jobs: int = 0
    memory: float = 2
    timeout: float = 7200
    sources: Sources = field(default_factory=Sources)


@dataclass(frozen=True)
class Node:
    """What of a node decides what a wheel becomes, and whether it can be built here.

    :param torch: what torch says of itself; empty where the environment has none.
    :param instructions: what the processor can execute. glibc: the version of the C library, null for another library.
    :param free: bytes of memory. room: bytes on the disk of the environment.
    """

    python: str
    machine: str
    headers: bool
    packages: Mapping[str, str]
    torch: Mapping[str, Any]
    nvcc: str
    glibc: str | None
    instructions: Sequence[str]
    cores: int
    free: int
    room: int


def describe(
    run: Runner,
    wish: Wish,
    environment: Mapping[str, str],
    *,
    glibc: str | None,
    instructions: Sequence[str],
    cores: int,
    free: int,
) -> Node:
    """Look at a node.

    :raises EnvironmentMissing: there is no environment.
    :raises BuildError: its torch does not work, or the toolkit is not where it should be.
    """
    found = ask(run, wish.prefix, ["packages"], environment).facts["packages"]
    torch: Mapping[str, Any] = {}
    if "torch" in found["packages"]:
        answers = ask(run, wish.prefix, ["torch"], environment)
        if "torch" not in answers.facts:
            raise BuildError(answers.errors["torch"])
        torch = answers.facts["torch"]
    return Node(
        python=found["python"],
        machine=found["machine"],
        headers=found["headers"],
        packages={name: versions[0] for name, versions in found["packages"].items()},
        torch=torch,
        nvcc=_nvcc(run, wish.cuda_home, environment),
        glibc=glibc,
        instructions=list(instructions),
        cores=cores,
        free=free,
        room=shutil.disk_usage(wish.prefix).free,
    )


def _nvcc(run: Runner, home: str, environment: Mapping[str, str]) -> str:
    if not home:
        return ""
    program = f"{home}/bin/nvcc"
    try:
        finished = run([program, "--version"], "", environment, _SECONDS_FOR_VERSION)
    except OSError as error:
        raise BuildError(
            f"There is no CUDA toolkit at {home} ({program}: {error.strerror}); install it by the role "
            "cuda_toolkit, or name the right folder."
        ) from error
    found = _NVCC.search(finished.stdout)
    if finished.rc != 0 or not found:
        words = finished.last_words or "no answer"
        raise BuildError(f"{program} does not say its version ({words}); install it anew.")
    return found["version"]


def inputs(wish: Wish, node: Node, identity: str) -> dict[str, Any]:
    """All that decides what a wheel becomes: where one part differs, it is another wheel.

    :param identity: what names the source, wherever it came from.
    """
    torch = {part: node.torch.get(part) for part in ("version", "cuda", "hip", "cxx11_abi")} if node.torch else {}
    return {
        "name": wish.name,
        "source": identity,
        "switches": dict(wish.switches),
        "options": [wish.scope, *wish.options] if wish.options else [],
        "substitutions": [dict(wanted) for wanted in wish.substitutions],
        "python": minor(node.python),
        "machine": node.machine,
        "torch": torch,
        "nvcc": node.nvcc,
        "architectures": sorted(wish.architectures),
        "instructions": list(node.instructions) if wish.native else [],
    }


def key(found: Mapping[str, Any]) -> str:
    """A short name for a set of inputs."""
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]


def needs(wish: Wish, node: Node) -> dict[str, Any]:
    """What a node must have to use the wheel."""
    return {
        "python": minor(node.python),
        "machine": node.machine,
        "glibc": node.glibc,
        "torch": str(node.torch.get("version") or ""),
        "instructions": list(node.instructions) if wish.native else [],
    }


def folder_of(wish: Wish, name: str) -> Path:
    """Where a build with a key has its files."""
    return Path(wish.prefix, RECORDS, "builds", wish.name, name)


def state(folder: Path) -> str:
    """How a build stands; nothing is changed."""
    # In this order, since it may come to its end between the two looks.
    at_work = _held(folder)
    if manifest(folder):
        return FINISHED
    if at_work:
        return RUNNING
    if (folder / "failure.json").is_file():
        return FAILED
    return CUT_OFF if (folder / "job.json").is_file() else ABSENT


def manifest(folder: Path) -> dict[str, Any]:
    """What a finished build says of its wheel; empty where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / "wheel.json").read_text(encoding="utf-8"))
        whole = (folder / found["filename"]).stat().st_size == found["size"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return found if whole else {}


def _held(folder: Path) -> bool:
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def progress(folder: Path) -> dict[str, Any]:
    """How far a build is: seconds since it began, and what ninja printed of compiled files, of each extension anew."""
    try:
        began = (folder / "job.json").stat().st_mtime
    except OSError:
        return {"seconds": 0, "steps": ""}
    steps = _STEP.findall(_log(folder))
    seconds = max(0, round(time.time() - began))
    if not steps:
        return {"seconds": seconds, "steps": ""}
    done = "{} of {}".format(*steps[-1])
    extensions = sum(1 for number, _all in steps if number == "1")
    several = f"{len(steps)} files in {extensions} extensions, of the last {done}"
    return {"seconds": seconds, "steps": several if extensions > 1 else f"{done} files"}


def _log(folder: Path) -> str:
    try:
        return (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def failure(folder: Path, wish: Wish, explain: Callable[[str], str]) -> str:
    """Why a build that has ended gave no wheel, as a sentence.

    :param explain: what a log says, and what to do about it.
    """
    log = folder / "log.txt"
    try:
        ended = json.loads((folder / "failure.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"The build of {wish.name} was cut off, and left no wheel; run again. Its log is {log}."
    if ended["ended"] is None:
        return (
            f"The build of {wish.name} was not done within {wish.timeout:g} s and was stopped; give it more time or "
            f"more compilers at once, or take a wheel that was built elsewhere. Its log is {log}."
        )
    if ended["ended"] == 0:
        return f"The build of {wish.name} made {ended['wheels']} wheels in place of one. Its log is {log}."
    return f"The build of {wish.name} failed: {explain(_log(folder))} Its log is {log}."


def obstacles(wish: Wish, node: Node, find: Callable[[str], str | None]) -> list[str]:
    """What stands in the way of a build on this node, a sentence each, all at once.

    :param find: the path of a program, null where there is none.
    """
    found = [] if wish.isolated else _lacking(wish, node, find)
    nvcc = minor(node.nvcc)
    if wish.nvcc_versions and nvcc not in wish.nvcc_versions:
        there = f"the toolkit {wish.cuda_home} is {nvcc}" if nvcc else "no toolkit is known here"
        found.append(
            f"{wish.name} is built by nvcc {listed(wish.nvcc_versions, 'or')} for this torch, and {there}; install "
            f"CUDA {wish.nvcc_versions[-1]} by the role cuda_toolkit, or name its folder."
        )
    elif wish.nvcc and not nvcc:
        found.append(
            f"The build of {wish.name} calls nvcc, and no toolkit is known here; install one by the role cuda_toolkit, "
            "or name its folder."
        )
    if _older(node.packages.get("pip", ""), _LEAST_PIP):
        found.append(f"{wish.prefix} needs pip {_LEAST_PIP} or newer for this build; install it there.")
    if wish.jobs == 0 and not wish.isolated and node.free < wish.memory * GIB:
        found.append(
            f"{node.free / GIB:.1f} GiB of memory are free, and one compiler of {wish.name} takes "
            f"{wish.memory:g}; free some, add swap and say how many compilers may run, or build on another node."
        )
    if node.room < _ROOM:
        found.append(
            f"{node.room / GIB:.1f} GiB are free on the disk of {wish.prefix}, and a build needs {_ROOM / GIB:g}; make "
            "room."
        )
    return found


def _lacking(wish: Wish, node: Node, find: Callable[[str], str | None]) -> list[str]:
    """What a build in the environment itself does not find there."""
    found = []
    compiler = wish.variables.get("CXX") or "c++"
    if find(compiler.split()[0]) is None:
        found.append(f"There is no C++ compiler ({compiler}); install g++ (Debian: g++, RHEL: gcc-c++).")
    if not node.headers:
        python = minor(node.python)
        found.append(
            f"Python {node.python} in {wish.prefix} has no headers (Python.h); install them (Debian, Ubuntu: "
            f"python{python}-dev; RHEL: python{python}-devel, or python3-devel for the system's own Python), or create "
            "the environment with conda, whose Python includes them."
        )
    if "setuptools" not in node.packages:
        found.append(f"setuptools is not in {wish.prefix}; install it there.")
    return found


def _older(version: str, least: str) -> bool:
    try:
        return version_key(version)[0] < version_key(least)[0]
    except RequirementError:
        return True


def command(wish: Wish, root: Path | None, out: Path) -> list[str]:
    """The command that builds. root: the project, null where it comes from an index."""
    argv = [str(python_of(wish.prefix)), "-m", "pip", "wheel", "--verbose", "--disable-pip-version-check", "--no-input"]
    argv += ["--use-pep517", "--no-deps", "--no-cache-dir", f"--wheel-dir={out}"]
    argv += [] if wish.isolated else ["--no-build-isolation"]
    setting = {"command": "--build-option", "global": "--global-option"}[wish.scope]
    argv += [f"--config-settings={setting}={word}" for word in wish.options]
    if root is not None:
        return [*argv, str(root)]
    return [
        *argv,
        f"--no-binary={wish.name}",
        *wish.sources.options("--index-url", "--extra-index-url"),
        wish.source.place,
    ]


def build_environment(wish: Wish, node: Node, inherited: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """All variables of a build."""
    path = search_path(wish.prefix, inherited)
    found = {**path, "MAX_JOBS": str(wish.jobs or compilers(node.cores, node.free, wish.memory))}
    if wish.cuda_home:
        found.update(
            CUDA_HOME=wish.cuda_home, PATH=f"{wish.prefix}/bin:{wish.cuda_home}/bin:{inherited.get('PATH', '')}"
        )
    of_amd = [name for name in wish.architectures if _GFX.match(name)]
    of_nvidia = [name for name in wish.architectures if name not in of_amd]
    if of_nvidia:
        found["TORCH_CUDA_ARCH_LIST"] = ";".join(of_nvidia)
    if of_amd:
        found["PYTORCH_ROCM_ARCH"] = ";".join(of_amd)
    # A package in the user's home must not pass for one of the environment.
    return {**found, "PYTHONNOUSERSITE": "1", "TMPDIR": str(scratch), **wish.variables, **wish.switches}


def begin(
    wish: Wish,
    node: Node,
    found: Mapping[str, Any],
    inherited: Mapping[str, str],
    lay_out: Callable[[Path], Path],
) -> Path:
    """Start a build that goes on by itself, unless one with this key is at work already; returns its folder.

    :param found: the inputs. lay_out: brings the source into a folder and returns the project's root.
    :raises BuildError: it cannot be started. SourceError: the source cannot be had.
    """
    folder = folder_of(wish, key(found))
    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return folder
    try:
        _empty(folder)
        scratch = folder / "scratch"
        scratch.mkdir()
        root = lay_out(scratch / "source") if wish.source.kind != INDEX else None
        job = {
            "argv": command(wish, root, scratch / "out"),
            "environment": build_environment(wish, node, inherited, scratch),
            "scratch": str(scratch),
            "timeout": wish.timeout,
            "lock": lock,
            "manifest": {"name": wish.name, "key": key(found), "inputs": dict(found), "needs": needs(wish, node)},
        }
        # It holds the variables of a build, among which somebody may have put a password of an index.
        with os.fdopen(os.open(folder / "job.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(job, file, indent=2)
        worker = folder / "worker.py"
        worker.write_text(inspect.getsource(wheel_worker), encoding="utf-8")
        with (folder / "log.txt").open("wb") as log:
            # run_command of Ansible's modules waits; this one outlives the module.
            subprocess.Popen(  # pylint: disable=ansible-bad-function
                [sys.executable, "-I", str(worker), str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                pass_fds=[lock],
            )
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(lock)
    return folder


def _empty(folder: Path) -> None:
    """Take away what an earlier build with this key has left, but the lock, which is held."""
    for path in folder.iterdir():
        if path.name == "lock":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def forget_others(wish: Wish, name: str) -> None:
    """Remove builds of the same distribution with other keys, unless they are at work."""
    for folder in folder_of(wish, name).parent.iterdir():
        if folder.name != name and state(folder) != RUNNING:
            shutil.rmtree(folder, ignore_errors=True)
