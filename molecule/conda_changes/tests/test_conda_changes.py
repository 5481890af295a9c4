"""What role conda promises where something is wrong or changes, on a node that has it, at prefixes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

SCENARIO = Path(__file__).parents[1]
ROOT = SCENARIO.parents[1]


@pytest.fixture
def prefix(host, request):
    """A prefix that nothing has touched, away afterwards."""
    folder = f"/opt/{request.node.originalname.removeprefix('test_')[:40]}"
    yield folder
    with host.sudo():
        host.check_output(f"rm -rf {folder} {folder}.*")


@pytest.fixture(scope="module")
def site(host):
    return host.ansible.get_variables()


def command(*options, **variables):
    inventory = ROOT / "build" / "clusters" / SCENARIO.name / "hosts.yml"
    return [
        "ansible-playbook",
        f"--inventory={inventory}",
        *options,
        f"--extra-vars={json.dumps(variables)}",
        str(SCENARIO / "converge.yml"),
    ]


def role(*options, **variables):
    """Apply the role; return the exit code, and what was printed as one line."""
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "NO_COLOR": "1", "COLUMNS": "10000"}
    done = subprocess.run(
        command(*options, **variables), cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def changed(output):
    return "changed=0 " not in output


def test_a_wrong_checksum_is_told_with_both_sums_and_nothing_is_installed(host, prefix, site):
    wrong = "0" * 64
    code, output = role(cluster_prefix=prefix, conda_installer_checksum=wrong)
    assert code != 0, output
    assert f"expected {wrong}, found {site['conda_installer_checksum']}" in output
    assert host.check_output(f"ls -A {prefix}") == ""


def test_anacondas_terms_are_refused_before_anything_changes(host, prefix):
    for variables in ({"conda_distribution": "miniconda"}, {"conda_channels": ["defaults"]}):
        code, output = role(cluster_prefix=prefix, **variables)
        assert code != 0
        assert "conda_accept_anaconda_terms: true" in output
        assert not host.file(prefix).exists


def test_existing_wants_a_conda_and_changes_nothing(host, prefix):
    code, output = role(cluster_prefix=prefix, conda_distribution="existing")
    assert code != 0, output
    assert f"There is no conda at {prefix}/conda/bin/conda" in output
    assert not host.file(prefix).exists


def test_an_installer_that_was_cut_off_is_moved_aside_and_run_again(host, prefix, site, tmp_path):
    slow = "/tmp/slow-installer.sh"
    host.check_output(f"printf 'mkdir -p $3/pkgs; sleep 321; exit 1\\n' > {slow}")
    slow_sum = host.check_output(f"sha256sum {slow}").split()[0]
    argv = command(cluster_prefix=prefix, conda_installer_url=f"file://{slow}", conda_installer_checksum=slow_sum)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    with subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 300
        while not host.file(f"{prefix}/conda/pkgs").exists:
            assert time.monotonic() < deadline, "the installer never began"
            time.sleep(0.3)
        with host.sudo():
            host.check_output(f"kill -KILL $(cat {prefix}/conda.installing); pkill -KILL -f '[s]low-installer'")
            host.check_output("pkill -KILL -x sleep")
        assert run.wait(300) != 0
    code, output = role(cluster_prefix=prefix)
    assert code == 0, output
    assert host.check_output(f"{prefix}/conda/bin/conda --version")
    assert host.check_output(f"ls {prefix}") == "conda\nenvs"
    assert not host.file(f"{prefix}/conda.installing").exists


def test_a_conda_that_does_not_work_is_reported_and_left_alone(host, prefix):
    with host.sudo():
        host.check_output(f"mkdir -p {prefix}/conda/pkgs {prefix}/conda/envs/thesis")
    code, output = role(cluster_prefix=prefix)
    assert code != 0, output
    assert f"{prefix}/conda holds an installation of conda that is not whole: it has no bin/conda" in output
    assert host.file(f"{prefix}/conda/envs/thesis").exists


def test_a_conda_that_is_there_is_adopted_untouched(host, prefix, site):
    installer = site["conda_installer_url"].removeprefix("file://")
    with host.sudo():
        host.check_output(f"bash {installer} -b -p {prefix}/own && echo 'channels: [mine]' > {prefix}/own/.condarc")
        before = host.check_output(f"find {prefix}/own -type f -not -name '*.pyc' -exec sha256sum {{}} + | sort")
    code, output = role(cluster_prefix=f"{prefix}/cluster", conda_prefix=f"{prefix}/own", conda_distribution="existing")
    assert code == 0, output
    with host.sudo():
        after = host.check_output(f"find {prefix}/own -type f -not -name '*.pyc' -exec sha256sum {{}} + | sort")
    assert after == before
    assert host.check_output(f"stat -c %U {prefix}/own {prefix}/cluster/envs/train").split() == ["root", "trainer"]
    assert not changed(
        role(cluster_prefix=f"{prefix}/cluster", conda_prefix=f"{prefix}/own", conda_distribution="existing")[1]
    )


def test_an_adopted_conda_activates_the_environment_and_the_users_own_condarc_stays(host, prefix, site):
    installer = site["conda_installer_url"].removeprefix("file://")
    own = "# mine\nenvs_dirs:\n  - ~/thesis\nchannels: [mine]\n"
    with host.sudo():
        host.check_output(f"bash {installer} -b -p {prefix}/own")
    host.check_output(f"printf '{own}' > ~/.condarc")
    variables = {"cluster_prefix": f"{prefix}/cluster", "conda_prefix": f"{prefix}/own"}
    code, output = role(conda_distribution="existing", **variables)
    assert code == 0, output
    typed = "conda activate train && python -c 'import sys; print(sys.prefix)'"
    for shell in ("bash -lc", "bash -ic"):
        assert host.check_output(f"{shell} %s", typed) == f"{prefix}/cluster/envs/train"
    assert host.file("/home/trainer/.condarc").content_string == own
    folders = json.loads(host.check_output(f"{prefix}/own/bin/conda info --json"))["envs_dirs"]
    assert folders == [
        "/home/trainer/thesis",
        f"{prefix}/own/envs",
        "/home/trainer/.conda/envs",
        f"{prefix}/cluster/envs",
    ]
    host.check_output("rm -r ~/.condarc ~/.conda/condarc.d")
    assert role()[0] == 0


def test_a_further_package_is_shown_then_added_once(host, site):
    code, output = role("--check", "--diff", conda_packages=["setuptools>=60"])
    assert code == 0, output
    assert "+setuptools " in output
    assert not host.run("ls /opt/fromzero/envs/train/conda-meta/setuptools-*").succeeded
    code, output = role(conda_packages=["setuptools>=60"])
    assert code == 0, output
    assert host.run("ls /opt/fromzero/envs/train/conda-meta/setuptools-*").succeeded
    assert not changed(role(conda_packages=["setuptools>=60"])[1])


def test_a_python_that_no_channel_has_is_named_and_the_environment_stays(host, site):
    code, output = role(conda_python_version="3.99")
    assert code != 0, output
    assert "'python=3.99'" in output
    assert site["conda_channels"][0] in output
    assert host.run("/opt/fromzero/envs/train/bin/python -c ''").succeeded


def test_a_channel_that_does_not_answer_is_named(prefix, site):
    code, output = role(cluster_environment=f"/home/trainer/{Path(prefix).name}", conda_channels=["file:///nowhere"])
    assert code != 0, output
    assert "conda cannot read the channels file:///nowhere" in output


def test_an_interpreter_that_is_gone_is_brought_back(host):
    host.check_output("rm /opt/fromzero/envs/train/bin/python*")
    code, output = role()
    assert code == 0, output
    assert host.run("/opt/fromzero/envs/train/bin/python -c ''").succeeded


def test_the_shell_is_left_alone_where_that_is_wished(host):
    code, output = role(conda_shell_init=False)
    assert code == 0, output
    assert "conda" not in host.file("/home/trainer/.bashrc").content_string
    code, _ = role()
    assert code == 0
    assert "etc/profile.d/conda.sh" in host.file("/home/trainer/.bashrc").content_string
