# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command that starts the ranks of one node: by DeepSpeed's launcher of a node, torchrun, or accelerate."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from typing import Any, Mapping

from ds_launch.hosts import Slots
from ds_launch.options import Options
from ds_launch.words import Refusal, listed

RANK = "{rank}"
"""The place of the command that runs one rank; the agent of the node fills it in."""


@dataclass(frozen=True)
class Launch:
    """What a run starts, and where its ranks meet."""

    options: Options
    settings: Mapping[str, Any]
    slots: Slots
    address: str
    port: int

    @property
    def python(self) -> str:
        """The Python of the training environment, which is at one path on all nodes."""
        return f"{self.settings['environment']}/bin/python"


def rank_command(options: Options, python: str, mark: str) -> list[str]:
    """What each rank runs.

    :param mark: stands for the local rank of the process.
    """
    command = [] if options.no_python else [python, "-u", *(["-m"] if options.module else [])]
    command.append(options.script)
    # torchrun and accelerate tell a rank its number by LOCAL_RANK only.
    if options.launcher == "deepspeed" and not options.no_local_rank:
        command.append(f"--local_rank={mark}")
    return [*command, *options.arguments]


def _deepspeed(launch: Launch, number: int) -> list[str]:
    world = base64.urlsafe_b64encode(json.dumps(launch.slots).encode()).decode()
    return [
        *(launch.python, "-u", "-m", "deepspeed.launcher.launch"),
        f"--world_info={world}",
        f"--node_rank={number}",
        f"--master_addr={launch.address}",
        f"--master_port={launch.port}",
        *launch.options.for_node_launcher,
    ]


def _torchrun(launch: Launch, number: int) -> list[str]:
    return [
        *(launch.python, "-u", "-m", "torch.distributed.run"),
        f"--nnodes={len(launch.slots)}",
        f"--node_rank={number}",
        f"--nproc_per_node={len(list(launch.slots.values())[number])}",
        f"--master_addr={launch.address}",
        f"--master_port={launch.port}",
    ]


def _accelerate(launch: Launch, number: int) -> list[str]:
    counts = {len(slots) for slots in launch.slots.values()}
    if len(counts) > 1:
        raise Refusal(
            "accelerate starts equal numbers of ranks on all nodes, but the slots of these nodes differ; choose equal "
            "ones by --include, or use --launcher torchrun."
        )
    return [
        *(launch.python, "-u", "-m", "accelerate.commands.launch"),
        f"--config_file={launch.settings['accelerate_config']}",
        f"--machine_rank={number}",
        f"--num_machines={len(launch.slots)}",
        f"--num_processes={sum(len(slots) for slots in launch.slots.values())}",
        f"--main_process_ip={launch.address}",
        f"--main_process_port={launch.port}",
        # Every node starts its own ranks; with pdsh, accelerate would start those of all nodes from here.
        "--deepspeed_multinode_launcher=standard",
    ]


# What a shell and pdsh replace in a word: bare, and between double quotes.
_SHELL = {False: re.compile(r"""[^\w@+=:,./^-]"""), True: re.compile(r"[$`\\%!]")}
_COMMANDS = {"deepspeed": _deepspeed, "torchrun": _torchrun, "accelerate": _accelerate}


def _without_ranks(launch: Launch, number: int, script: list[str]) -> list[str]:
    """The launcher of a node with something in the place of the script."""
    options = launch.options
    command = _COMMANDS[options.launcher](launch, number)
    command += ["--no_python", *(["--no_local_rank"] if options.launcher == "deepspeed" else []), *script]
    if options.venv_script:
        command = ["bash", "-c", '. "$0" && exec "$@"', options.venv_script, *command]
    return command


def node_command(launch: Launch, number: int) -> list[str]:
    """The command of the node with this number, with L(RANK) in the place of the script.

    :raises Refusal: the launcher cannot start ranks on these slots.
    """
    return _without_ranks(launch, number, [RANK])


def typed_command(launch: Launch, number: int) -> list[str]:
    """The command of a node as a person types it there, for launches without ssh.

    :raises Refusal: the launcher cannot start ranks on these slots.
    """
    options = launch.options
    if options.launcher == "deepspeed":
        flags = [f"--{name}" for name in ("no_python", "module", "no_local_rank") if getattr(options, name)]
        return [*_deepspeed(launch, number), *flags, options.script, *options.arguments]
    flags = [f"--{name}" for name in ("no_python", "module") if getattr(options, name)]
    return [*_COMMANDS[options.launcher](launch, number), *flags, options.script, *options.arguments]


def node_environment(launch: Launch, number: int) -> dict[str, str]:
    """What only this node's launcher gets: the chosen GPUs, which DeepSpeed's own launcher sets by itself."""
    slots = list(launch.slots.values())[number]
    if launch.options.launcher == "deepspeed" or launch.settings.get("accelerator") == "cpu":
        return {}
    return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, slots))}


def check_words(options: Options, folder: str) -> None:
    """Hold a command against the shells of the nodes, which read it again where DeepSpeed starts it by pdsh.

    :raises Refusal: they would read something else.
    """
    if options.launcher != "pdsh":
        return
    # DeepSpeed puts double quotes around a word with a blank, and nothing around others; pdsh replaces %.
    words = [word for word in (options.script, *options.arguments) if _SHELL[" " in word].search(word)]
    words += [folder] if _SHELL[False].search(folder) else []
    if words:
        raise Refusal(
            f"With --launcher pdsh the shells of the nodes read the command again, and {listed(words)} would become "
            "something else; leave --launcher out, or use names without blanks and special characters."
        )


def foreign_command(launch: Launch) -> list[str]:
    """Plain C(deepspeed), with what is known of the cluster; an option that was typed wins, since it comes later."""
    options = launch.options
    return [
        os.path.join(launch.settings["environment"], "bin", "deepspeed"),
        *("--hostfile", options.hostfile, "--launcher", "pdsh"),
        # deepspeed runs a job with one host left on this machine, whatever the name of that host is.
        *("--master_addr", launch.address, "--master_port", str(launch.port), "--force_multi"),
        *options.for_deepspeed,
        options.script,
        *options.arguments,
    ]
