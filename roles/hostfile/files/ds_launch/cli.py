# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What happens from the command line to the exit code."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import sys
from typing import Any, Dict, Sequence

from ds_launch import environment, hosts, launchers, look, nodes, records, sync
from ds_launch.agent import expand, port_holder, reserve_port, user_name
from ds_launch.launchers import Launch
from ds_launch.nodes import Node, NodeError
from ds_launch.options import USAGE, Options, parse
from ds_launch.output import Output
from ds_launch.run import Run
from ds_launch.script import Needs, Path, needs, working_folder
from ds_launch.words import REFUSED, Refusal, listed, say

Settings = Dict[str, Any]


def _cluster(slots: hosts.Slots, settings: Settings, options: Options) -> list[Node]:
    return [Node(name, f"{settings['environment']}/bin/python", options.ssh_port) for name in slots]


async def _close(cluster: Sequence[Node]) -> None:
    await asyncio.gather(*(node.close() for node in cluster))


async def _bring(cluster: list[Node], needed: Needs, options: Options, run: str) -> None:
    if options.sync:
        folder = os.path.normpath(os.path.join(needed.folder, os.path.expanduser(options.sync)))
        await sync.bring(cluster, folder, needed, run, options)


async def _connected(cluster: list[Node], run: str, script: str) -> None:
    problems = await nodes.connect(cluster, run, script)
    if problems:
        raise Refusal(*problems)


async def _sync_only(slots: hosts.Slots, settings: Settings, options: Options) -> int:
    cluster = _cluster(slots, settings, options)
    run = records.new_name()
    try:
        await _connected(cluster, run, "--sync")
        await _bring(cluster, Needs(working_folder()), options, run)
    finally:
        await _close(cluster)
    return 0


async def _looked_at(
    cluster: list[Node], needed: Needs, slots: hosts.Slots, settings: Settings, options: Options
) -> dict[str, Any]:
    """What the nodes answered, once nothing prevents a start.

    :raises Refusal: something prevents it.
    """
    asked = look.questions(needed, slots, options, settings.get("accelerator") == "cpu")
    answers = dict(zip(slots, await nodes.ask(cluster, "look", asked)))
    problems, notes = look.judge(needed, answers, options)
    for note in notes:
        say(note)
    if problems:
        raise Refusal(*problems)
    return answers


async def _launch(slots: hosts.Slots, settings: Settings, options: Options) -> int:
    needed = needs(options, working_folder())
    if options.launcher == "accelerate":
        # It differs from node to node.
        needed.paths.append(Path(settings["accelerate_config"], "file", "accelerate's configuration"))
    address = hosts.master_address(slots, options, settings["addresses"], options.hostfile)
    from_files = environment.from_files(needed.folder, os.environ)
    given = environment.exported(os.environ, needed.folder, environment.own_variables())
    # Whether the launcher can start ranks on these slots is known before any node is asked.
    for number in range(len(slots)):
        launchers.node_command(Launch(options, settings, slots, address, 0), number)
    cluster = _cluster(slots, settings, options)
    name = records.new_name()
    try:
        await _connected(cluster, name, options.script)
        await _bring(cluster, needed, options, name)
        answers = await _looked_at(cluster, needed, slots, settings, options)
        launch = Launch(options, settings, slots, address, options.master_port or answers[next(iter(slots))]["port"])
        record = records.Record(
            name,
            command=["ds-launch", *options.typed],
            folder=needed.folder,
            user=user_name(os.getuid()),
            nodes=slots,
            hostfile=options.hostfile,
            launcher=options.launcher,
            master=f"{address}:{launch.port}",
            versions={"python": answers[next(iter(slots))]["python"], **answers[next(iter(slots))]["versions"]},
        )
        output = Output(str(record.folder))
        run = Run(launch, cluster, output, name)
        for number in _signals():
            asyncio.get_event_loop().add_signal_handler(number, run.caught, number)
        await run.start(needed.folder, given, from_files)
        code = await run.finish()
        output.close()
        record.end(exit_code=code, reason=run.reason)
        if code:
            say(f"All output of this run: 'ds-launch --logs {name}', {record.folder}")
        return code
    finally:
        await _close(cluster)


def _signals() -> list[signal.Signals]:
    """The signals that end a run; under nohup, SIGHUP does not."""
    ends = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    return [number for number in ends if signal.getsignal(number) is not signal.SIG_IGN]


async def _stop(slots: hosts.Slots, settings: Settings, options: Options) -> int:
    cluster = _cluster(slots, settings, options)
    try:
        unusable = await nodes.connect(cluster, records.new_name(), "--stop")
        for problem in unusable:
            say(problem)
        usable = [node for node in cluster if not any(problem.startswith(f"{node.name} ") for problem in unusable)]
        answers = dict(zip((node.name for node in usable), await nodes.ask(usable, "runs", [{}] * len(usable))))
        own = {name: run for name, run in look.gathered_runs(answers).items() if run["own"]}
        left = [name for name, run in own.items() if not run["steered"]]
        steered = [name for name, run in own.items() if run["steered"]]
        if options.run not in ("", "all", *own):
            raise Refusal(f"No run {options.run} of this account is there; {_known(own)}.")
        if options.run == "" and len(steered) > 1:
            raise Refusal(
                *(f"It goes on: {look.describe(own[name])}." for name in steered), "Name one of them, or 'all'."
            )
        chosen = [*left, *steered] if options.run in ("", "all") else [options.run]
        if not chosen:
            say("Nothing of this account runs on " + listed(list(answers)) + ".")
        ended = await nodes.ask(usable, "end", [{"runs": chosen, "grace": 5}] * len(usable))
        for name in chosen:
            say(f"Ended: {look.describe(own[name])}.")
        stuck = [node.name for node, answer in zip(usable, ended) if answer["left"]]
        if stuck:
            say(f"Processes on {listed(stuck)} do not end, not even by SIGKILL; only a reboot there helps.")
        return 1 if stuck or unusable else 0
    finally:
        await _close(cluster)


