"""What role conda promises where the play may not use root."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def home(host):
    return host.user(host.ansible.get_variables()["ansible_user"]).home


def test_conda_and_the_environment_are_in_the_home(host, home):
    assert host.run(f"{home}/fromzero/conda/bin/conda --version").succeeded
    assert host.check_output(f"{home}/fromzero/envs/train/bin/python -c 'import sys; print(sys.prefix)'") == (
        f"{home}/fromzero/envs/train"
    )


def test_nothing_belongs_to_root(host, home):
    assert host.check_output(f"find {home}/fromzero {home}/.bashrc -user root") == ""


def test_nothing_was_written_outside_the_home(host, home):
    """Newer than the authorized keys: since the node was handed over."""
    written = host.check_output(
        f"find /etc /opt /srv /usr/local -newer {home}/.ssh/authorized_keys -type f 2>/dev/null; true"
    )
    assert written == ""


@pytest.mark.parametrize("shell", ["bash -lc", "bash -ic"])
def test_a_shell_activates_the_environment_by_its_name(host, home, shell):
    typed = "conda activate train && python -c 'import sys; print(sys.prefix)'"
    assert host.check_output(f"{shell} %s", typed) == f"{home}/fromzero/envs/train"


def test_a_login_shell_knows_conda(host, home):
    assert host.check_output("bash -lc 'type -t conda'") == "function"
