# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The addresses that a run of the site installs from, by the variables of its roles, and sentences about them.

The roles own the addresses: what is read here are their variables, with defaults, evaluated for one node.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import named

Values = Mapping[str, Any]
Row = dict[str, Any]

# What is read of the roles.
VARIABLES = (
    "__conda_installer", "conda_installer_checksum", "__training_libs_notes",
    "apex_depot_url", "apex_environment", "apex_source", "apex_wheel", "conda_channels", "conda_distribution",
    "conda_environment", "conda_offline", "conda_prefix", "conda_python_version", "deepspeed_depot_url",
    "deepspeed_environment", "deepspeed_extra_index_urls", "deepspeed_find_links", "deepspeed_index_url",
    "deepspeed_source", "deepspeed_version", "deepspeed_wheel", "pdsh_method", "pdsh_prefix", "pdsh_source",
    "torch_environment", "torch_extra_index_urls", "torch_find_links", "torch_index_url", "torch_version",
    "torch_wheels", "training_libs_extra_index_urls", "training_libs_find_links", "training_libs_index_url",
    "training_libs_packages", "training_libs_projects", "training_libs_sets",
)  # fmt: skip


def _row(what: str, variable: str, tool: str, urls: Sequence[Any], **more: Any) -> Row:
    return {"what": what, "variable": variable, "tool": tool, "urls": [str(url) for url in urls if url], **more}


def _is_url(text: Any) -> bool:
    return "://" in str(text or "")


def _conda(values: Values) -> Iterator[Row]:
    there = [f"{values['conda_prefix']}/bin/conda"]
    if values["conda_distribution"] != "existing":
        for name, what, variable in (
            ("__conda_installer", "the installer of conda", "conda_installer_url"),
            ("conda_installer_checksum", "the sum of conda's installer", "conda_installer_checksum"),
        ):
            if _is_url(values.get(name)):
                yield _row(what, variable, "fetch", [values[name]], unless=there)
    if not values.get("conda_offline"):
        python = f"{values['conda_environment']}/conda-meta/python-{values['conda_python_version']}*.json"
        for channel in values["conda_channels"]:
            # What Anaconda calls defaults are several channels, by conda's own configuration.
            if channel != "defaults":
                yield _row(f"conda's channel {channel}", "conda_channels", "conda", [channel], unless=[python])


def _project(values: Values, role: str, project: str, environment: str) -> Row:
    version = str(values[f"{role}_version"]).partition("+")[0]
    return _row(
        project,
        f"{role}_index_url",
        "pip",
        [values[f"{role}_index_url"], *values[f"{role}_extra_index_urls"]],
        links=[str(link) for link in values[f"{role}_find_links"]],
        project=project,
        unless=[f"{environment}/lib/python*/site-packages/{project}-{version}*.dist-info"],
    )


def _depot(values: Values, role: str, unless: list[str]) -> Iterator[Row]:
    """Where nodes get a wheel that one of them builds; the file itself is not there yet."""
    url = values.get(f"{role}_depot_url")
    if url:
        yield _row("wheels built for all nodes", "cluster_depot_url", "server", [url], unless=unless)


def _source(what: str, variable: str, source: str, unless: list[str]) -> Iterator[Row]:
    """A wheel, an archive, or a repository that git reads over HTTP; ssh has accounts that nothing here knows."""
    if source.startswith(("git+http://", "git+https://")):
        yield _row(what, variable, "git", [re.sub(r"@[^@/]*$", "", source.removeprefix("git+"))], unless=unless)
    elif source.startswith(("http://", "https://", "file://")):
        yield _row(what, variable, "fetch", [source], unless=unless)


def _torch(values: Values) -> Iterator[Row]:
    row = _project(values, "torch", "torch", values["torch_environment"])
    wheels = [str(wheel) for wheel in values["torch_wheels"]]
    for wheel in wheels:
        yield from _source("a wheel of torch", "torch_wheels", wheel, row["unless"])
    if not wheels:
        yield row


def _deepspeed(values: Values) -> Iterator[Row]:
    row = _project(values, "deepspeed", "deepspeed", values["deepspeed_environment"])
    given = str(values["deepspeed_wheel"] or values["deepspeed_source"] or "")
    if given:
        variable = "deepspeed_wheel" if values["deepspeed_wheel"] else "deepspeed_source"
        there = [f"{values['deepspeed_environment']}/lib/python*/site-packages/deepspeed-*.dist-info"]
        yield from _source("deepspeed", variable, given, there)
        if values["deepspeed_source"]:
            yield from _depot(values, "deepspeed", there)
    else:
        yield row


