# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What sshd's configuration in effect has against the logins of other nodes."""

from __future__ import annotations

import grp
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import Account
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.effective import origin, settings_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.sshd_config import SSHD_CONFIG


def _groups(account: Account) -> list[str]:
    found = []
    for number in os.getgrouplist(account.name, account.gid):
        try:
            found.append(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return found


def _keys_file(pattern: str, account: Account) -> Path:
    """A file of AuthorizedKeysFile for an account; one without a leading slash is in its home."""
    path = pattern.replace("%h", str(account.home)).replace("%u", account.name).replace("%%", "%")
    return account.home / path


def _listed(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a pattern means one of the names; what it says of hosts, C(name@host), is left out."""
    return any(fnmatchcase(name, pattern.split("@")[0]) for name in names for pattern in patterns)


def login_problems(account: Account, output: str, config: Path = SSHD_CONFIG) -> list[str]:
    """A sentence for each setting that keeps the other nodes out of the account.

    :param output: what C(sshd -T) prints for a connection of the account from another node.
    :param config: the configuration, to name the line.
    """
    settings = settings_of(output)

    def words(keyword: str) -> list[str]:
        return [word for value in settings.get(keyword, []) for word in value.split()]

    def setting(name: str) -> str:
        where = origin(name.lower(), account.name, [config])
        return f"{name} {' '.join(words(name.lower()))}{f' in {where}' if where else ''}"

    out = f"so no other node gets in as '{account.name}'"
    problems = []
    if words("pubkeyauthentication") == ["no"]:
        problems.append(f"sshd takes no keys on this node ({setting('PubkeyAuthentication')}), {out}; set it to yes.")
    files = words("authorizedkeysfile")
    if files and account.ssh / "authorized_keys" not in [_keys_file(name, account) for name in files]:
        problems.append(
            f"sshd does not look for keys in ~/.ssh/authorized_keys on this node ({setting('AuthorizedKeysFile')}), "
            f"{out}; add .ssh/authorized_keys there."
        )
    methods = words("authenticationmethods")
    if methods and not {"any", "publickey"} & set(methods):
        problems.append(
            f"sshd wants more than a key on this node ({setting('AuthenticationMethods')}), {out}; add publickey there."
        )
    names, groups = [account.name], _groups(account)
    for keyword, own in (("AllowUsers", names), ("AllowGroups", groups)):
        if words(keyword.lower()) and not _listed(own, words(keyword.lower())):
            problems.append(
                f"sshd lets only others in on this node ({setting(keyword)}), {out}; add {''.join(own[:1])} there."
            )
    for keyword, own in (("DenyUsers", names), ("DenyGroups", groups)):
        if _listed(own, words(keyword.lower())):
            problems.append(f"sshd refuses the account on this node ({setting(keyword)}), {out}; correct it there.")
    if account.uid == 0 and words("permitrootlogin") in (["no"], ["forced-commands-only"]):
        problems.append(
            f"sshd does not let root in on this node ({setting('PermitRootLogin')}), {out}; set it to "
            "prohibit-password, or use another account (cluster_user)."
        )
    return problems
