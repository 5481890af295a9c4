# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What torch, DeepSpeed and compilers write when a training fails, with the reason in words and the fix."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._verdict.check import RUN_SITE

# What a rank also writes that only lost another one.
_UNCONNECTED = r"Connection (refused|timed out|reset by peer)|No route to host|connectFullMesh failed"
_CONSEQUENCE = re.compile(
    rf"{_UNCONNECTED}|[Cc]onnection (was )?closed|Broken pipe|remote process exited|NCCL communicator was aborted"
    r"|ECONNRESET|Socket Timeout|failed to recv, got 0 bytes"
)
# The first that matches counts.
_SYMPTOMS = (
    (r"No module named '?(?P<text>[\w.]+)", "the package {text} is missing in an environment", f"{RUN_SITE}."),
    (
        r"c\+\+: (command )?not found|Ninja is required|ninja not being installed",
        "an op of DeepSpeed cannot be compiled on a node, since a compiler or ninja is missing there",
        f"{RUN_SITE} with the tag deepspeed, which builds the op beforehand.",
    ),
    (
        r"[Uu]nsupported gpu architecture '(?P<text>[^']+)'",
        "the CUDA toolkit that compiles the ops does not know the GPU ({text})",
        f"{RUN_SITE} with the tags cuda_toolkit and deepspeed, without a CUDA version that you have set.",
    ),
    (
        r"CUDA_HOME (environment variable )?(is not set|does not exist)|nvcc: (command )?not found",
        "an op of DeepSpeed has to be compiled, and there is no CUDA toolkit to compile it with",
        f"{RUN_SITE} with the tags cuda_toolkit, deepspeed and hostfile.",
    ),
    (
        r"undefined symbol: (?P<text>\S+)",
        "a compiled op does not fit what it was built for ({text} is missing)",
        f"{RUN_SITE} with the tag deepspeed, which builds it again; an op in ~/.cache/torch_extensions may be deleted.",
    ),
    (
        r"no kernel image is available",
        "torch, or an op of DeepSpeed, was built for other GPUs than these",
        f"{RUN_SITE} with the tags torch and deepspeed.",
    ),
    (
        r"Error building extension '(?P<text>\w+)'",
        "the op {text} of DeepSpeed cannot be compiled on a node",
        f"{RUN_SITE} with the tag deepspeed, which builds the op beforehand.",
    ),
    (
        r"connectFullMesh failed[^\n]*remote=\[127\.",
        "a node's own name leads to 127.0.1.1, so the other nodes cannot reach its ranks",
        f"{RUN_SITE} with the tags ssh_mesh and nccl, which correct /etc/hosts.",
    ),
    (
        r"Unable to find address for: (?P<text>\S+)",
        "GLOO_SOCKET_IFNAME names the interface {text}, which a node does not have",
        f"{RUN_SITE} with the tag nccl, and take the variable out of ~/.deepspeed_env.",
    ),
    (
        r"[Nn]o socket interface found",
        "NCCL_SOCKET_IFNAME names an interface that a node does not have",
        f"{RUN_SITE} with the tag nccl, and take the variable out of ~/.deepspeed_env.",
    ),
    (
        r"Address already in use|EADDRINUSE",
        "the port of the first rank is in use on its node",
        "Leave verify_port out, so that a free port is taken, or end the run that holds this one.",
    ),
    (
        r"out of memory",
        "the memory of a GPU is in use",
        "End the other runs on the nodes, or run verify when they have ended.",
    ),
    (
        _UNCONNECTED,
        "ranks on different nodes cannot connect to each other",
        "Open all ports between the nodes, or name the right network in cluster_network.",
    ),
)


def is_consequence(error: str) -> bool:
    """Whether an error tells only of another rank that was not there, or went away."""
    return bool(_CONSEQUENCE.search(error))


def symptom(lines: Sequence[str], consequences: bool = True) -> tuple[str, str]:
    """The reason and the fix for what a run wrote, or two empty texts.

    :param consequences: whether ranks that do not reach each other count; they do not where a rank has another error.
    """
    text = "\n".join(lines)
    for pattern, reason, fix in _SYMPTOMS:
        match = re.search(pattern, text) if consequences or pattern != _UNCONNECTED else None
        if match:
            return reason.format(text=(match.groupdict().get("text") or "").strip().rstrip(".")), fix
    return "", ""