def _known(runs: dict[str, Any]) -> str:
    return f"there are {listed(list(runs))}" if runs else "none of this account is there"


def _print_commands(slots: hosts.Slots, settings: Settings, options: Options) -> int:
    """Print what to type on each node, for a cluster without ssh between its nodes; with --node_rank run that here."""
    folder = working_folder()
    needs(options, folder)
    address = hosts.master_address(slots, options, settings["addresses"], options.hostfile)
    launch = Launch(options, settings, slots, address, options.master_port or look.FIRST_PORT)
    if options.node_rank >= len(slots):
        raise Refusal(f"--node_rank is {options.node_rank}, but {len(slots)} nodes take part; count from 0.")
    given = environment.exported(os.environ, folder, environment.own_variables())
    expanded = environment.from_files(folder, os.environ)
    for number, name in enumerate(slots):
        command = launchers.typed_command(launch, number)
        variables = {**given, **launchers.node_environment(launch, number)}
        if options.node_rank == number == 0:
            _check_port(launch.port, name)
        if options.node_rank == number:
            os.environ.update(variables)
            os.environ.update({key: expand(value, os.environ) for key, value in expanded.items()})
            os.execv(command[0], command)
        if options.node_rank < 0:
            assigned = [f"{key}={shlex.quote(value)}" for key, value in variables.items()]
            assigned += [f"{key}={_double_quoted(value)}" for key, value in expanded.items()]
            line = " ".join(["cd", shlex.quote(folder), "&&", "env", *assigned, shlex.join(command)])
            print(f"# on {name}\n{line}\n")
    return 0


def _check_port(port: int, name: str) -> None:
    """Refuse to start rank 0 on this node where its port is taken; nobody keeps it, since other nodes wait for it."""
    kept = reserve_port(port)
    if kept is None:
        remedy = "give another by --master_port, the same on every node"
        raise Refusal(look.taken(port, name, port_holder(port), remedy))
    kept.close()


def _double_quoted(value: str) -> str:
    """A value for a shell that replaces the variables in it."""
    return shlex.quote(value) if "$" not in value else '"' + re.sub(r'(["\\`])', r"\\\1", value) + '"'


async def _prepared(slots: hosts.Slots, settings: Settings, options: Options) -> int:
    """Look at all nodes for a launcher that is not ours; a free port of the first one."""
    needed = needs(options, working_folder())
    cluster = _cluster(slots, settings, options)
    name = records.new_name()
    try:
        await _connected(cluster, name, options.script)
        await _bring(cluster, needed, options, name)
        answers = await _looked_at(cluster, needed, slots, settings, options)
        return int(answers[next(iter(slots))]["port"])
    finally:
        await _close(cluster)


def _foreign(slots: hosts.Slots, settings: Settings, options: Options) -> int:
    launchers.check_words(options, working_folder())
    address = hosts.master_address(slots, options, settings["addresses"], options.hostfile)
    path = f"{settings['environment']}/bin:{settings['tools']}:{os.environ.get('PATH', os.defpath)}"
    os.environ.update(PATH=path, PDSH_RCMD_TYPE="ssh")
    if settings.get("accelerator"):
        os.environ.setdefault("DS_ACCELERATOR", settings["accelerator"])
    if options.launcher in ("deepspeed", "pdsh") and not shutil.which("pdsh"):
        raise Refusal("pdsh is not installed; run the playbook 'site', or leave --launcher out.")
    port = asyncio.run(_prepared(slots, settings, options))
    command = launchers.foreign_command(Launch(options, settings, slots, address, port))
    sys.stdout.flush()
    os.execv(command[0], command)


def _act(settings: Settings, typed: Sequence[str]) -> int:
    if not typed:
        raise Refusal("Usage: ds-launch [options] script.py [arguments]; see 'ds-launch --help'.")
    options = parse(typed)
    if options.help:
        print(USAGE, end="")
        return 0
    if options.action == "logs":
        records.show(options.run)
        return 0
    options.hostfile = options.hostfile or settings["hostfile"]
    options.sync = options.sync or str(settings.get("sync") or "")
    everyone = hosts.read_hostfile(options.hostfile)
    if options.action == "stop":
        return asyncio.run(_stop(everyone, settings, options))
    slots = hosts.choose(everyone, options, options.hostfile)
    start = _sync_and_launch
    if options.no_ssh:
        start = _print_commands
    elif options.is_foreign:
        start = _foreign
    return start(slots, settings, options)


def _sync_and_launch(slots: hosts.Slots, settings: Settings, options: Options) -> int:
    if not options.script:
        return asyncio.run(_sync_only(slots, settings, options))
    if os.environ.get("CUDA_VISIBLE_DEVICES"):
        say("CUDA_VISIBLE_DEVICES of this shell is not passed on; choose GPUs by --include, such as node1:0,1.")
    return asyncio.run(_launch(slots, settings, options))


def main(settings_path: str, typed: Sequence[str]) -> int:
    """Run ds-launch and return its exit code."""
    try:
        with open(settings_path, encoding="utf-8") as file:
            settings = json.load(file)
    except (OSError, ValueError) as error:
        say(f"{settings_path} cannot be read ({error}); run the playbook 'hostfile'.")
        return REFUSED
    try:
        return _act(settings, typed)
    except Refusal as refusal:
        for message in refusal.messages:
            say(message)
        return REFUSED
    except NodeError as error:
        say(str(error))
        return REFUSED
    except KeyboardInterrupt:
        say("Stopped before anything was started.")
        return 130
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
