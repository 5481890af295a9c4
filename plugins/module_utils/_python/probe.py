# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Python environment says about itself; this source is run by that environment's own interpreter.

Standard library only, Python 3.8 or newer. The names of the sections arrive as arguments. Each section is one line of
JSON on standard output, written as soon as it is known: a library that ends the interpreter in one section does not
take the earlier ones with it. Everything that libraries print goes to standard error.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import functools
import hashlib
import importlib
import importlib.metadata
import io
import json
import os
import re
import select
import signal
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SECONDS_PER_OP = 60
# A text of this length is written at once into a pipe that nobody reads yet.
_PIPE_BYTES = 4000
# Written while an installer works, L(_install_mark): what it leaves behind was cut off.
INSTALLING = ".fromzero/installing"
_DIST_INFO = re.compile(r"^(?P<name>.+)-(?P<version>[^-]+)\.dist-info$")
# What an installer was cut off in is kept under this name until it is installed again.
UNFINISHED = ".unfinished"
_UNFINISHED = re.compile(r"^(?P<name>.+)-(?P<version>[^-]+)\.unfinished$")
# Clocks of file systems are coarse, and some count whole seconds.
_CLOCK_SECONDS = 2
_OWN_VERSION = re.compile(r"""^__version__\s*(?::[^=]+)?=\s*['"]([^'"]+)['"]""", re.MULTILINE)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _own_version(site: Path, name: str, version: str) -> str:
    """The version with its build, from <package>/version.py, where the metadata name the public version only.

    Wheels of torch, torchvision and torchaudio on PyPI are such: metadata 2.13.0, torch.__version__ 2.13.0+cu130.
    """
    if "+" in version:
        return version
    try:
        text = (site / _canonical(name).replace("-", "_") / "version.py").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return version
    found = _OWN_VERSION.search(text)
    return found.group(1) if found and found.group(1).startswith(f"{version}+") else version


def _folders(folders: list[str]) -> list[Path]:
    return [site for site in map(Path, dict.fromkeys(folders)) if site.is_dir()]


def _of_conda(entry: Path) -> bool:
    """Whether conda installed this: some of its packages come without INSTALLER."""
    place = f"/{entry.name}/METADATA"
    records = Path(sys.prefix, "conda-meta").glob("*.json")
    return any(place in record.read_text(encoding="utf-8", errors="replace") for record in records)


def _is_whole(entry: Path) -> bool:
    """Whether the installer of a dist-info folder came to its end.

    pip and uv write INSTALLER last. A distribution's own packages, outside of the environment, do without it.
    """
    if not (entry / "METADATA").is_file():
        return False
    own = Path(sys.prefix) in entry.parents and entry.parent.name == "site-packages"
    return not own or (entry / "INSTALLER").is_file() or _of_conda(entry)


def distributions(folders: list[str]) -> dict[str, list[str]]:
    """Installed distributions as name -> [version in the metadata, version that the package gives itself].

    Versions are read from the names of the dist-info folders: parsing each METADATA file costs a hundred times more.
    What an installer was cut off in is not installed.
    """
    found: dict[str, list[str]] = {}
    for site in _folders(folders):
        for entry in sorted(site.iterdir()):
            match = _DIST_INFO.match(entry.name)
            if match and _is_whole(entry):
                name, version = match.group("name"), match.group("version")
                found.setdefault(_canonical(name), [version, _own_version(site, name, version)])
            elif entry.suffix == ".egg-info":
                distribution = importlib.metadata.PathDistribution(entry)
                name = distribution.metadata["Name"]
                if name:
                    found.setdefault(_canonical(name), [distribution.version, distribution.version])
    return dict(sorted(found.items()))


def unfinished(folders: list[str]) -> dict[str, str]:
    """The folders of distributions that an installer was cut off in -> the name of each."""
    found = {}
    for site in _folders(folders):
        for entry in site.iterdir():
            match = _DIST_INFO.match(entry.name) or _UNFINISHED.match(entry.name)
            if match and (entry.suffix == UNFINISHED or not _is_whole(entry)):
                found[str(entry)] = _canonical(match.group("name"))
    return dict(sorted(found.items()))


def _differs(file: Path, digest: str, size: str, since: float) -> bool:
    """Whether a file is not as RECORD has it; the content is read only where it is younger than a time."""
    try:
        status = file.stat()
    except OSError:
        return True
    if status.st_size != int(size):
        return True
    algorithm, _equals, wanted = digest.partition("=")
    if status.st_ctime < since - _CLOCK_SECONDS or algorithm not in hashlib.algorithms_available:
        return False
    with file.open("rb") as content:
        total = hashlib.new(algorithm)
        while block := content.read(1 << 20):
            total.update(block)
    return base64.urlsafe_b64encode(total.digest()).decode().rstrip("=") != wanted


def damaged(folders: list[str], since: float) -> dict[str, str]:
    """The dist-info folders with a RECORD that does not hold -> the name of each.

    :param since: seconds of the epoch; only what changed later is read, of all other files the size counts.
    """
    found = {}
    for site in _folders(folders):
        for record in sorted(site.glob("*.dist-info/RECORD")):
            match = _DIST_INFO.match(record.parent.name)
            with record.open(encoding="utf-8", errors="replace", newline="") as lines:
                rows = [row for row in csv.reader(lines) if len(row) == 3 and row[1] and row[2].isdigit()]
            if match and any(_differs(site / path, digest, size, since) for path, digest, size in rows):
                found[str(record.parent)] = _canonical(match.group("name"))
    return found


