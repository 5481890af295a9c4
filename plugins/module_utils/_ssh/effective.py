# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What ssh on a node does for each other node, asked of ssh itself, and the lines that make the mesh's settings count.

OpenSSH takes the first value that it finds: in C(~/.ssh/config), then in C(/etc/ssh/ssh_config). A user's C(Host *) or
a file of the distribution can therefore undo what the mesh has written.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Callable

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import Account, acting_as
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.sshd_config import (
    HEADER,
    SSH_CONFIG,
    directives,
    located_directives,
    read_text,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.text import BEGIN, END

#: Runs C(ssh -G) for a host with a configuration: exit status, standard output, standard error.
Ask = Callable[[str, Path], "tuple[int, str, str]"]
Settings = Mapping[str, "list[str]"]

# By these alone a configuration can undo the mesh's settings.
_DECIDING = {
    "user": "User",
    "identityfile": "IdentityFile",
    "hostname": "HostName",
    "port": "Port",
    "globalknownhostsfile": "GlobalKnownHostsFile",
    "userknownhostsfile": "UserKnownHostsFile",
    "pubkeyauthentication": "PubkeyAuthentication",
}
_SECONDS = 10
_AT_ONCE = 8


@dataclass(frozen=True)
class Wanted:
    """What ssh should do for the nodes of the mesh.

    :param account: the account that connects, here and there.
    :param key: its private key.
    :param known_hosts: the file with the host keys.
    :param everyone: that file is the system's, not the account's.
    :param peers: the port of each name by which a node is reached.
    :param led: the address that the mesh's own lines lead a name to.
    """

    account: Account
    key: Path
    known_hosts: Path
    everyone: bool
    peers: Mapping[str, int]
    led: Mapping[str, str]

    @property
    def known_hosts_keyword(self) -> str:
        """The setting that names the file with the host keys."""
        return "globalknownhostsfile" if self.everyone else "userknownhostsfile"


@dataclass(frozen=True)
class Configuration:
    """The parts of ssh's configuration, in the order in which they count.

    :param user: the account's own lines, without those of the mesh.
    :param ours: the lines of the mesh, wherever they lie.
    """

    user: str
    ours: str

    def text(self, first: str = "") -> str:
        """One file that says the same.

        :param first: lines to put before all others.
        """
        system = f"Include {SSH_CONFIG}\n" if SSH_CONFIG.exists() else ""
        return "Host *\n".join((first, self.user.rstrip("\n") + "\n", self.ours, system))


def peers_of(known_hosts: str) -> dict[str, int]:
    """The port of each name in lines of known_hosts."""
    found = {}
    for line in known_hosts.splitlines():
        for name in line.split(" ", 1)[0].split(","):
            host, bracket, port = name.rpartition("]:")
            found[host[1:] if bracket else name] = int(port) if bracket else 22
    return found


def led_by(ssh_config: str) -> dict[str, str]:
    """The address that Host blocks lead each of their names to."""
    found: dict[str, str] = {}
    names: list[str] = []
    for keyword, arguments in directives(ssh_config):
        if keyword == "host":
            names = arguments
        elif keyword == "hostname":
            found.update(dict.fromkeys(names, arguments[0]))
    return found


def settings_of(output: str) -> dict[str, list[str]]:
    """The values of each keyword in what C(ssh -G) prints."""
    found: dict[str, list[str]] = {}
    for line in output.splitlines():
        keyword, _blank, value = line.partition(" ")
        found.setdefault(keyword.lower(), []).append(value)
    return found


def _at_home(path: str, account: Account) -> str:
    for token in ("~", "%d"):
        if path == token or path.startswith(f"{token}/"):
            path = f"{account.home}{path[len(token) :]}"
    return path.replace("%u", account.name).replace("%%", "%")


def undone(name: str, settings: Settings, wanted: Wanted) -> list[str]:
    """The keywords by which ssh would do something else for a name than the mesh wants."""
    account = wanted.account

    def files(keyword: str) -> list[str]:
        return [_at_home(path, account) for value in settings.get(keyword, []) for path in value.split()]

    keys = [_at_home(value, account) for value in settings.get("identityfile", [])]
    right = {
        "user": settings.get("user") == [account.name],
        "identityfile": str(wanted.key) in keys,
        # ssh writes names in small letters.
        "hostname": settings.get("hostname") == [wanted.led.get(name, name).lower()],
        "port": settings.get("port") == [str(wanted.peers[name])],
        wanted.known_hosts_keyword: str(wanted.known_hosts) in files(wanted.known_hosts_keyword),
        "pubkeyauthentication": settings.get("pubkeyauthentication") not in (["no"], ["false"]),
    }
    return [keyword for keyword, holds in right.items() if not holds]


def _line(keyword: str, name: str, settings: Settings, wanted: Wanted) -> str:
    if keyword == wanted.known_hosts_keyword:
        # The files of others stay in effect.
        value = " ".join(dict.fromkeys([str(wanted.known_hosts), *" ".join(settings.get(keyword, [])).split()]))
    else:
        value = {
            "user": wanted.account.name,
            "identityfile": str(wanted.key),
            "hostname": wanted.led.get(name, "%h"),
            "port": str(wanted.peers[name]),
            "pubkeyauthentication": "yes",
        }[keyword]
    return f"    {_DECIDING[keyword]} {value}\n"


def _ask_all(configuration: str, wanted: Wanted, ask: Ask) -> tuple[dict[str, dict[str, list[str]]], str]:
    """What ssh says for each name, and what it has against its configuration."""
    with acting_as(wanted.account):
        descriptor, name = tempfile.mkstemp(prefix="ssh_config.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(configuration)
    path = Path(name)
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(lambda name: ask(name, path), wanted.peers))
    finally:
        with acting_as(wanted.account):
            path.unlink()
    refused = next((error for status, _out, error in answers if status), "")
    found = {name: settings_of(out) for name, (status, out, _error) in zip(wanted.peers, answers) if not status}
    return found, refused.strip().replace(f"{path}: ", "")


def _may_undo(user: str) -> bool:
    """Whether any line could; the defaults of a distribution do not, and then nothing has to be asked."""
    own = {keyword for keyword, _arguments in directives(user)}
    if "include" in own:
        return True
    return any(keyword in _DECIDING for keyword in (*own, *(keyword for _where, keyword, _a in _lines(SSH_CONFIG))))


def _lines(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """(file:line, keyword, arguments) of a configuration and of what it includes, without the mesh's own lines."""
    for file, number, (keyword, arguments) in located_directives(path):
        if not _is_ours(file, number):
            yield f"{file}:{number}", keyword, arguments


def _is_ours(path: Path, number: int) -> bool:
    text = read_text(path)
    before = [line.strip() for line in text.splitlines()[:number]]
    return text.startswith(HEADER) or before.count(BEGIN) > before.count(END)


def origin(keyword: str, name: str, files: Iterable[Path]) -> str:
    """The file and line whose value counts for a name; empty where none is found."""
    for path in files:
        applies = True
        for where, found, arguments in _lines(path):
            if found == "host":
                shunned = any(word.startswith("!") and fnmatchcase(name, word[1:]) for word in arguments)
                applies = not shunned and any(fnmatchcase(name, word) for word in arguments)
            elif found == "match":
                applies = True
            elif found == keyword and applies:
                return where
    return ""


@dataclass(frozen=True)
class Overrule:
    """What makes the mesh's settings count on a node.

    :param lines: Host blocks for the top of the account's configuration, empty where nothing undoes them.
    :param causes: the setting with its file and line, for each that would undo them.
    :param problems: sentences about what no line mends.
    """

    lines: str = ""
    causes: Sequence[str] = ()
    problems: Sequence[str] = ()


def overrule(configuration: Configuration, wanted: Wanted, ask: Ask) -> Overrule:
    """Ask ssh for every name of the mesh, and find the lines that put right what it says.

    :param ask: asks ssh as the account.
    """
    if not _may_undo(configuration.user):
        return Overrule()
    found, refused = _ask_all(configuration.text(), wanted, ask)
    if refused:
        return Overrule(problems=[f"ssh refuses its configuration for '{wanted.account.name}': {refused}"])
    files = (wanted.account.ssh / "config", SSH_CONFIG)
    blocks: dict[str, list[str]] = {}
    causes: dict[str, None] = {}
    for name, settings in found.items():
        keywords = undone(name, settings, wanted)
        if keywords:
            blocks.setdefault("".join(_line(word, name, settings, wanted) for word in keywords), []).append(name)
        for word in keywords:
            with acting_as(wanted.account):
                where = origin(word, name, files)
            causes[f"{_DECIDING[word]} ({where})" if where else _DECIDING[word]] = None
    lines = "".join(f"Host {' '.join(names)}\n{options}" for options, names in blocks.items())
    if not lines:
        return Overrule()
    mended, _refused = _ask_all(configuration.text(lines), wanted, ask)
    left = sorted({_DECIDING[word] for name, settings in mended.items() for word in undone(name, settings, wanted)})
    problems = [f"ssh for '{wanted.account.name}' does not take {word} from the mesh's lines." for word in left]
    return Overrule(lines, list(causes), problems)


def asking_as(account: Account) -> Ask:
    """Ask ssh with the identity of an account, whose home and name it then takes."""
    identity: dict[str, Any] = {}
    if os.geteuid() != account.uid:
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []}

    def ask(name: str, configuration: Path) -> tuple[int, str, str]:
        argv = ["ssh", "-G", "-F", str(configuration), "--", name]
        environment = {**os.environ, "HOME": str(account.home), "LC_ALL": "C"}
        try:
            # run_command of Ansible's modules has no time limit and no account, and is not made for threads.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                argv,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_SECONDS,
                check=False,
                text=True,
                cwd="/",
                env=environment,
                **identity,
            )
        except subprocess.TimeoutExpired:
            return 124, "", f"ssh -G did not answer within {_SECONDS} s"
        except OSError as error:
            return 127, "", f"ssh cannot be started ({error.strerror})"
        return done.returncode, done.stdout, done.stderr

    return ask
