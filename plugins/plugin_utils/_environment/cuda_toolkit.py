# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What requested CUDA toolkits take on a node: where each comes from, the compiler it accepts, who is pointed at it.

Pure functions over plain values. Options are those of the module cuda_toolkit_decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda import (
    CudaError,
    architectures,
    problems,
    remarks,
    toolkits,
)
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment.cuda_repository import repository
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

Values = Mapping[str, Any]
Rows = Sequence[Mapping[str, Any]]

_FACTS = ("architecture", "distribution", "distribution_version", "os_family")
# A compiler of any version is accepted.
_ANY = 999


@dataclass(frozen=True)
class Sources:
    """Where toolkits come from, before anybody has looked at the node.

    :ivar rows: what is known of each toolkit. way: packages or runfile. repository: see cuda_repository.repository.
    """

    rows: Rows
    way: str
    repository: Mapping[str, str]


def sources(facts: Values, options: Values) -> Sources:
    """Where the requested toolkits come from.

    :param facts: ansible_facts, as far as gather_subset min gathers them.
    :raises CudaError: facts are missing, or there are no such toolkits.
    """
    missing = [name for name in _FACTS if name not in facts]
    if missing:
        raise CudaError(
            f"The facts {', '.join(missing)} are needed to decide on CUDA toolkits; let the play gather them "
            "(gather_facts, gather_subset min)."
        )
    used = [options["default"], *options["environments"].values()]
    known = toolkits(options["versions"], rows("cuda"), str(facts["architecture"]), used)
    place, way = repository(facts, options), str(options["source"])
    if way == "auto":
        way = "packages" if options["root"] and place["url"] else "runfile"
    return Sources(known, way, place)


def runfile(row: Values, options: Values) -> dict[str, Any]:
    """Where a runfile is: path, a URL or a path on the node; source, a path here that is copied to it."""
    given = options["runfiles"].get(row["version"]) or {}
    published = f"{options['runfile_mirror']}/{row['release']}/local_installers/{row['runfile']}"
    source = str(given.get("source") or published)
    copied = "://" not in source and not given.get("on_node")
    return {
        "version": row["version"],
        "prefix": f"{options['prefix']}/cuda-{row['minor']}",
        "source": source if copied else "",
        "path": f"{options['prefix']}/.cuda-{row['minor']}.run" if copied else source,
        "checksum": str(given.get("checksum") or ""),
        "given": bool(given.get("source")),
    }


def all_sources(facts: Values, options: Values) -> dict[str, Any]:
    """Where each toolkit would come from if it were missing: the way, the repository, and the runfiles.

    :raises CudaError: see sources().
    """
    wanted = sources(facts, options)
    runfiles = [runfile(row, options) for row in wanted.rows]
    return {"way": wanted.way, "repository": dict(wanted.repository), "runfiles": runfiles}


def gccs(known: Rows, options: Values) -> dict[str, str]:
    """The greatest major version of gcc that each toolkit accepts, empty where any will do."""
    return {row["version"]: str(options["gcc"].get(row["version"], row["gcc"])) for row in known}


def compiler_packages(facts: Values, greatest: int) -> list[str]:
    """The packages of a gcc that is not newer; none where the distribution has none that is known.

    Its default where that is old enough, which all programs then share, else the newest of its others.
    """
    distribution, family = facts["distribution"], facts["os_family"]
    table = rows("gcc")["systems"]
    fitting = [row for name in (distribution, family) for row in table if name in row["distributions"]]
    release = str(facts["distribution_version"]).partition(".")[0]
    system = fitting[0]["releases"].get(release) if fitting else None
    if not system:
        return []
    if system["default"] <= greatest:
        return list(fitting[0]["packages"])
    versions = [version for version in system["versions"] if version <= greatest]
    return [name.format(version=max(versions)) for name in fitting[0]["numbered"]] if versions else []


def _compiler(found: Values, facts: Values, host: str, known: Rows, options: Values) -> list[str]:
    """The packages with the compiler that toolkits lack.

    :raises CudaError: they lack one, and none can be installed.
    """
    lacking = [toolkit["version"] for toolkit in found["toolkits"] if not toolkit["compiler"]]
    if options["compiler"] != "auto" or not lacking:
        return []
    # One that the pickiest toolkit accepts.
    greatest = min(int(gccs(known, options)[version] or _ANY) for version in lacking)
    names = list(options["compiler_packages"] or compiler_packages(facts, greatest))
    if options["root"] and names:
        return names
    there = ", ".join(f"gcc {compiler['version']}" for compiler in found["compilers"]) or "none"
    way = "Its distribution offers none that is known here: name the packages of one (cuda_toolkit_compiler_packages)"
    if not options["root"]:
        version = "" if greatest == _ANY else f"={greatest}"
        way = (
            "Without root none can be installed: ask for one there, install one in the training environment "
            f"(conda_packages: [gxx_linux-64{version}])"
        )
    accepted = "any gcc" if greatest == _ANY else f"gcc up to {greatest}"
    raise CudaError(
        f"CUDA {', '.join(lacking)} accepts {accepted}, and {host} has {there}. {way}, or request another toolkit "
        "(cuda_toolkit_versions)."
    )


