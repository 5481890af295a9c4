# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files of a node make it trust, and be trusted by, the other nodes, and what each must say."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from ansible_collections.fromzero.deepspeed.plugins.module_utils._cluster.identity import MEMORY, SYSTEM_FOLDER
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import left_behind
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import about
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.landing import Landing, land, see
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import Account, acting_as, own_ssh_folder
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.effective import (
    Configuration,
    Overrule,
    Wanted,
    asking_as,
    led_by,
    overrule,
    peers_of,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.login import login_problems
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.sshd_config import (
    HEADER,
    SSH_CONFIG,
    SSH_FOLDER,
    SSHD_CONFIG,
    SSHD_FOLDER,
    all_directives,
    authorized_keys_problem,
    includes_folder,
    openssh_version,
    read_text,
    sshd_limits,
    sshd_problem,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.text import (
    HOSTS,
    foreign,
    needs_copy,
    own_names,
    rival_lines,
    split_block,
    with_block,
    with_own_name,
    without_loopback_name,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._text.lists import listed

Runner = Callable[[Sequence[str]], tuple[int, str, str]]
DROP_IN = "10-fromzero-ssh-mesh.conf"
KNOWN_HOSTS = Path("/etc/ssh/ssh_known_hosts")
SYSTEM_MEMORY = SYSTEM_FOLDER / MEMORY
_SSHD = ("/usr/sbin/sshd", "/sbin/sshd", "/usr/local/sbin/sshd")
_UNIT_FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


@dataclass(frozen=True)
class Trust:
    """What a node shall know of the others.

    :param system: write the files of the system, not only those of the account.
    :param known_hosts: lines for ssh's known_hosts.
    :param authorized_keys: lines for the account's authorized_keys.
    :param ssh_config: lines for ssh's configuration, empty where the defaults lead to every node.
    :param key: the account's private key, empty where what ssh does with all this is not to be asked.
    :param memory: what the node remembers of its cluster, empty where it shall not.
    :param hosts: lines for /etc/hosts, None where that file is not ours to write.
    :param address: the node's own address between nodes.
    :param hostname_on_loopback: keep lines that give the node's own name to a loopback address.
    :param sshd_nodes: how many nodes may connect at once; 0 leaves sshd alone.
    :param sshd_networks: the networks of the cluster in CIDR form.
    """

    system: bool
    known_hosts: str
    authorized_keys: str
    ssh_config: str
    key: str = ""
    memory: str = ""
    hosts: str | None = None
    address: str = ""
    hostname_on_loopback: bool = False
    sshd_nodes: int = 0
    sshd_networks: Sequence[str] = ()


@dataclass
class Plan:
    """The files of the account and those of the system, in the order in which they land, and what to tell the user.

    :param left: what runs that were killed have left beside them.
    """

    own: list[Landing] = field(default_factory=list)
    system: list[Landing] = field(default_factory=list)
    sshd: Landing | None = None
    folder_changed: bool = False
    warnings: list[str] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)

    @property
    def landings(self) -> list[Landing]:
        """All of them."""
        return [*self.own, *self.system, *([self.sshd] if self.sshd else [])]


def _block(path: Path, block: str, mode: int | None, new_mode: int, first: bool = False) -> Landing:
    before = see(path)
    text = with_block(before.text or "", block, str(path), first)
    only_ours = before.text is not None and not foreign(before.text, str(path)).strip()
    return Landing(
        before=before,
        text=text if text or (before.text is not None and not only_ours) else None,
        mode=mode if before.text is not None else new_mode,
        ours=not needs_copy(before.text or "", text, str(path)),
    )


def _whole(path: Path, text: str) -> Landing:
    before = see(path)
    ours = before.text is not None and before.text.startswith(HEADER)
    keep = not text and before.text is not None and not ours
    return Landing(before=before, text=before.text if keep else text or None, mode=0o644, ours=ours)


def _memory(path: Path, text: str, trust: Trust, mode: int) -> list[Landing]:
    return [Landing(before=see(path), text=text or None, mode=mode, ours=True)] if trust.memory else []


def _overrule(account: Account, trust: Trust) -> Overrule:
    """What makes the mesh's settings count, whatever else ssh is configured to do."""
    if not trust.key:
        return Overrule()
    path = account.ssh / "config"
    with acting_as(account):
        configuration = Configuration(user=foreign(read_text(path), str(path)), ours=trust.ssh_config)
    wanted = Wanted(
        account=account,
        key=Path(trust.key),
        known_hosts=KNOWN_HOSTS if trust.system else account.ssh / "known_hosts",
        everyone=trust.system,
        peers=peers_of(trust.known_hosts),
        led=led_by(trust.ssh_config),
    )
    return overrule(configuration, wanted, asking_as(account))


def _config(account: Account, lines: str) -> Landing:
    """Our lines before all others; the last one ends their scope, so that what follows means what it meant."""
    block = f"{lines}Host *\n" if lines else ""
    return _block(account.ssh / "config", block, mode=None, new_mode=0o600, first=True)


def _account_files(account: Account, trust: Trust) -> list[Landing]:
    return [
        _block(account.ssh / "authorized_keys", trust.authorized_keys, mode=0o600, new_mode=0o600),
        _block(account.ssh / "known_hosts", "" if trust.system else trust.known_hosts, mode=None, new_mode=0o600),
        *_memory(account.ssh / MEMORY, "" if trust.system else trust.memory, trust, mode=0o600),
    ]


def hosts_text(text: str, trust: Trust, nodename: str) -> str:
    """The hosts file as it should be: our block first, as the first line with a name counts."""
    block = with_own_name(trust.hosts or "", trust.address, own_names(text, nodename))
    rest = text if trust.hostname_on_loopback or not trust.address else without_loopback_name(text, nodename)
    return with_block(rest, block, str(HOSTS), first=True)


def _hosts(trust: Trust, warnings: list[str]) -> Landing:
    before = see(HOSTS)
    text = before.text or ""
    wanted = hosts_text(text, trust, os.uname().nodename)
    rest = foreign(wanted, str(HOSTS))
    rivals = rival_lines(rest, split_block(wanted, str(HOSTS))[1])
    if rivals:
        pairs = listed(f"'{address} {name}'" for name, address in (rival.split(" ", 1) for rival in rivals))
        warnings.append(
            f"{HOSTS} says {pairs} outside the mesh's block, which has another address for that name; "
            "programs may take either, so remove what is wrong."
        )
    if "manage_etc_hosts" in rest:
        warnings.append(
            f"cloud-init writes {HOSTS} anew at each boot of this node (manage_etc_hosts), which takes the aliases "
            "away; set manage_etc_hosts: false in /etc/cloud/cloud.cfg.d."
        )
    return Landing(
        before=before,
        text=wanted,
        mode=None if before.text is not None else 0o644,
        ours=not needs_copy(text, wanted, str(HOSTS)),
    )


def _sshd() -> str | None:
    return next((name for name in _SSHD if os.access(name, os.X_OK)), None)


def _login_problems(account: Account, trust: Trust, runner: Runner) -> list[str]:
    """Sentences about what keeps the other nodes out of the account; sshd itself answers root alone."""
    sshd = _sshd()
    if trust.system and sshd:
        code, out, _err = runner(
            [sshd, "-T", "-C", f"user={account.name},host=node,addr={trust.address or '127.0.0.1'}"]
        )
        if code == 0:
            return login_problems(account, out)
    problem = authorized_keys_problem(list(all_directives(SSHD_CONFIG)))
    return [problem] if problem else []


def _limits(trust: Trust, runner: Runner, warnings: list[str]) -> Landing | None:
    sshd = _sshd()
    if sshd is None:
        warnings.append("No sshd was found on this node, so its limits were left alone; install openssh-server.")
        return None
    main = read_text(SSHD_CONFIG)
    if not includes_folder(main, SSHD_FOLDER):
        warnings.append(
            f"{SSHD_CONFIG} does not include {SSHD_FOLDER}/*.conf, so sshd keeps its limit of simultaneous logins; "
            f"add the line 'Include {SSHD_FOLDER}/*.conf' at its top, or set ssh_mesh_sshd_limits: false."
        )
        return None
    _code, out, err = runner(["ssh", "-V"])
    text = sshd_limits(trust.sshd_nodes, trust.sshd_networks, openssh_version(err or out))
    landing = _whole(SSHD_FOLDER / DROP_IN, text)
    if not landing.changed:
        return landing
    with tempfile.NamedTemporaryFile("w", prefix="sshd_config.", encoding="utf-8") as trial:
        # What sshd will read once the file is there: the first value of each option counts.
        trial.write(f"{text}\n{main}")
        trial.flush()
        problem = sshd_problem(runner, sshd, Path(trial.name))
    if problem:
        warnings.append(
            f"sshd -t refuses its configuration with {SSHD_FOLDER / DROP_IN}, so that file was not written: {problem}"
        )
        return None
    return landing


def plan(account: Account, trust: Trust, runner: Runner, check: bool) -> Plan:
    """What to do on this node.

    :raises SshError: the files of the account are out of reach, or a block of ours is damaged.
    """
    found = Plan(folder_changed=own_ssh_folder(account, check))
    found.warnings += _login_problems(account, trust, runner)
    drop_in = trust.system and includes_folder(read_text(SSH_CONFIG), SSH_FOLDER)
    overruled = _overrule(account, trust)
    found.warnings += overruled.problems
    with acting_as(account):
        config = _config(account, overruled.lines + ("" if drop_in else trust.ssh_config))
        found.own = [*_account_files(account, trust), config]
        found.left = _left_behind(found.own)
    if overruled.lines and config.changed:
        found.warnings.append(
            f"{listed(overruled.causes)} would keep ssh on this node from reaching the others as "
            f"'{account.name}'; lines at the top of {config.before.path} decide for the nodes instead."
        )
    if trust.system:
        found.system = [
            *_memory(SYSTEM_MEMORY, trust.memory, trust, mode=0o644),
            _block(KNOWN_HOSTS, trust.known_hosts, mode=None, new_mode=0o644),
        ]
        if drop_in:
            found.system.append(_whole(SSH_FOLDER / DROP_IN, trust.ssh_config and HEADER + trust.ssh_config))
        if trust.hosts is not None:
            found.system.append(_hosts(trust, found.warnings))
        if trust.sshd_nodes:
            found.sshd = _limits(trust, runner, found.warnings)
    found.left += _left_behind(found.landings[len(found.own) :])
    return found


def _left_behind(landings: Sequence[Landing]) -> list[Path]:
    return [part for landing in landings for part in left_behind(landing.before.path)]


def carry_out(account: Account, work: Plan) -> list[str]:
    """Lands every file that differs.

    :returns: the copies that were kept.
    """
    copies = []
    with acting_as(account):
        _remove(part for part in work.left if part.parent == account.ssh)
        copies += [_land(landing) for landing in work.own if landing.changed]
    _remove(part for part in work.left if part.parent != account.ssh)
    copies += [_land(landing) for landing in work.landings[len(work.own) :] if landing.changed]
    return [copy for copy in copies if copy]


def _remove(parts: Iterable[Path]) -> None:
    for part in parts:
        part.unlink()


def _land(landing: Landing) -> str | None:
    with about(landing.before.path):
        return land(landing)


def sshd_service() -> str:
    """The unit that runs sshd, empty where systemd does not run this node."""
    if not Path("/run/systemd/system").is_dir():
        return ""
    for name in ("ssh", "sshd"):
        if any((Path(folder) / f"{name}.service").exists() for folder in _UNIT_FOLDERS):
            return name
    return ""


def reads_old_limits(runner: Runner, service: str, limits: Path) -> bool:
    """Whether sshd has neither started nor reloaded since its limits were written, as after a run that was cut off."""
    _code, out, _err = runner(["systemctl", "show", service, "--property=ActiveState,StateChangeTimestampMonotonic"])
    state = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    microseconds = state.get("StateChangeTimestampMonotonic", "")
    if state.get("ActiveState") != "active" or not microseconds.isdigit() or not limits.exists():
        return False
    now, written = time.time(), limits.stat().st_mtime
    last = now - (time.monotonic() - int(microseconds) / 1e6)
    # A file from the future says only that a clock was set.
    return last < written <= now
