"""What the modules cuda_repository and package_transaction promise on a node with a real apt."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

VERSION = "570.124.06-1"


@pytest.fixture(scope="module")
def call(tmp_path_factory):
    """Run a module of the collection on the node, and return what it says."""

    def run(module, check=False, **arguments):
        inventory = f"build/clusters/{os.environ['MOLECULE_SCENARIO_NAME']}/hosts.yml"
        argv = ["ansible", "node1", "--become", "-i", inventory, "-m", f"fromzero.deepspeed.{module}"]
        argv += ["-a", json.dumps(arguments), *(["--check"] if check else [])]
        environment = {**os.environ, "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_STDOUT_CALLBACK": "json"}
        folder = os.environ["MOLECULE_PROJECT_DIRECTORY"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment, cwd=folder)
        result = json.loads(done.stdout[done.stdout.index("{") :])
        return result["plays"][0]["tasks"][0]["hosts"]["node1"]

    return run


@pytest.fixture
def variables(host):
    return host.ansible.get_variables()


@pytest.fixture
def sources(host):
    """Everything that says where packages come from, with its content."""

    def read():
        places = "/etc/apt/sources.list.d /etc/apt/preferences.d /etc/apt/keyrings /usr/share/keyrings"
        return host.check_output(f"find {places} -type f | sort | xargs md5sum; dpkg-query -W cuda-keyring")

    return read


def installed(host):
    lines = host.check_output(r"dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n'").splitlines()
    return {words[0]: words[1] for words in map(str.split, lines) if words[2][1] == "i"}


def test_install_and_removal_are_one_entry_in_the_log(host):
    log = host.file("/var/log/apt/history.log").content_string.split("\n\n")
    entries = [entry for entry in log if "nvidia-open" in entry]
    assert len(entries) == 1
    assert {line.partition(":")[0] for line in entries[0].splitlines()} >= {"Install", "Remove"}
    assert "nvidia-driver-450" in entries[0].partition("Remove:")[2]


def test_no_package_of_another_branch_is_left(host):
    drivers = {name: version for name, version in installed(host).items() if "nvidia" in name}
    drivers.pop("nvidia-driver-pinning-570")
    assert set(drivers.values()) == {VERSION}


def test_dependencies_came_in_the_version_that_was_pinned(host):
    assert installed(host)["libcuda1"] == VERSION
    assert host.file("/usr/lib/x86_64-linux-gnu/libcuda.so.570.124.06").exists


def test_dependencies_count_as_installed_along(host):
    manual = host.check_output("apt-mark showmanual").split()
    assert "nvidia-open" in manual
    assert "libcuda1" not in manual


def test_dpkg_has_nothing_to_complain_of(host):
    with host.sudo():
        assert host.check_output("dpkg --audit") == ""
        host.run_expect([0], "apt-get check")


def test_no_other_entry_for_the_repository_is_in_use(host):
    assert not host.file("/etc/apt/sources.list.d/cuda-ubuntu2004-x86_64.list").exists
    assert not host.file("/etc/apt/sources.list.d/mirror.list").exists
    assert not host.run("ls /etc/apt/sources.list.d/cuda-debian12*").stdout
    kept = host.check_output("ls /etc/apt/sources.list.d").split()
    assert len([name for name in kept if name.endswith("~")]) == 2
    with host.sudo():
        assert "Conflicting values" not in host.run("apt-get update 2>&1").stdout


def test_nothing_that_apt_trusts_can_be_written_by_others(host):
    places = "/etc/apt /usr/share/keyrings"
    assert host.check_output(f"find {places} -perm /022 ! -type l") == ""
    assert not host.file("/etc/apt/trusted.gpg").exists


def test_an_upgrade_of_the_system_moves_nothing_that_is_held(host):
    with host.sudo():
        host.run_expect([0], "apt-get update")
        simulated = host.check_output("apt-get --simulate dist-upgrade")
        # Without the holds it would: a newer version is on offer, and the pin allows it.
        freed = host.check_output("apt-get --simulate --ignore-hold dist-upgrade")
    assert "Inst nvidia-open" not in simulated
    assert "Inst libcuda1" not in simulated
    assert "Inst nvidia-open [570.124.06-1] (570.172.08-1" in freed


def test_what_is_held_moves_only_with_leave(call):
    result = call("package_transaction", check=True, install=["nvidia-open=570.172.08*"])
    assert "nvidia-open" in result["msg"]
    assert "unhold" in result["msg"]


def test_a_name_that_nobody_has_is_told_with_the_sources(call):
    result = call("package_transaction", install=["nvidia-driver-of-nobody"])
    assert "No package nvidia-driver-of-nobody is in the sources of this node (" in result["msg"]


def test_what_would_go_along_is_named_before_anything_goes(host, call):
    result = call("package_transaction", remove=["libcuda1"], unhold=["*"])
    assert "This would also remove nvidia-driver-cuda, nvidia-open, which nobody asked for" in result["msg"]
    assert installed(host)["libcuda1"] == VERSION


def test_what_the_system_needs_never_goes(host, call):
    result = call("package_transaction", remove=["diffutils"], allow_removing=["*"])
    assert "without which the system does not work" in result["msg"]
    assert "diffutils" in installed(host)


def test_an_older_version_needs_leave(call):
    pins = [{"packages": "src:*nvidia*:any", "version": "550.163.01*"}]
    arguments = {"install": ["nvidia-open=550.163.01*"], "pins": pins, "unhold": ["*nvidia*", "lib*"]}
    assert "set allow_downgrade" in call("package_transaction", check=True, **arguments)["msg"]
    allowed = call("package_transaction", check=True, allow_downgrade=True, **arguments)
    assert allowed["downgraded"]["libcuda1"] == {"before": VERSION, "after": "550.163.01-1"}


def test_a_lock_is_waited_for_and_its_owner_named(host, call):
    take = (
        "import fcntl,time; f=open('/var/lib/dpkg/lock-frontend','w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep(300)"
    )
    with host.sudo():
        host.check_output("systemd-run --quiet --unit=locker python3 -c %s", take)
        result = call("package_transaction", install=["nvlsm"], lock_timeout=2)
        host.check_output("systemctl stop locker")
    assert "/var/lib/dpkg/lock-frontend is held by process" in result["msg"]
    assert "(python3), and was not given back within 2 s" in result["msg"]


def test_what_was_interrupted_is_named_and_mended_where_wanted(host, call, variables):
    folder = variables["nvidia_driver_repository_url"].removeprefix("file://")
    with host.sudo():
        host.check_output(f"dpkg --unpack {folder}/nvlsm_*.deb")
    refused = call("package_transaction", install=["linux-headers-amd64"], repair=False)
    assert "nvlsm is not fully installed" in refused["msg"]
    mended = call("package_transaction", install=["linux-headers-amd64"])
    assert mended["repaired"] == ["nvlsm"]
    assert call("package_transaction", remove=["nvlsm", "linux-headers-*"])["changed"]


WRONG = {
    "unsigned": ("is not signed", "broken/unsigned"),
    "signed by another key": ("is signed by the key", "broken/foreign"),
    "nowhere": ("holds no repository", "nowhere"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_repository_leaves_everything_as_it_was(call, variables, sources, name):
    sentence, path = WRONG[name]
    before = sources()
    folder = variables["sandbox_nvidia_folder"]
    result = call("cuda_repository", url=f"file://{folder}/{path}", keyring=variables["nvidia_driver_keyring_url"])
    assert sentence in result["msg"]
    assert sources() == before


def test_a_closed_port_leaves_everything_as_it_was(call, variables, sources):
    before = sources()
    result = call("cuda_repository", url="http://127.0.0.1:9/cuda", keyring=variables["nvidia_driver_keyring_url"])
    assert "http://127.0.0.1:9/cuda/ does not answer: Could not connect" in result["msg"]
    assert sources() == before


def test_another_sum_leaves_everything_as_it_was(call, variables, sources):
    before = sources()
    arguments = {"url": variables["nvidia_driver_repository_url"], "keyring": variables["nvidia_driver_keyring_url"]}
    result = call("cuda_repository", checksum="0" * 64, **arguments)
    assert "has the SHA-256 sum" in result["msg"]
    assert sources() == before
