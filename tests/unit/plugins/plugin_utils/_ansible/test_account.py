# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.account import as_user


class Become:
    """As far as an action uses Ansible's become plugin."""

    def __init__(self) -> None:
        self.options = {"become_user": "root"}
        self.success, self.prompt = "BECOME-SUCCESS-of-root", "[sudo of root]"

    def get_option(self, name: str) -> str:
        return self.options[name]

    def set_option(self, name: str, value: str) -> None:
        self.options[name] = value


class Action:
    """As far as the context uses an action."""

    def __init__(self, become: Become | None) -> None:
        self._connection = SimpleNamespace(become=become, _shell=SimpleNamespace(tmpdir="/tmp/of-root"))
        self.removed: list[Any] = []

    def _remove_tmp_path(self, path: str) -> None:
        self.removed.append(path)


def test_an_action_is_another_user_for_a_while_and_shares_no_folder_with_it() -> None:
    become = Become()
    action = Action(become)
    shell = action._connection._shell
    with as_user(action, "trainer"):
        assert (become.options["become_user"], shell.tmpdir) == ("trainer", None)
        shell.tmpdir = "/tmp/of-trainer"
    assert (become.options["become_user"], shell.tmpdir, action.removed) == (
        "root",
        "/tmp/of-root",
        ["/tmp/of-trainer"],
    )


def test_a_command_that_become_does_not_wrap_waits_for_no_word_of_the_one_before() -> None:
    become = Become()
    with as_user(Action(become), "trainer"):
        assert (become.success, become.prompt) == ("", "")


def test_the_account_is_restored_after_a_failure() -> None:
    become = Become()
    with pytest.raises(ValueError, match="broken"), as_user(Action(become), "trainer"):
        raise ValueError("broken")
    assert become.options["become_user"] == "root"


@pytest.mark.parametrize(("become", "user"), [(None, "trainer"), (Become(), "")])
def test_without_become_or_user_nothing_changes(become: Become | None, user: str) -> None:
    action = Action(become)
    with as_user(action, user):
        assert action._connection._shell.tmpdir == "/tmp/of-root"
        assert become is None or become.options["become_user"] == "root"
