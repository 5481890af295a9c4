# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is known of the CUDA toolkits that a user wishes for, and whether the GPUs and the driver of a node allow them.

Pure functions over plain values; the tables come from C(data/cuda.yml).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor, numbers
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.versions import (
    compiled,
    least_driver,
    runs_code,
)

Table = Mapping[str, Any]
Row = Mapping[str, Any]


class CudaError(ValueError):
    """A toolkit is wished for that cannot be; the message is a sentence for the user."""


def toolkits(
    versions: Iterable[Any], table: Table, machine: str = "x86_64", used: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """What is known of each toolkit: its names, what it compiles for, what it needs.

    :param versions: such as 13.0, or 13.0.3 where it must be that release.
    :param table: the content of C(data/cuda.yml).
    :param machine: the processor's architecture, as the kernel calls it.
    :param used: versions that shells or environments are to lead to.
    :raises CudaError: a version is unknown, no text, wished for twice, or used and not wished for.
    """
    rows = [_row(version, table, machine) for version in versions]
    folders = [row["minor"] for row in rows]
    twice = sorted({folder for folder in folders if folders.count(folder) > 1})
    if twice:
        raise CudaError(f"cuda_toolkit_versions has {', '.join(twice)} more than once; one release of it can be there.")
    absent = [version for version in used if version not in [row["version"] for row in rows]]
    if absent:
        raise CudaError(
            f"CUDA {absent[0]} is to be used (cuda_toolkit_default, cuda_toolkit_environments), but there is only "
            f"{', '.join(row['version'] for row in rows) or 'nothing'} in cuda_toolkit_versions; add it, in the same "
            f"words."
        )
    return rows


def _row(version: Any, table: Table, machine: str) -> dict[str, Any]:
    if not isinstance(version, str):
        raise CudaError(f"cuda_toolkit_versions has {version!r}, which is no text; put it in quotes, as in '12.10'.")
    release = minor(version)
    known = {row["cuda"]: row for row in table["minors"]}
    releases = [row for row in table["releases"] if row["cuda"].startswith(f"{release}.")]
    exact = [row for row in releases if row["cuda"] == version]
    if release not in known or (version != release and not exact):
        names = [*known, *(row["cuda"] for row in table["releases"])]
        near = difflib.get_close_matches(version, names, n=3, cutoff=0.5) or sorted(known, key=numbers)[-3:]
        raise CudaError(f"CUDA {version} is not known; near it are {', '.join(near)} (cuda_toolkit_versions).")
    newest = (exact or sorted(releases, key=lambda row: numbers(row["cuda"])) or [{}])[-1]
    return {
        "version": version,
        "minor": release,
        "release": newest.get("cuda", ""),
        "package": f"cuda-toolkit-{release.replace('.', '-')}",
        "runfile": _runfile(newest.get("runfile", ""), machine),
        "gcc": known[release].get("gcc") or "",
        "capabilities": list(known[release]["capabilities"]),
        "driver": least_driver(release),
        "driver_made_with": newest.get("driver", ""),
    }


def _runfile(name: str, machine: str) -> str:
    # NVIDIA's word for servers with ARM processors.
    return name.replace("_linux.run", "_linux_sbsa.run") if machine == "aarch64" else name


def problems(rows: Sequence[Row], gpus: Mapping[str, Any], default: str, table: Table) -> list[str]:
    """Why toolkits cannot serve a node, a sentence each.

    :param rows: as C(toolkits) returns them.
    :param table: the content of C(data/cuda.yml).
    :param gpus: the fact C(fromzero_gpus); empty where nobody has looked.
    :param default: the version that programs get by default; it must know all GPUs of the node.
    """
    found = []
    driver = _driver(gpus.get("driver") or {})
    for row in rows:
        if driver and row["driver"] and numbers(driver) < numbers(row["driver"]):
            found.append(
                f"CUDA {row['version']} needs driver {row['driver']} or newer, and the driver here is {driver}, which "
                f"allows {_greatest(driver, table)}. Upgrade the driver (role nvidia_driver), or wish for an older "
                f"toolkit (cuda_toolkit_versions)."
            )
    first = next((row for row in rows if row["version"] == default), None)
    return found + (_strangers(first, gpus) if first else [])


def remarks(rows: Sequence[Row], gpus: Mapping[str, Any]) -> list[str]:
    """What a node should know of toolkits that serve it, a sentence each."""
    driver = _driver(gpus.get("driver") or {})
    return [
        f"CUDA {row['release']} was made with driver {row['driver_made_with']}, and the driver here is {driver}: "
        f"machine code for its GPUs runs, PTX of this toolkit and features of the newer driver do not."
        for row in rows
        if driver
        and row["driver_made_with"]
        and numbers(row["driver"]) <= numbers(driver) < numbers(row["driver_made_with"])
    ]


def _driver(driver: Mapping[str, Any]) -> str:
    """The driver that the node has once it has been booted: the newer of the module and the library."""
    return max(
        (version for version in (driver.get("loaded"), driver.get("library")) if version), key=numbers, default=""
    )


def _greatest(driver: str, table: Table) -> str:
    floors = ((row["cuda"], least_driver(row["cuda"])) for row in table["minors"])
    allowed = [cuda for cuda, least in floors if least and numbers(least) <= numbers(driver)]
    return f"CUDA {max(allowed, key=numbers)} at most" if allowed else "none that is known"


def _strangers(row: Row, gpus: Mapping[str, Any]) -> list[str]:
    capabilities = sorted(row["capabilities"], key=numbers)
    found = []
    for gpu in gpus.get("gpus") or []:
        capability = gpu.get("compute_capability")
        runs = capability and any(runs_code(capability, own) for own in capabilities)
        if not capability or gpu.get("vendor", "nvidia") != "nvidia" or runs:
            continue
        name = gpu.get("name") or f"GPU {gpu.get('index')}"
        older = numbers(capability) < numbers(capabilities[0])
        found.append(
            f"CUDA {row['version']} does not compile for {name} (compute capability {capability}): it knows "
            f"{capabilities[0]} to {capabilities[-1]}. Wish for {'an older' if older else 'a newer'} toolkit "
            f"(cuda_toolkit_versions)."
        )
    return list(dict.fromkeys(found))


def architectures(rows: Sequence[Row], wished: Iterable[str], gpus: Mapping[str, Any]) -> dict[str, list[str]]:
    """The compute capabilities that each toolkit is proved for, by its version.

    For one that a toolkit does not know it is the greatest whose code runs there too, as that of 8.6 does on 8.9.

    :param wished: compute capabilities; where there are none, those of the node's GPUs.
    """
    given = [name for name in wished if re.fullmatch(r"\d+\.\d+", str(name))]
    own = [gpu.get("compute_capability") for gpu in gpus.get("gpus") or []]
    count = sorted({str(name) for name in given or own if name}, key=numbers)
    return {row["version"]: compiled(count, row["minor"]) for row in rows}
