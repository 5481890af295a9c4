# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Python environment says about itself; this source is run by that environment's own interpreter.

Standard library only, Python 3.8 or newer. The names of the sections arrive as arguments. Each section is one line of
JSON on standard output, written as soon as it is known: a library that ends the interpreter in one section does not
take the earlier ones with it. Everything that libraries print goes to standard error.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import json
import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

_DIST_INFO = re.compile(r"^(?P<name>.+)-(?P<version>[^-]+)\.dist-info$")
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


def distributions(folders: list[str]) -> dict[str, list[str]]:
    """Installed distributions as name -> [version in the metadata, version that the package gives itself].

    Versions are read from the names of the dist-info folders: parsing each METADATA file costs a hundred times more.
    """
    found: dict[str, list[str]] = {}
    for site in map(Path, dict.fromkeys(folders)):
        for entry in sorted(site.iterdir()) if site.is_dir() else []:
            match = _DIST_INFO.match(entry.name)
            if match and (entry / "METADATA").is_file():
                name, version = match.group("name"), match.group("version")
                found.setdefault(_canonical(name), [version, _own_version(site, name, version)])
            elif entry.suffix == ".egg-info":
                distribution = importlib.metadata.PathDistribution(entry)
                name = distribution.metadata["Name"]
                if name:
                    found.setdefault(_canonical(name), [distribution.version, distribution.version])
    return dict(sorted(found.items()))


def packages() -> dict[str, Any]:
    """The interpreter and what is installed for it."""
    return {
        "python": "{}.{}.{}".format(*sys.version_info[:3]),
        "machine": os.uname().machine,
        "headers": Path(sysconfig.get_path("include"), "Python.h").is_file(),
        "packages": distributions(sys.path),
    }


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


def deepspeed() -> dict[str, Any]:
    """Version, what was recorded when DeepSpeed was built, the switch of each op, and the text of ds_report."""
    module: Any = importlib.import_module("deepspeed")
    built: Any = importlib.import_module("deepspeed.git_version_info")
    report: Any = importlib.import_module("deepspeed.env_report")
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        report.main()
    return {
        "version": str(built.version),
        "path": str(Path(module.__file__).parent),
        "accelerator": report.get_accelerator()._name,
        "built_for": getattr(built, "accelerator_name", ""),
        "built_with": dict(getattr(built, "torch_info", {})),
        "installed_ops": dict(built.installed_ops),
        "switches": {name: getattr(builder, "BUILD_VAR", "") for name, builder in report.ALL_OPS.items()},
        "report": text.getvalue(),
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


SECTIONS = {"packages": packages, "torch": torch, "deepspeed": deepspeed, "apex": apex}


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
