# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command line: the options of C(deepspeed) before the script, and those of ds-launch itself."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field
from typing import Any, Sequence

from ds_launch.words import Refusal

USAGE = """\
Usage: ds-launch [options] script.py [arguments of the script]

Looks at all nodes, starts a script on every one of them, and ends all ranks when one fails or you stop.

  --sync [FOLDER]         bring the working folder, or FOLDER, to every node first (changed files only)
  --sync_delete           with --sync: delete files there that the folder here does not have
  --launcher NAME         deepspeed (default), torchrun or accelerate; pdsh, openmpi, mpich, impi, slurm and
                          mvapich are handed over to plain deepspeed
  --logs [RUN]            show the output of the last run, or of RUN
  --stop [RUN]            end what an earlier run left behind, or the run that goes on; RUN is a run or 'all'
  --share                 start although another run uses these GPUs, or left processes behind
  --no_ssh                print the command for each node, and start nothing

Options of deepspeed:
  -H, --hostfile FILE     -i, --include NODES     -e, --exclude NODES     --num_nodes N     --num_gpus N
  --master_addr ADDRESS   --master_port PORT      --ssh_port PORT         -m, --module      --no_python
  --no_local_rank         --bind_cores_to_rank    --bind_core_list LIST   --venv_script FILE
  NODES is NAME[:SLOT[,SLOT]] joined by @, such as node1@node2:0,1
"""

OWN_LAUNCHERS = ("deepspeed", "torchrun", "accelerate")
FOREIGN_LAUNCHERS = ("pdsh", "openmpi", "mvapich", "slurm", "mpich", "impi")

# Options with a value, by the field that holds it.
_VALUES = {
    "-H": "hostfile",
    "--hostfile": "hostfile",
    "-i": "include",
    "--include": "include",
    "-e": "exclude",
    "--exclude": "exclude",
    "--num_nodes": "num_nodes",
    "--num_gpus": "num_gpus",
    "--num_accelerators": "num_gpus",
    "--master_addr": "master_addr",
    "--master_port": "master_port",
    "--ssh_port": "ssh_port",
    "--node_rank": "node_rank",
    "--launcher": "launcher",
    "--venv_script": "venv_script",
    "--launcher_args": "",
    "--autotuning": "autotuning",
    "--enable_each_rank_log": "",
    "--bind_core_list": "",
    "--log_level": "",
}
_FLAGS = {
    "-m": "module",
    "--module": "module",
    "--no_python": "no_python",
    "--no_local_rank": "no_local_rank",
    "--no_ssh": "no_ssh",
    "--share": "share",
    "--sync_delete": "sync_delete",
    "-h": "help",
    "--help": "help",
    "--bind_cores_to_rank": "",
    "--no_ssh_check": "",
    "--force_multi": "",
    "--save_pid": "",
    "-q": "",
    "--quiet": "",
}
# Those that DeepSpeed's launcher of a node takes, where they are given.
_HANDED_ON = ("--bind_cores_to_rank", "--bind_core_list", "--log_level", "-q", "--quiet")
_OWN_FLAGS = ("--share", "--sync_delete")
_LONG = {"-H": "--hostfile", "-i": "--include", "-e": "--exclude", "-m": "--module"}
_NUMBERS = ("num_nodes", "num_gpus", "master_port", "ssh_port", "node_rank")


@dataclass
class Options:
    """What was typed."""

    script: str = ""
    arguments: list[str] = field(default_factory=list)
    hostfile: str = ""
    include: str = ""
    exclude: str = ""
    num_nodes: int = -1
    num_gpus: int = -1
    master_addr: str = ""
    master_port: int = 0
    ssh_port: int = 0
    node_rank: int = -1
    launcher: str = "deepspeed"
    venv_script: str = ""
    autotuning: str = ""
    module: bool = False
    no_python: bool = False
    no_local_rank: bool = False
    no_ssh: bool = False
    share: bool = False
    sync: str = ""
    sync_delete: bool = False
    help: bool = False
    action: str = "launch"
    run: str = ""
    for_node_launcher: list[str] = field(default_factory=list)
    for_deepspeed: list[str] = field(default_factory=list)
    typed: list[str] = field(default_factory=list)

    @property
    def is_foreign(self) -> bool:
        """Whether plain C(deepspeed) starts this run, with a launcher of its own or to tune a configuration."""
        return bool(self.autotuning) or self.launcher in FOREIGN_LAUNCHERS


