# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which ops of DeepSpeed are requested, and whether an environment has them. Pure functions over plain values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.values import truth
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.versions import minor

ALL = "DS_BUILD_OPS"
# Every run on CPUs uses it, and falls back silently or fails where it does not load.
_USED_BY_EVERY_RUN = ("deepspeed_shm_comm",)
_SWITCH = re.compile(r"^DS_BUILD_[A-Z0-9_]+$")
_NEEDED = re.compile(r"(\w+) is not built in")
_LIBRARY = re.compile(r"(\S+\.so[.\w]*): cannot open shared object file")


class SwitchError(ValueError):
    """A switch cannot be used; the text is a sentence for the user."""


def switches(wish: Mapping[str, Any]) -> dict[str, str]:
    """DS_BUILD_* switches as the variables of a build: values 1 and 0.

    :raises SwitchError: a name or a value is not that of a switch.
    """
    found = {}
    for name, value in wish.items():
        if not _SWITCH.match(name):
            raise SwitchError(
                f"{name!r} in deepspeed_build is not the name of a switch, which begins with DS_BUILD_; other "
                "variables of a build belong into deepspeed_build_environment."
            )
        on = truth(value)
        if on is None:
            raise SwitchError(f"{name} in deepspeed_build is {value!r}; a switch is 1 or 0.")
        found[name] = "1" if on else "0"
    return found


def wanted(switches_given: Mapping[str, str]) -> list[str]:
    """The names of the switches that are on."""
    return sorted(name for name, value in switches_given.items() if value == "1")


def build_problems(environment: Mapping[str, Any], given: Mapping[str, str], variables: Mapping[str, Any]) -> list[str]:
    """What stands in the way of installing DeepSpeed into an environment.

    :param environment: what the module environment_info returned; torch gathered.
    :param given: switches of a build that is to be made here; empty where none is.
    :param variables: further variables of the build.
    """
    prefix = environment["prefix"]
    if not environment["exists"]:
        return list(environment["errors"])
    if "torch" not in environment["packages"]:
        return [f"torch is not installed in {prefix}; DeepSpeed needs it before. Run the role torch first."]
    if not environment["torch"]:
        return [error for error in environment["errors"] if error.startswith("torch")]
    cuda = str(environment["torch"].get("cuda") or "0")
    if wanted(given) and int(cuda.split(".", maxsplit=1)[0]) >= 13 and "TORCH_CUDA_ARCH_LIST" not in variables:
        return [
            f"DeepSpeed's own list of GPU architectures is refused by CUDA {cuda} of torch in {prefix}; name those of "
            "the GPUs, for example deepspeed_architectures: ['8.0', '9.0']."
        ]
    return []


def _missing(ops: Mapping[str, Mapping[str, Any]], given: Mapping[str, str], where: str) -> list[str]:
    found = []
    by_switch = {op["switch"]: name for name, op in ops.items()}
    for switch in wanted(given):
        if switch == ALL:
            continue
        name = by_switch.get(switch)
        if name is None:
            known = ", ".join(sorted(filter(None, by_switch)))
            found.append(f"{switch} builds no op of {where}; its switches are {known}.")
        elif not ops[name]["installed"]:
            reason = " ".join(ops[name]["remarks"]) or (
                "it is compatible, so it was installed without this switch"
                if ops[name]["compatible"]
                else "ds_report says it is not compatible, without a reason"
            )
            found.append(f"The op {name} ({switch}) is not built into {where}: {reason}.")
    if given.get(ALL) == "1":
        left_out = sorted(
            name
            for name, op in ops.items()
            if op["compatible"]
            and not op["installed"]
            and given.get(op["switch"], "1") == "1"
            # A placeholder without sources, which no build installs.
            and op["switch"] != "DS_BUILD_NOT_IMPLEMENTED"
        )
        if left_out:
            found.append(f"{ALL} asks for all ops that can be built, and {where} lacks {', '.join(left_out)}.")
    return found


