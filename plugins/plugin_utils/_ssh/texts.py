# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Texts for every node of a mesh from the records of its members: one pass, plain values to plain text.

A record is what the module C(ssh_identity) gives back: C(name, address, names, also, port, public_keys, host_keys).
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
SSH_PORT = 22
COMMENT = "fromzero.deepspeed"


class RecordError(ValueError):
    """A record lacks something; the text is a sentence for the user."""


def _field(record: Record, name: str) -> Any:
    try:
        return record[name]
    except (KeyError, TypeError) as error:
        raise RecordError(
            f"The record {record!r} has no '{name}'; records come from the module fromzero.deepspeed.ssh_identity."
        ) from error


def _names(record: Record, fields: Sequence[str]) -> list[str]:
    """The record's own name and those in the other fields, each once, in this order."""
    found = [str(_field(record, "name"))]
    for field in fields:
        value = record.get(field) or ()
        found += [str(value)] if isinstance(value, str) else [str(name) for name in value]
    return list(dict.fromkeys(name for name in found if name))


def _clear(records: Sequence[Record], fields: Sequence[str]) -> list[list[str]]:
    """The names of each record without those that another record has too; only the record's own name always stays.

    A name with two meanings (each node calls itself "ubuntu") is worse than none.
    """
    named = [_names(record, fields) for record in records]
    aliases = {names[0] for names in named}
    claims = Counter(name for names in named for name in names)
    return [
        [name for at, name in enumerate(names) if at == 0 or (claims[name] == 1 and name not in aliases)]
        for names in named
    ]


def _port(record: Record) -> int:
    return int(record.get("port") or SSH_PORT)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def known_hosts(records: Sequence[Record], names: Sequence[str] | None = None) -> str:
    """Lines of known_hosts: every host key under every name of its node.

    :param names: use these names instead of the records' own, as for localhost.
    """
    if names is None:
        named = _by_port(records)
    else:
        named = [[_with_port(name, _port(record)) for name in names] for record in records]
    return _text(
        f"{','.join(hosts)} {key}"
        for record, hosts in zip(records, named, strict=True)
        for key in _field(record, "host_keys")
    )


def _with_port(name: str, port: int) -> str:
    return name if port == SSH_PORT else f"[{name}]:{port}"


def _by_port(records: Sequence[Record]) -> list[list[str]]:
    """Names as known_hosts has them; one address may serve several nodes, each behind a port of its own."""
    named = [
        [_with_port(name, _port(record)) for name in _names(record, ("names", "address", "also"))] for record in records
    ]
    aliases = {names[0] for names in named}
    claims = Counter(name for names in named for name in names)
    return [
        [name for at, name in enumerate(names) if at == 0 or (claims[name] == 1 and name not in aliases)]
        for names in named
    ]


def hosts_file(records: Sequence[Record]) -> str:
    """Lines of /etc/hosts: the address between nodes, what the node calls itself, and its alias."""
    lines = []
    for record, clear in zip(records, _clear(records, ("names",)), strict=True):
        names = [name for name in (*clear[1:], clear[0]) if not _is_address(name)]
        if record.get("address") and names:
            lines.append(f"{record['address']} {' '.join(names)}")
    return _text(lines)


def authorized_keys(records: Sequence[Record]) -> str:
    """Lines of authorized_keys: every public key once, with the node that has it as its comment."""
    owners: dict[str, list[str]] = {}
    for record in records:
        for key in _field(record, "public_keys"):
            owners.setdefault(str(key), []).append(str(_field(record, "name")))
    return _text(f"{key} {COMMENT}{f'@{names[0]}' if len(names) == 1 else ''}" for key, names in owners.items())


def ssh_config(records: Sequence[Record], addresses: bool = False, names: Sequence[str] | None = None) -> str:
    """Host blocks of ssh's configuration, only for what its defaults do not know.

    :param addresses: lead each name to its address, where no other file does.
    :param names: use these names instead of the records' own, as for localhost.
    """
    if names is not None:
        return _text(line for record in records for line in _host_block(list(names), "", _port(record)))
    lines = []
    for record, clear in zip(records, _clear(records, ("names", "address", "also")), strict=True):
        address = str(record.get("address") or "") if addresses else ""
        own = [name for name in clear if not _is_address(name)]
        literal = [name for name in clear if _is_address(name)]
        if address:
            lines += [*_host_block(own, address, _port(record)), *_host_block(literal, "", _port(record))]
        else:
            lines += _host_block(clear, "", _port(record))
    return _text(lines)


def _host_block(names: Sequence[str], address: str, port: int) -> list[str]:
    options = ([f"    HostName {address}"] if address else []) + ([f"    Port {port}"] if port != SSH_PORT else [])
    return [f"Host {' '.join(names)}", *options] if names and options else []
