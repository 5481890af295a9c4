# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which flash-attn goes with an environment: the finished wheel, or what a build needs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import digits_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

_SUM_LINE = re.compile(r"^([0-9a-fA-F]{64})\s+\*?(\S+)$", re.MULTILINE)


def _has(row: Mapping[str, Any], torch: str, cuda: str, python: str) -> bool:
    of_cuda = row["cuda"].get(cuda.split(".", maxsplit=1)[0])
    least = row.get("python_torch", {}).get(minor(python), "0")
    return (
        of_cuda is not None
        and minor(torch) in of_cuda["torch"]
        and minor(python) in row["python"]
        and numbers(torch) >= numbers(least)
    )


def wheel(environment: Mapping[str, Any], release: str = "") -> dict[str, str]:
    """The finished wheel for an environment; empty where the project has none, or where it is not known.

    :param environment: what environment_info returned, torch gathered.
    :param release: the wished release; empty takes the newest that has one.
    :return: release, filename, the installed_name that it is to get, and the glibc, torch and python that it needs.
    """
    torch = environment["torch"]
    if not torch or not torch.get("cuda") or environment["machine"] != "x86_64":
        return {}
    version, python = torch["version"], environment["python"]
    fitting = [
        row
        for row in rows("flash_attn")["wheels"]
        if _has(row, version, torch["cuda"], python) and release in ("", row["release"])
    ]
    if not fitting:
        return {}
    row = fitting[-1]
    tag = row["cuda"][torch["cuda"].split(".", maxsplit=1)[0]]["tag"]
    abi = "TRUE" if torch["cxx11_abi"] else "FALSE"
    interpreter = f"cp{minor(python).replace('.', '')}"
    built_for = f"{tag}torch{minor(version)}cxx11abi{abi}"
    name = f"flash_attn-{row['release']}+{built_for}-{interpreter}-{interpreter}-linux_x86_64.whl"
    return {
        "release": row["release"],
        "filename": name,
        "installed_name": installed_name(name),
        "glibc": row["glibc"],
        "torch": version,
        "python": minor(python),
    }


def installed_name(filename: str) -> str:
    """The name under which a finished wheel can be installed.

    The project adds what the wheel is for to the version in the name and not to the one inside, and installers refuse
    the difference.
    """
    return re.sub(r"^([^-]+-[^-+]+)\+[^-]+", r"\1", filename)


def sums_address(url: str, release: str) -> str:
    """Where the sums of a release are told; GitHub has a page for each."""
    return f"{url}/v{release}" if url.startswith("https://api.github.com/") else url


def manifest(offer: Mapping[str, str], digits: str, path: Path) -> dict[str, Any]:
    """A finished wheel as wheel_build describes those that it builds.

    :param offer: as L(wheel) returned it. digits: its sha256 sum. path: where it lies on the control node.
    """
    return {
        "name": "flash-attn",
        "version": offer["release"],
        "filename": offer["installed_name"],
        "sha256": digits,
        "key": digits[:16],
        "path": str(path),
        "built_on": "the project's own machines",
        "needs": {
            "python": offer["python"],
            "machine": "x86_64",
            "glibc": offer["glibc"],
            "torch": offer["torch"],
            "instructions": [],
        },
    }


def sum_of_wheel(filename: str, checksums: Mapping[str, Any], told: str) -> str:
    """The sha256 sum of a file; empty where nobody says it.

    :param checksums: sums by the names of files.
    :param told: what was found at an address: lines such as sha256sum writes them, or the JSON of a release of GitHub.
    """
    given = checksums.get(filename)
    if given:
        return digits_of(str(given))
    for digits, name in _SUM_LINE.findall(told):
        if name.rsplit("/", 1)[-1] == filename:
            return str(digits).lower()
    try:
        assets = json.loads(told)["assets"]
        digests = {asset["name"]: asset.get("digest") or "" for asset in assets}
    except (ValueError, KeyError, TypeError):
        return ""
    return digits_of(digests.get(filename, ""))


def build(torch: str, capabilities: Sequence[str], release: str = "") -> dict[str, Any]:
    """What a build is made of; empty where no release is known for torch.

    :param torch: the version with its build.
    :param capabilities: of all GPUs that it is for.
    :param release: the wished release; empty takes the one that is known to go with torch.
    :return: release, architectures as its setup.py calls them, memory in GiB of one compiler.
    """
    fitting = [
        row
        for row in rows("flash_attn")["builds"]
        if numbers(row["torch_from"]) <= numbers(torch) < numbers(row.get("torch_below", "999"))
    ]
    if not fitting:
        return {}
    by_generation = {row["capability"]: row["names"] for row in rows("flash_attn")["architectures"]}
    least = numbers(rows("flash_attn")["gpus"]["capability_from"])
    generations = {text.split(".", maxsplit=1)[0] for text in capabilities if numbers(text) >= least}
    names = sorted({by_generation[one] for one in generations if one in by_generation}, key=int)
    return {
        "release": release or fitting[0]["release"],
        "architectures": names,
        "memory": float(fitting[0]["memory"]),
    }


def gpu_problems(host: str, gpus: Sequence[Mapping[str, Any]], because: str, instead: str) -> list[str]:
    """A sentence where a GPU of a node is too old.

    :param gpus: of the fact fromzero_gpus, those that compute.
    :param because: what brings flash-attn, to begin a sentence.
    :param instead: what to do, as an order.
    """
    least = rows("flash_attn")["gpus"]["capability_from"]
    old = {
        f"{gpu['name']}, compute capability {gpu['compute_capability']}"
        for gpu in gpus
        if gpu.get("compute_capability") and numbers(str(gpu["compute_capability"])) < numbers(least)
    }
    if not old:
        return []
    return [
        f"{because} flash-attn, which has kernels from compute capability {least} (Ampere) on, and {host} has "
        f"{'; '.join(sorted(old))}. {instead}"
    ]


def torch_problems(environment: Mapping[str, Any], because: str, instead: str) -> list[str]:
    """A sentence where the torch of an environment is not one that flash-attn works with.

    :param environment: what environment_info returned; its packages are enough.
    """
    version = environment["packages"].get("torch", "")
    if not version or re.search(r"\+cu\d+$", version):
        return []
    kind = "for CPUs" if version.endswith("+cpu") else "not known to be for CUDA"
    return [
        f"{because} flash-attn, which computes on NVIDIA's GPUs alone, and torch {version} in {environment['prefix']} "
        f"is {kind}. {instead}"
    ]