def _remedy(name: str, reason: str) -> str:
    """What a user does about an op that does not load, as a sentence."""
    without = f"deepspeed_ops: {{{name}: false}}"
    library = _LIBRARY.search(reason)
    if library:
        return f"Install the package with {library[1]} on this node, or leave the op out ({without})."
    needed = _NEEDED.search(reason)
    if needed:
        other = needed[1]
        return f"Build {other} too (deepspeed_ops: {{{name}: true, {other}: true}})."
    cause = ""
    if "undefined symbol" in reason:
        cause = "It was built for another torch, or without a library that it needs. "
    elif "signal" in reason:
        cause = "It was built for another processor or another torch. "
    return (
        f"{cause}Build it again on a node like this one (deepspeed_builder), take another wheel, or leave the op out "
        f"({without})."
    )


def _unloadable(deepspeed: Mapping[str, Any], given: Mapping[str, str], where: str) -> Iterator[str]:
    """A sentence for each op that is built in, is asked for or used by every run, and does not load."""
    for name, reason in deepspeed.get("loads", {}).items():
        asked = given.get(deepspeed["ops"].get(name, {}).get("switch", ""), given.get(ALL)) == "1"
        if reason and (asked or name in _USED_BY_EVERY_RUN):
            yield f"The op {name} is built into {where} and cannot be loaded: {reason}. {_remedy(name, reason)}"


def _incompatible(deepspeed: Mapping[str, Any], needed: Sequence[str], where: str) -> Iterator[str]:
    """A sentence for each op that loads, and that DeepSpeed does not use since it takes it for incompatible."""
    for name, op in deepspeed["ops"].items():
        loads = op["installed"] and not deepspeed.get("loads", {}).get(name)
        if loads and op["switch"] in needed and not op["compatible"]:
            reason = " ".join(op["remarks"]) or "it gives no reason"
            yield (
                f"The op {name} is built into {where}, and ds_report calls it not compatible: {reason}. Install what "
                f"it names on this node, with a C compiler, or leave the op out (deepspeed_ops: {{{name}: false}})."
            )


def _stale(deepspeed: Mapping[str, Any], torch: Mapping[str, Any], where: str) -> list[str]:
    """Built ops load only under the torch and CUDA that they were built with, which ds_report does not look at."""
    if not deepspeed["installed_ops"] or not torch:
        return []
    built = deepspeed["built_with"]
    now = {
        "torch": (built.get("version"), minor(torch["version"])),
        "CUDA": (built.get("cuda_version"), torch.get("cuda")),
    }
    return [
        f"The ops of {where} were built with {what} {before}, and torch there is now {after}; build them again."
        for what, (before, after) in now.items()
        if before not in (None, "0.0") and before != after
    ]


def problems(
    environment: Mapping[str, Any], version: str, given: Mapping[str, str], compatible: Sequence[str] = ()
) -> Sequence[str]:
    """One sentence for each way in which the DeepSpeed of an environment is not what was asked for.

    :param environment: what the module environment_info returned, torch and deepspeed gathered.
    :param version: of DeepSpeed; empty: any.
    :param given: switches as L(switches) returned them.
    :param compatible: switches of ops that must be compatible by ds_report.
    """
    deepspeed = environment["deepspeed"]
    if not deepspeed:
        return [error for error in environment["errors"] if not error.startswith("apex")]
    where = f"DeepSpeed {deepspeed['version']} in {environment['prefix']}"
    found = []
    if version and deepspeed["version"].split("+", 1)[0] != version.split("+", 1)[0]:
        found.append(f"{where} is not the version {version} that was asked for.")
    stale = _stale(deepspeed, environment["torch"], where)
    return [
        *found,
        *stale,
        *_missing(deepspeed["ops"], given, where),
        # Ops that were built with another torch do not load, which is said already.
        *([] if stale else _unloadable(deepspeed, given, where)),
        *_incompatible(deepspeed, compatible, where),
    ]