def _training_libs(values: Values) -> Iterator[Row]:
    if values["training_libs_sets"] or values["training_libs_packages"]:
        urls = [values["training_libs_index_url"], *values["training_libs_extra_index_urls"]]
        there = [f"{values['__training_libs_notes']}/training_libs.json"]
        links = [str(link) for link in values["training_libs_find_links"]]
        yield _row("libraries for training", "training_libs_index_url", "pip", urls, links=links, unless=there)


def _apex(values: Values, builds: bool) -> Iterator[Row]:
    there = [f"{values['apex_environment']}/lib/python*/site-packages/apex-*.dist-info"]
    variable = "apex_wheel" if values["apex_wheel"] else "apex_source"
    if builds or values["apex_wheel"]:
        yield from _source("apex", variable, str(values[variable]), there)
    if not values["apex_wheel"]:
        yield from _depot(values, "apex", there)


def _tool(family: str) -> str:
    return "dnf" if family == "RedHat" else "apt"


def _packages(role: str, what: str, repository: Mapping[str, str], tool: str, unless: list[str]) -> Iterator[Row]:
    yield _row(what, f"{role}_repository_url", tool, [repository["url"]], unless=unless)
    yield _row(f"the key of {what}", f"{role}_keyring_url", "fetch", [repository["keyring"]], unless=unless)


def _driver(decision: Values, family: str) -> Iterator[Row]:
    if decision["action"] != "install":
        return
    if decision["source"] == "cuda_repository":
        what = "NVIDIA's packages of the driver"
        yield from _packages("nvidia_driver", what, decision["repository"], _tool(family), [])
    elif decision["source"] == "runfile" and not decision["runfile_copied"]:
        what = "NVIDIA's runfile of the driver"
        yield from _source(what, "nvidia_driver_runfile", str(decision["runfile"]), [])


def _toolkit(toolkits: Values, family: str) -> Iterator[Row]:
    for runfile in toolkits["runfiles"]:
        version, there = runfile["version"], [f"{runfile['prefix']}/bin/nvcc"]
        if toolkits["way"] == "packages":
            yield from _packages(
                "cuda_toolkit", "NVIDIA's packages of CUDA", toolkits["repository"], _tool(family), there
            )
        elif not runfile["source"]:
            variable = "cuda_toolkit_runfiles" if runfile["given"] else "cuda_toolkit_runfile_mirror"
            yield from _source(f"CUDA {version}", variable, str(runfile["path"]), there)


def addresses(values: Values, node: str, facts: Values, plan: Values, decided: Values) -> list[Row]:
    """What the module address_info is to look at on one node.

    :param values: VARIABLES of the roles, as far as they can be evaluated; what hangs on others is left out.
    :param plan: the plan that the node has.
    :param decided: as far as it is decided: driver, as nvidia_driver_decision returns it; toolkits, with way,
        repository and the runfiles of all.
    """
    family = str(facts.get("os_family", ""))
    parts = [_conda(values), _torch(values), _deepspeed(values), _training_libs(values)]
    if "driver" in decided:
        parts.append(_driver(decided["driver"], family))
    if "toolkits" in decided:
        parts.append(_toolkit(decided["toolkits"], family))
    if (plan.get("apex") or {}).get("ref"):
        parts.append(_apex(values, builds=plan.get("builder") == node))
    if values.get("pdsh_method") == "source":
        parts.append(_source("pdsh", "pdsh_source", str(values["pdsh_source"]), [f"{values['pdsh_prefix']}/bin/pdsh"]))
    found: list[Row] = []
    for part in parts:
        try:
            found += part
        except KeyError:
            # A variable that could not be evaluated; its role says why.
            continue
    return found


def address_problems(reports: Mapping[str, Values], everyone: Sequence[str]) -> list[str]:
    """What nodes cannot fetch, each sentence once with all nodes that it is about.

    :param reports: what the module address_info returned, by node.
    """
    nodes: dict[tuple[str, str, str, str], list[str]] = {}
    for name, report in reports.items():
        for row in report.get("unreachable_addresses") or ():
            nodes.setdefault((row["what"], row["url"], row["reason"], row["variable"]), []).append(name)
    return [
        f"{named(names, everyone)}: {what} cannot be fetched from {url} ({reason}); let it through, or name another "
        f"address in {variable}."
        for (what, url, reason, variable), names in nodes.items()
    ]


def unknown_addresses(reports: Mapping[str, Values], everyone: Sequence[str]) -> list[str]:
    """What could not be looked at, each sentence once with all nodes that it is about."""
    nodes: dict[str, list[str]] = {}
    for name, report in reports.items():
        for sentence in report.get("unknown") or ():
            nodes.setdefault(str(sentence), []).append(name)
    return [f"{named(names, everyone)}: {sentence}" for sentence, names in nodes.items()]