def _number(name: str, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0 or (name.endswith("_port") and not 0 < number < 65536):
        raise Refusal(f"--{name} is {text!r}; give a whole number{' from 1 to 65535' if 'port' in name else ''}.")
    return number


def _canonical(word: str) -> tuple[str, str, bool]:
    """The name of an option as DeepSpeed writes it, its value, and whether the value stands in the same word."""
    name, equals, value = word.partition("=")
    if name.startswith("--"):
        name = "--" + name[2:].replace("-", "_")
    return name, value, bool(equals)


def _optional(words: list[str], is_value: bool) -> str:
    """The value of an option that can do without one; it is taken off the words."""
    return words.pop(0) if words and is_value else ""


class _Reader:
    """Reads the options before the script, one after the other."""

    def __init__(self, typed: Sequence[str]) -> None:
        self.options = Options(typed=list(typed))
        self.words = list(typed)

    def read(self) -> Options:
        """Read all options; what is left is the script with its arguments."""
        while self.words and self.words[0].startswith("-") and self.words[0] != "-":
            word = self.words.pop(0)
            if word == "--":
                break
            self._option(word)
        self.options.launcher = self.options.launcher.lower()
        if self.words:
            self.options.script, self.options.arguments = self.words[0], self.words[1:]
        return self.options

    def _option(self, word: str) -> None:
        name, value, has_value = _canonical(word)
        if name == "--sync":
            is_folder = bool(self.words) and os.path.isdir(self.words[0])
            self.options.sync = (value if has_value else _optional(self.words, is_folder)) or "."
        elif name in ("--logs", "--stop"):
            self.options.action = name[2:]
            is_run = bool(self.words) and not self.words[0].startswith("-")
            self.options.run = value if has_value else _optional(self.words, is_run)
        elif name in _VALUES:
            self._value(word, name, value, has_value)
        elif name in _FLAGS and not has_value:
            self._set(_FLAGS[name], True)
            self._hand_on(name, name)
        else:
            known = [*_VALUES, *_FLAGS, "--sync", "--logs", "--stop"]
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "; 'ds-launch --help' lists the options."
            raise Refusal(f"The option {word} is not known{hint} Options of your script go after the script.")

    def _value(self, word: str, name: str, value: str, has_value: bool) -> None:
        if not has_value:
            if not self.words:
                raise Refusal(f"{word} needs a value.")
            value = self.words.pop(0)
        held = _VALUES[name]
        self._set(held, _number(held, value) if held in _NUMBERS else value)
        self._hand_on(name, f"{_LONG.get(name, name)}={value}")

    def _set(self, name: str, value: Any) -> None:
        if name:
            setattr(self.options, name, value)

    def _hand_on(self, name: str, word: str) -> None:
        if name not in _OWN_FLAGS:
            self.options.for_deepspeed.append(_LONG.get(word, word))
        if name in _HANDED_ON:
            self.options.for_node_launcher.append(word)


def parse(typed: Sequence[str]) -> Options:
    """Read the command line.

    :raises Refusal: an option that is not known, or a value that is missing or wrong.
    """
    return _check(_Reader(typed).read())


def _check(options: Options) -> Options:
    if options.launcher not in (*OWN_LAUNCHERS, *FOREIGN_LAUNCHERS):
        known = ", ".join((*OWN_LAUNCHERS, *FOREIGN_LAUNCHERS))
        raise Refusal(f"The launcher {options.launcher!r} is not known; choose one of {known}.")
    if options.include and options.exclude:
        raise Refusal("--include and --exclude exclude each other; give one of them.")
    if (options.num_nodes >= 0 or options.num_gpus >= 0) and (options.include or options.exclude):
        raise Refusal("--num_nodes and --num_gpus do not go with --include and --exclude; name the nodes in one way.")
    if options.module and options.no_python:
        raise Refusal("--module and --no_python exclude each other; give one of them.")
    if options.launcher != "deepspeed" and options.for_node_launcher and not options.is_foreign:
        raise Refusal(f"{options.for_node_launcher[0].split('=')[0]} belongs to the launcher deepspeed.")
    if options.sync_delete and not options.sync:
        raise Refusal("--sync_delete goes with --sync.")
    if options.action == "launch" and not options.script and not options.sync and not options.help:
        raise Refusal(
            "The script to run is missing; usage: ds-launch [options] script.py [arguments]; see 'ds-launch --help'."
        )
    return options