def packages() -> dict[str, Any]:
    """The interpreter and what is installed for it."""
    return {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "machine": os.uname().machine,
        "headers": Path(sysconfig.get_path("include"), "Python.h").is_file(),
        "packages": distributions(sys.path),
        "unfinished": unfinished(sys.path),
    }


def integrity() -> dict[str, Any]:
    """What of the environment's own packages is not as it was installed; asked where an installer was cut off."""
    own = [folder for folder in sys.path if Path(sys.prefix) in Path(folder).parents]
    mark = Path(sys.prefix, INSTALLING)
    return {"damaged": damaged(own, mark.stat().st_mtime) if mark.exists() else {}}


def torch() -> dict[str, Any]:
    """Version, build and capabilities of torch, from importing it."""
    module: Any = importlib.import_module("torch")
    # torch.cuda.get_arch_list() is empty on a machine without a GPU; the compiled-in flags are not.
    flags = getattr(module._C, "_cuda_getArchFlags", lambda: None)()
    nccl: Any = None
    if hasattr(module._C, "_nccl_version"):
        nccl = importlib.import_module("torch.cuda.nccl").version()
    return {
        "version": str(module.__version__),
        "cuda": module.version.cuda,
        "hip": getattr(module.version, "hip", None),
        "nccl": ".".join(str(part) for part in nccl) if isinstance(nccl, tuple) else nccl,
        "arch_list": flags.split() if flags else [],
        "cxx11_abi": bool(module._C._GLIBCXX_USE_CXX11_ABI),
    }


def torchvision() -> dict[str, Any]:
    """Version of torchvision; importing it fails where it was built for another torch."""
    return {"version": getattr(importlib.import_module("torchvision"), "__version__", "")}


def torchaudio() -> dict[str, Any]:
    """Version of torchaudio; importing it loads what is compiled of it."""
    return {"version": getattr(importlib.import_module("torchaudio"), "__version__", "")}


def _not_built_in(builder: Any, *_arguments: Any, **_options: Any) -> Any:
    """Takes the place of jit_load, so that nothing is compiled."""
    raise RuntimeError(f"{builder.name} is not built in, so DeepSpeed would compile it at a run")


def _load(builder: Any) -> str:
    """Load an installed op as DeepSpeed does; why it cannot be loaded, empty where it can."""
    kinds: Any = type(builder).__mro__
    for kind in kinds:
        if "jit_load" in vars(kind):
            kind.jit_load = _not_built_in
    try:
        builder.load()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def apart(work: Callable[[], str], seconds: float = _SECONDS_PER_OP) -> str | None:
    """Why work fails, or null where it does not. It runs in a process of its own, which it may crash.

    :param work: returns the reason, empty where there is none.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, work().encode()[:_PIPE_BYTES])
            os._exit(0)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        if not select.select([answer], [], [], seconds)[0]:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"it took longer than {seconds:g} s"
        reason = answer.read().decode(errors="replace")
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return f"it ended the interpreter with signal {os.WTERMSIG(status)}"
    if os.WEXITSTATUS(status):
        return f"it ended the interpreter (exit status {os.WEXITSTATUS(status)})"
    return reason or None


def deepspeed() -> dict[str, Any]:
    """Version, what was recorded when DeepSpeed was built, the switch of each op, the text of ds_report, what loads."""
    module: Any = importlib.import_module("deepspeed")
    built: Any = importlib.import_module("deepspeed.git_version_info")
    report: Any = importlib.import_module("deepspeed.env_report")
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        report.main()
    # DeepSpeed before 0.8 knows GPUs only, and does not say what it was built for.
    accelerator = report.get_accelerator()._name if hasattr(report, "get_accelerator") else "cuda"
    built_for = getattr(built, "accelerator_name", "")
    counts = built_for in ("", accelerator)
    builders = {name: builder for name, builder in report.ALL_OPS.items() if built.installed_ops.get(name) and counts}
    return {
        "version": str(built.version),
        "path": str(Path(module.__file__).parent),
        "accelerator": accelerator,
        "built_for": built_for,
        "built_with": dict(getattr(built, "torch_info", {})),
        "installed_ops": dict(built.installed_ops),
        "switches": {name: getattr(builder, "BUILD_VAR", "") for name, builder in report.ALL_OPS.items()},
        "report": text.getvalue(),
        "loads": {name: apart(functools.partial(_load, builder)) for name, builder in builders.items()},
    }


def apex() -> dict[str, Any]:
    """Version of apex, and for each of its compiled extensions why it cannot be imported, or null where it can."""
    with contextlib.suppress(ImportError):  # libc10.so, which the extensions link, is found once torch is loaded
        importlib.import_module("torch")
    distribution = importlib.metadata.distribution("apex")
    modules = {
        file.name.split(".", 1)[0] for file in distribution.files or [] if len(file.parts) == 1 and file.suffix == ".so"
    }
    failures: dict[str, Any] = {}
    for name in sorted(modules):
        try:
            importlib.import_module(name)
            failures[name] = None
        except Exception as error:
            failures[name] = f"{type(error).__name__}: {error}"
    importlib.import_module("apex")
    return {"version": distribution.version, "extensions": failures}


SECTIONS = {
    "packages": packages,
    "integrity": integrity,
    "torch": torch,
    "torchvision": torchvision,
    "torchaudio": torchaudio,
    "deepspeed": deepspeed,
    "apex": apex,
}


def main(names: list[str]) -> None:
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for name in names:
            answer: dict[str, Any] = {"section": name}
            try:
                answer["facts"] = SECTIONS[name]()
            except Exception as error:
                answer["error"] = f"{type(error).__name__}: {error}"
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
    # Some libraries crash while the interpreter unloads them, after all was said.
    sys.stderr.flush()
    os._exit(0)
