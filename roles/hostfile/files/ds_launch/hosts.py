# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which slots of which nodes take part, from the hostfile and the options, by the rules of DeepSpeed's launcher."""

from __future__ import annotations

import re
from typing import Dict, List

from ds_launch.options import Options
from ds_launch.words import Refusal, listed

Slots = Dict[str, List[int]]
"""The slots of each node by its name in the hostfile, in the order of the ranks."""

_ENTRY = re.compile(r"^(\S+)\s+slots=(\d+)")


def read_hostfile(path: str) -> Slots:
    """The slots of every node of a hostfile.

    :raises Refusal: a file that is missing or that no launch can use.
    """
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise Refusal(
            f"The hostfile {path} cannot be read ({error.strerror}); run the playbook 'hostfile', or pass --hostfile."
        ) from error
    slots: Slots = {}
    problems = []
    for line in (line.strip() for line in lines):
        if not line or line.startswith("#"):
            continue
        match = _ENTRY.match(line)
        if match is None or int(match.group(2)) == 0:
            problems.append(f"The line '{line}' in {path} is not of the form 'name slots=N'; correct or remove it.")
        elif match.group(1) in slots:
            problems.append(f"{path} names {match.group(1)} more than once; keep one line for it.")
        else:
            slots[match.group(1)] = list(range(int(match.group(2))))
    if problems:
        raise Refusal(*problems)
    if not slots:
        raise Refusal(f"The hostfile {path} names no host; run the playbook 'hostfile'.")
    return slots


def _read_filter(option: str, text: str, everyone: Slots, path: str) -> Slots:
    """The slots that a filter names; a node without slots is meant whole."""
    chosen: Slots = {}
    problems = []
    for entry in text.split("@"):
        name, colon, numbers = entry.partition(":")
        if name not in everyone:
            problems.append(f"--{option} names {name!r}, which is not in {path}; it has {listed(list(everyone))}.")
            continue
        if not colon:
            chosen[name] = list(everyone[name])
            continue
        for number in numbers.split(","):
            if not number.isdigit() or int(number) not in everyone[name]:
                problems.append(f"--{option} names slot {number!r} of {name}, which has {len(everyone[name])} slots.")
            else:
                chosen[name] = sorted({*chosen.get(name, []), int(number)})
    if problems:
        raise Refusal(*problems)
    return chosen


def choose(everyone: Slots, options: Options, path: str) -> Slots:
    """The slots that take part, in the order of the hostfile.

    :raises Refusal: the options name what is not there, or leave nothing.
    """
    chosen = everyone
    if options.include:
        included = _read_filter("include", options.include, everyone, path)
        chosen = {name: included[name] for name in everyone if name in included}
    elif options.exclude:
        gone = _read_filter("exclude", options.exclude, everyone, path)
        left = {name: [slot for slot in slots if slot not in gone.get(name, [])] for name, slots in everyone.items()}
        chosen = {name: slots for name, slots in left.items() if slots}
    if options.num_nodes > 0:
        if options.num_nodes > len(chosen):
            raise Refusal(f"--num_nodes is {options.num_nodes}, but {path} has {len(chosen)} nodes.")
        chosen = {name: chosen[name] for name in list(chosen)[: options.num_nodes]}
    if options.num_gpus > 0:
        short = [name for name, slots in chosen.items() if len(slots) < options.num_gpus]
        if short:
            raise Refusal(f"--num_gpus is {options.num_gpus}, more than {listed(short)} has in {path}.")
        chosen = {name: slots[: options.num_gpus] for name, slots in chosen.items()}
    if not chosen:
        raise Refusal(f"No slot of {path} is left by --include and --exclude; choose among {listed(list(everyone))}.")
    return chosen


def master_address(slots: Slots, options: Options, addresses: str, hostfile: str) -> str:
    """The address of the first node, as it was measured for the training network.

    DeepSpeed would take the first word of C(hostname -I), which may be the address of a container bridge.

    :raises Refusal: the address is not known.
    """
    if options.master_addr:
        return options.master_addr
    first = next(iter(slots))
    try:
        with open(addresses, encoding="utf-8") as file:
            known = dict(line.split()[:2] for line in file if len(line.split()) >= 2)
    except OSError:
        known = {}
    if first not in known:
        raise Refusal(
            f"The address of {first} is not known, so {hostfile} is out of date; run the playbook 'hostfile', or pass "
            "--master_addr."
        )
    return known[first]


def ranks(slots: Slots) -> dict[str, list[int]]:
    """The global ranks of each node, counted as the launchers count them: node by node, slot by slot."""
    numbered: dict[str, list[int]] = {}
    first = 0
    for name, own in slots.items():
        numbered[name] = list(range(first, first + len(own)))
        first += len(own)
    return numbered