def _refuse(missing: Rows, host: str, way: str, installed: bool) -> None:
    """Refuses what an installation has left that is not whole.

    :raises CudaError: there is such.
    """
    if installed and missing:
        where = ", ".join(
            f"CUDA {toolkit['version']} in {toolkit['home']}: {toolkit['reason'] or 'nothing is there'}"
            for toolkit in missing
        )
        raise CudaError(f"{host} has a CUDA toolkit that is not whole, although it was installed: {where}.")
    # Packages would be unpacked into what an installer has left, and nobody could tell one from the other.
    halves = [toolkit["home"] for toolkit in missing if toolkit["state"] in ("busy", "cut off")]
    if way == "packages" and halves:
        raise CudaError(
            f"An installation from a runfile was cut off at {listed(halves)} on {host}; let it come to its end "
            "(cuda_toolkit_source: runfile), or remove that folder and the file '.installing' beside it."
        )


def _names(missing: Rows, known: Rows) -> Iterable[str]:
    """The packages of toolkits; never cuda or cuda-X-Y, which install a driver of their own choice."""
    for row in known:
        if row["version"] in [toolkit["version"] for toolkit in missing]:
            exact = row["version"] != row["minor"]
            yield f"{row['package']}={row['version']}*" if exact else row["package"]


def _link(found: Values, default: Values, options: Values) -> str:
    """How the system's own name for CUDA is pointed at the default toolkit: alternatives, link, or not at all."""
    link = found["link"]
    if not options["link"] or not options["root"] or default["state"] != "present" or link["target"] == default["path"]:
        return ""
    if link["kind"] == "alternatives":
        return "alternatives" if default["path"] in link["choices"] else ""
    return "link" if link["kind"] in ("missing", "link") else ""


def decided(found: Values, facts: Values, host: str, wanted: Sources, options: Values) -> dict[str, Any]:
    """What the action cuda_toolkit_decision returns.

    :param found: what the module cuda_toolkit_info returned. facts: ansible_facts, with fromzero_gpus.
    :raises CudaError: it is refused; the text has one sentence for each reason.
    """
    gpus, known = facts["fromzero_gpus"], wanted.rows
    own = options["compiler"] == "auto"
    there = {
        toolkit["version"]: {**toolkit, "variables": toolkit["variables"] if own else {}}
        for toolkit in found["toolkits"]
    }
    default = there[options["default"]]
    compiled = architectures(known, options["architectures"], gpus)
    proved = {
        "home": default["home"],
        "variables": default["variables"],
        "architectures": compiled,
        "toolkits": found["toolkits"],
    }
    due = bool(found["record"] != proved)
    missing = [toolkit for toolkit in found["toolkits"] if toolkit["state"] != "present"]
    if due:
        wrong = problems(known, gpus, options["default"], rows("cuda"))
        if wrong:
            raise CudaError(f"{host}: {' '.join(wrong)}")
        _refuse(missing, host, wanted.way, options["installed"])
    lost = [toolkit["version"] for toolkit in missing]
    by_packages = due and wanted.way == "packages"
    by_runfile = due and wanted.way == "runfile"
    return {
        "due": due,
        "remarks": remarks(known, gpus) if due else [],
        "toolkits": found["toolkits"],
        "repository": dict(wanted.repository),
        "packages": list(options["packages"] or _names(missing, known)) if missing and by_packages else [],
        "runfiles": [runfile(row, options) for row in known if row["version"] in lost] if by_runfile else [],
        "compiler_packages": _compiler(found, facts, host, known, options) if due else [],
        "links": [
            {"src": toolkit["path"], "dest": toolkit["home"]}
            for toolkit in found["toolkits"]
            if toolkit["state"] == "present" and not toolkit["at_home"]
        ],
        "default": {name: default[name] for name in ("home", "path", "variables")},
        "link": _link(found, default, options),
        "programs": [
            {
                "home": toolkit["home"],
                "architectures": compiled[version],
                "cxx": toolkit["variables"].get("CXX", ""),
            }
            for version, toolkit in there.items()
        ],
        "hooks": [
            {"environment": folder, "home": there[version]["home"], "variables": there[version]["variables"]}
            for folder, version in options["environments"].items()
            if folder in found["environments"]
        ],
        "record": proved,
        "record_path": options["record"],
    }
