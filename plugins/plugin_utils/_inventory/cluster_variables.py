# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The collection-wide variables (C(cluster_*)): their defaults and what may be wrong with them.

Pure functions over plain values. The lookup C(fromzero.deepspeed.cluster) hands them a host's variables; the role
C(preflight) judges given values by C(Knob.problem) to report every bad one at once.
"""

from __future__ import annotations

import difflib
import ipaddress
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster.identity import artifacts_folder
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.values import truth
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows

ACCELERATORS = ("auto", "cuda", "rocm", "cpu")
# The folder of the cluster belongs to cluster_user; these belong to the system, and to everyone.
_SYSTEM_FOLDERS = re.compile(
    r"/(bin|boot|dev|etc|home|lib|lib32|lib64|libx32|media|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var)"
    r"|/usr(/local)?/(bin|etc|games|include|lib|lib32|lib64|libexec|libx32|local|man|sbin|share|src)"
    r"|/var/(backups|cache|crash|db|empty|lib|local|lock|log|mail|opt|run|spool|tmp)"
    r"|/(boot|dev|proc|sys)/.*"
)
# The fact in which the role preflight says what 'auto' has come to.
ACCELERATOR_FACT = "preflight_accelerator"
Values = Mapping[str, Any]


class KnobError(ValueError):
    """A collection-wide variable has no usable value; the text is a sentence for the user."""


@dataclass(frozen=True)
class Knob:
    """One variable.

    default: makes the default from the other variables. problem: what is wrong with a given value, as the end of a
    sentence that begins with "it", null where nothing is. shared: all nodes must have one value. read: from a given
    value to the one that roles work with. empty_is_default: whether an empty text is no value.
    """

    default: Callable[[Values], Any]
    problem: Callable[[Any], str | None]
    shared: bool = True
    read: Callable[[Any], Any] = lambda value: value
    empty_is_default: bool = False


def flag(value: Any) -> bool:
    """True or false, which an INI inventory gives as a text."""
    return bool(truth(value))


def _facts(values: Values) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = values.get("ansible_facts") or {}
    return facts


def connection_user(values: Values) -> str:
    """The account Ansible logs in as: ansible_user, else the one that called sudo, else the one that gathered facts."""
    facts = _facts(values)
    user = values.get("ansible_user") or (facts.get("env") or {}).get("SUDO_USER") or facts.get("user_id")
    if not user:
        raise KnobError("cluster_user has no default before facts are gathered; gather facts or set cluster_user.")
    return str(user)


def _default_prefix(values: Values) -> str:
    if resolve("cluster_become", values):
        return "/opt/fromzero"
    home = _facts(values).get("user_dir")
    if not home:
        raise KnobError("cluster_prefix has no default before facts are gathered; gather facts or set cluster_prefix.")
    return f"{home}/fromzero"


def _default_head(values: Values) -> str:
    groups = values.get("groups") or {}
    members = list(groups.get("head") or groups.get("nodes") or ())
    if not members:
        raise KnobError(
            "The inventory has no host in group 'nodes'; list every machine that trains there, or write the name of "
            "your own group below the line [nodes:children]."
        )
    return str(members[0])


def _default_artifacts(values: Values) -> str:
    folder = str(values.get("inventory_dir") or values.get("playbook_dir") or ".")
    # Ansible reads every file below a folder that is given as inventory: nothing may be written there.
    above = (str(source).rstrip("/") for source in values.get("ansible_inventory_sources") or ())
    given = next((source for source in above if source and f"{folder}/".startswith(f"{source}/")), None)
    return artifacts_folder(
        posixpath.dirname(given) if given else folder,
        [str(source) for source in values.get("ansible_inventory_sources") or ()],
    )


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value.strip() else "must be a text that is not empty"


def _names(value: Any) -> list[str]:
    """A list of names, which the command line gives as a text with commas."""
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else list(value)


def _names_problem(value: Any) -> str | None:
    if isinstance(value, str) or (isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)):
        return None
    return "must be the names of nodes, as a list or with commas between them"


def _account(value: Any) -> str | None:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]*", value):
        return None
    return "must be the name of an account"


def _boolean(value: Any) -> str | None:
    return "must be true or false" if truth(value) is None else None


def _absolute(value: Any) -> str | None:
    # What conda, shebang lines, PATH and the launcher's unquoted command line can all carry.
    if isinstance(value, str) and re.fullmatch(r"/[A-Za-z0-9._+/-]+", value) and ".." not in value.split("/"):
        return None
    return "must be an absolute path of letters, digits and ._+-/ below /, the same on every node"


def _own_folder(value: Any) -> str | None:
    problem = _absolute(value)
    if problem is None and _SYSTEM_FOLDERS.fullmatch(posixpath.normpath("/" + value.lstrip("/"))):
        return (
            "is a folder of the system, and would be handed to cluster_user; name one of its own, such as /opt/fromzero"
        )
    return problem


def _accelerator(value: Any) -> str | None:
    return None if value in ACCELERATORS else f"must be one of {', '.join(ACCELERATORS)}"


def _stack(value: Any) -> str | None:
    known = [str(row["stack"]) for row in rows("stacks")["stacks"]]
    if (
        value == "auto"
        or value in known
        or re.fullmatch(r"torch-\d+\.\d+\.\d+\S*-(cpu|cu\d{2,3}|rocm[\d.]+)", str(value))
    ):
        # A name that a plan had, torch-2.2.1-cu121, is judged by the resolver.
        return None
    near = difflib.get_close_matches(str(value), known, 3, 0.5) or known[-3:]
    return f"must be auto or the name of a stack, such as {', '.join(near)}"


def _network(value: Any) -> str | None:
    if value in (None, ""):
        return None
    wanted = "must be a network in CIDR form such as 10.0.0.0/24"
    if not isinstance(value, str) or "/" not in value:
        return f"{wanted}, with the length of the network after a slash"
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        return f"{wanted} ({error})"
    return None


def _address(value: Any) -> str | None:
    if value in (None, "") or (isinstance(value, str) and re.fullmatch(r"https?://[^\s/]+(/\S*)?", value)):
        return None
    return "must be an address such as http://203.0.113.9/fromzero"


def _interface(value: Any) -> str | None:
    # The kernel's own bound for a name is 15 characters, without a slash or a space.
    if isinstance(value, str) and re.fullmatch(r"[^\s/:,^=]{0,15}", value):
        return None
    return "must be the name of one network interface, such as eth1"


KNOBS: Mapping[str, Knob] = {
    "cluster_user": Knob(connection_user, _account),
    "cluster_become": Knob(lambda values: True, _boolean, read=flag),
    "cluster_prefix": Knob(_default_prefix, _own_folder),
    "cluster_environment": Knob(lambda values: f"{resolve('cluster_prefix', values)}/envs/train", _absolute),
    "cluster_accelerator": Knob(lambda values: "auto", _accelerator),
    "cluster_stack": Knob(lambda values: "auto", _stack),
    "cluster_network": Knob(lambda values: "", _network),
    "cluster_interface": Knob(lambda values: "", _interface, shared=False),
    "cluster_head": Knob(_default_head, _text),
    "cluster_artifacts": Knob(_default_artifacts, _text),
    "cluster_adopt": Knob(lambda values: [], _names_problem, read=_names),
    "cluster_depot_url": Knob(lambda values: "", _address),
    "cluster_depot_folder": Knob(lambda values: "/srv/fromzero", _absolute),
    # A variable of the role that writes the file; the roles that read it follow.
    "cuda_toolkit_record": Knob(
        lambda values: f"{resolve('cluster_prefix', values)}/etc/cuda_toolkit.json",
        lambda value: None if value == "" else _absolute(value),
        shared=False,
        empty_is_default=True,
    ),
}


def resolve(name: str, values: Values) -> Any:
    """The value of one knob for one host.

    :param name: a key of KNOBS.
    :param values: the host's variables as plain values: the knobs that are set, and C(ansible_facts), C(ansible_user),
        C(groups), C(inventory_dir), C(playbook_dir) for the defaults.
    :raises KnobError: the name is unknown, the given value cannot be used, or the default needs what is not there.
    """
    knob = KNOBS.get(name)
    if knob is None:
        raise KnobError(f"'{name}' is not a collection-wide variable; known are {', '.join(sorted(KNOBS))}.")
    value = values.get(name)
    if name == "cluster_accelerator" and value in (None, "auto"):
        value = _facts(values).get(ACCELERATOR_FACT, "auto")
    if value is None or (value == "" and knob.empty_is_default):
        return knob.default(values)
    problem = knob.problem(value)
    if problem:
        raise KnobError(f"{name} is {value!r}: it {problem}.")
    return knob.read(value)
