from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import login
from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh.account import Account

GOOD = """\
port 22
permitrootlogin without-password
pubkeyauthentication yes
authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2
authenticationmethods any
"""
# sshd's configuration in effect, a line of it; a part of the sentence, none where the account gets in
CASES = {
    "the defaults": ("", ""),
    "no keys": (
        "pubkeyauthentication no",
        "takes no keys on this node (PubkeyAuthentication no in ROOT/sshd_config:1)",
    ),
    "keys elsewhere": ("authorizedkeysfile /etc/ssh/keys/%u", "does not look for keys in ~/.ssh/authorized_keys"),
    "the same file by tokens": ("authorizedkeysfile %h/.ssh/authorized_keys", ""),
    "the same file by its path": ("authorizedkeysfile HOME/.ssh/authorized_keys", ""),
    "a second factor": ("authenticationmethods publickey,keyboard-interactive", "wants more than a key"),
    "a second factor or a key": ("authenticationmethods publickey,password publickey", ""),
    "other users": ("allowusers ada grace", "lets only others in on this node (AllowUsers ada grace"),
    "users by a pattern": ("allowusers ada\nallowusers train*@10.0.0.0/8", ""),
    "other groups": ("allowgroups wheel", "lets only others in on this node (AllowGroups wheel"),
    "its group": ("allowgroups wheel gpu", ""),
    "refused": ("denyusers trainer", "refuses the account on this node (DenyUsers trainer"),
    "its group refused": ("denygroups gpu", "refuses the account on this node (DenyGroups gpu"),
    "root is another account": ("permitrootlogin no", ""),
}


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr(login, "_groups", lambda _account: ["trainer", "gpu"])
    return Account("trainer", 1000, 1000, tmp_path / "home")


def problems(account: Account, changed: str) -> list[str]:
    root = account.home.parent
    changed = changed.replace("HOME", str(account.home))
    keywords = {line.split()[0] for line in changed.splitlines()}
    (root / "sshd_config").write_text(f"{changed}\n", encoding="utf-8")
    rest = [line for line in GOOD.splitlines() if line.split()[0] not in keywords]
    return login.login_problems(account, "\n".join([*rest, changed]), root / "sshd_config")


@pytest.mark.parametrize(("changed", "part"), CASES.values(), ids=CASES.keys())
def test_what_keeps_the_others_out_is_a_sentence(account: Account, changed: str, part: str) -> None:
    found = problems(account, changed)
    if not part:
        assert found == []
        return
    [sentence] = found
    assert part.replace("ROOT", str(account.home.parent)) in sentence
    assert "so no other node gets in as 'trainer'" in sentence


def test_root_may_be_kept_out(account: Account) -> None:
    [sentence] = problems(Account("root", 0, 0, account.home), "permitrootlogin no")
    assert "does not let root in on this node (PermitRootLogin no" in sentence
    assert problems(Account("root", 0, 0, account.home), "permitrootlogin without-password") == []


def test_groups_of_an_account_are_those_of_the_system() -> None:
    assert "root" in login._groups(Account("root", 0, 0, Path("/root")))
