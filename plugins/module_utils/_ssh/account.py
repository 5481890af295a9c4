# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Acting in the home of an account, as that account."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.keys import SshError


@dataclass(frozen=True)
class Account:
    """One line of the account database."""

    name: str
    uid: int
    gid: int
    home: Path

    @property
    def ssh(self) -> Path:
        """The account's folder for ssh."""
        return self.home / ".ssh"


def account_named(name: str) -> Account:
    """The account with this name, or the one that runs this process where the name is empty.

    :raises SshError: there is none.
    """
    try:
        entry = pwd.getpwnam(name) if name else pwd.getpwuid(os.geteuid())
    except KeyError as error:
        raise SshError(f"User '{name}' does not exist on this node; create it there or set cluster_user.") from error
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, home=Path(entry.pw_dir))


@contextmanager
def acting_as(account: Account) -> Iterator[None]:
    """Everything inside happens with the rights of the account, also where this process is root.

    What is written then belongs to the account, a link that it planted leads nowhere new, and a home on a network
    share that mistrusts root can be written.

    :raises SshError: this process is neither the account nor root.
    """
    if os.geteuid() == account.uid:
        yield
        return
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid()).pw_name
        raise SshError(
            f"The files of user '{account.name}' cannot be changed as '{me}'; "
            f"connect as '{account.name}', or let the play become root (cluster_become: true)."
        )
    groups, gid = os.getgroups(), os.getegid()
    os.initgroups(account.name, account.gid)
    os.setegid(account.gid)
    os.seteuid(account.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


def home_problems(account: Account) -> list[str]:
    """What about the home itself makes sshd refuse keys (its StrictModes); only the owner should change that."""
    try:
        home = account.home.stat()
    except OSError as error:
        raise SshError(
            f"The home {account.home} of user '{account.name}' cannot be used ({error.strerror}); create it first."
        ) from error
    found = []
    if home.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        found.append(
            f"The home {account.home} is writable by others than '{account.name}' "
            f"(mode {stat.S_IMODE(home.st_mode):04o}), so sshd may refuse its keys; run: chmod go-w {account.home}"
        )
    if home.st_uid not in (0, account.uid):
        found.append(
            f"The home {account.home} belongs to another account than '{account.name}', so sshd refuses its keys; "
            f"run: chown {account.name} {account.home}"
        )
    return found


def own_ssh_folder(account: Account, check: bool) -> bool:
    """Makes sure that ~/.ssh exists, belongs to the account and is closed to others; true when it was not so.

    To be called outside L(acting_as): only root can give away a folder of root.

    :raises SshError: something that is not a folder is in its place, or it belongs to somebody else.
    """
    folder = account.ssh
    with acting_as(account):
        try:
            found = folder.stat()
        except FileNotFoundError:
            if not check:
                folder.mkdir(mode=0o700)
            return True
    if not stat.S_ISDIR(found.st_mode):
        raise SshError(f"{folder} is not a folder; move it away, it is where ssh looks for keys.")
    stranger = found.st_uid != account.uid
    if stranger and (os.geteuid() != 0 or folder.is_symlink()):
        raise SshError(f"{folder} does not belong to '{account.name}'; run: chown -R {account.name} {folder}")
    loose = stat.S_IMODE(found.st_mode) != 0o700
    if not check:
        if stranger:
            os.chown(str(folder), account.uid, account.gid, follow_symlinks=False)
        if loose:
            with acting_as(account):
                folder.chmod(0o700)
    return stranger or loose
