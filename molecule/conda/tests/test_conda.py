"""What role conda promises about every node once it has run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

SCENARIO = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(host):
    """What the inventory and the scenario say of this node."""
    variables = host.ansible.get_variables()
    own = SCENARIO / "host_vars" / f"{variables['inventory_hostname']}.yml"
    return {**variables, **(yaml.safe_load(own.read_text()) if own.is_file() else {})}


@pytest.fixture(scope="module")
def user(site):
    return site.get("cluster_user", site["ansible_user"])


@pytest.fixture(scope="module")
def prefix(site):
    return site.get("cluster_prefix", "/opt/fromzero")


def as_user(host, user, command):
    with host.sudo(user):
        return host.check_output(command)


def test_conda_runs_by_its_full_path(host, user, prefix):
    assert as_user(host, user, f"{prefix}/conda/bin/conda --version").startswith("conda ")


def test_everything_belongs_to_the_user(host, user, prefix):
    with host.sudo():
        assert host.check_output(f"find {prefix} -not -user {user}") == ""


def test_the_environment_has_the_python_of_the_role(host, user, prefix, site):
    wanted = site["conda_python_version"]
    said = as_user(host, user, f"{prefix}/envs/train/bin/python -c 'import sys; print(sys.version, sys.prefix)'")
    assert said.startswith(f"{wanted}.")
    assert said.endswith(f"{prefix}/envs/train")


def test_pip_of_the_environment_installs_into_the_environment(host, user, prefix):
    pip = f"{prefix}/envs/train/bin/python -m pip"
    assert f" from {prefix}/envs/train/lib/python" in as_user(host, user, f"{pip} --version")


def test_the_environment_holds_the_further_packages(host, site, prefix):
    with host.sudo():
        records = host.check_output(f"ls {prefix}/envs/train/conda-meta").split()
    for name in ["python", "pip", *site.get("conda_packages", [])]:
        assert [record for record in records if record.startswith(f"{name}-")], name


def test_a_login_shell_knows_conda(host, user, prefix):
    with host.sudo():
        said = host.check_output(f"su - {user} -c 'type -t conda; conda info --json'")
    assert said.startswith("function\n")
    assert json.loads(said.removeprefix("function"))["root_prefix"] == f"{prefix}/conda"


@pytest.mark.parametrize("shell", ["bash -lc", "bash -ic"])
def test_a_shell_activates_the_environment_by_its_name(host, user, prefix, shell):
    """As after a login over ssh, and as in a terminal: with the user's own home, and nothing inherited."""
    ask = "import sys; print(sys.prefix)"
    typed = f"conda activate train && python -c '{ask}' && echo $CONDA_DEFAULT_ENV"
    with host.sudo():
        answer = host.run("runuser -u %s -- env -i HOME=$(getent passwd %s | cut -d: -f6) USER=%s PATH=/usr/bin:/bin "
                          f"TERM=dumb {shell} %s", user, user, user, typed)  # fmt: skip
    assert answer.stdout.split() == [f"{prefix}/envs/train", "train"], answer.stderr


def test_a_name_that_no_environment_has_is_refused(host, user):
    with host.sudo():
        assert host.run(f"su - {user} -c 'conda activate nothing'").failed


def test_an_environment_that_is_made_by_name_lies_where_conda_puts_it(host, user, prefix):
    """The folder of the training environment comes behind conda's own."""
    folders = json.loads(as_user(host, user, f"{prefix}/conda/bin/conda info --json"))["envs_dirs"]
    assert folders[0] == f"{prefix}/conda/envs"
    assert f"{prefix}/envs" in folders


def test_base_is_not_activated_by_itself(host, user):
    with host.sudo():
        assert "/conda/bin" not in host.check_output(f"su - {user} -c 'echo $PATH'")


def test_the_configuration_names_the_channels_of_the_site(host, user, site, prefix):
    condarc = yaml.safe_load(as_user(host, user, f"cat {prefix}/conda/.condarc"))
    assert condarc["channels"] == site["conda_channels"]
    assert condarc["auto_activate_base"] is False
    assert {name: condarc[name] for name in site.get("conda_config", {})} == site.get("conda_config", {})
    assert "plugins" not in condarc, "nobody accepted Anaconda's terms"


def test_no_installer_is_left_behind(host, user, prefix):
    with host.sudo():
        assert host.check_output(f"find ~{user}/.cache {prefix} -name '*.sh' -size +1M 2>/dev/null; true") == ""
        assert not host.file(f"{prefix}/conda.installing").exists
