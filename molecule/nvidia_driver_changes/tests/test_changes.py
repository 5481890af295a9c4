"""What role nvidia_driver promises where it must not, cannot, or may only later.

The tests follow each other on the same five nodes, as runs of a user would; each round is one run over some of them.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from pathlib import Path

import pytest
import testinfra
import yaml

SCENARIO = Path(__file__).parents[1]
PROJECT = SCENARIO.parents[1]
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"
USED, SECURE, RUNFILE, H100, BARE = "node1", "node2", "node3", "node4", "node5"
NVIDIA = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))["nodes"]["vars"]["sandbox_nvidia_folder"]
LIBRARIES = "/usr/lib/x86_64-linux-gnu"
# As large as what tells NVIDIA's installer from others, and as what it leaves.
INSTALLER = f"""\
#!/bin/sh
# This script was generated using Makeself
label="NVIDIA Accelerated Graphics Driver for Linux-x86_64 580.95.05"
case " $* " in *" --silent "*" --kernel-module-type=open "*) ;; *) echo "ERROR: $*" >&2; exit 1 ;; esac
[ ! -e /proc/driver/nvidia/version ] || {{ echo "ERROR: a module is loaded" >&2; exit 1; }}
for name in libnvidia-ml libcuda; do
    echo "$name 580.95.05" > {LIBRARIES}/$name.so.580.95.05
    ln -sf $name.so.580.95.05 {LIBRARIES}/$name.so.1
done
printf '#!/bin/sh\\nexec /usr/local/lib/fromzero-sim/nvidia-smi "$@"\\n' > /usr/bin/nvidia-smi
modules=/lib/modules/$(uname -r)/updates/dkms
mkdir -p "$modules" /var/lib/nvidia
printf 'version: 580.95.05\\nlicense: Dual MIT/GPL\\nvermagic: %s\\n' "$(uname -r)" > "$modules/nvidia.ko"
echo 580.95.05 > /var/lib/nvidia/log
printf '#!/bin/sh\\nsetsid sleep infinity > /dev/null 2>&1 &\\n' > /usr/bin/nvidia-persistenced
cat > /usr/bin/nvidia-uninstall <<'END'
#!/bin/sh
rm -rf {LIBRARIES}/libnvidia-ml.so.* {LIBRARIES}/libcuda.so.* /lib/modules/*/updates/dkms/nvidia.ko
rm -rf /usr/bin/nvidia-smi /usr/bin/nvidia-persistenced /usr/bin/nvidia-uninstall /var/lib/nvidia
END
chmod 0755 /usr/bin/nvidia-smi /usr/bin/nvidia-persistenced /usr/bin/nvidia-uninstall
"""


class Run:
    """What a run of the playbook printed, by node."""

    def __init__(self, done):
        self.output = done.stdout + done.stderr
        # Ansible breaks long lines of YAML.
        self.words = " ".join(self.output.split())

    def recap(self, node):
        """changed, failed and the like of a node."""
        line = re.search(rf"^{node} +: (.*)$", self.output, re.MULTILINE)
        assert line, self.output
        return {name: int(count) for name, count in re.findall(r"(\w+)=(\d+)", line[1])}

    def refused(self, node, *said):
        """Whether a node was refused, in these words, and nothing was changed there."""
        recap = self.recap(node)
        return (recap["failed"], recap["changed"]) == (1, 0) and all(word in self.words for word in said)


def play(folder, **nodes):
    """Run the role on some nodes, each with variables of its own."""
    inventory = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))
    for node, variables in nodes.items():
        inventory["nodes"]["hosts"][node].update(variables)
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
    command = ["ansible-playbook", "-i", str(path), str(SCENARIO / "converge.yml"), "--limit", ",".join(nodes)]
    colourless = {**os.environ, "ANSIBLE_FORCE_COLOR": "false"}
    return Run(subprocess.run(command, cwd=PROJECT, env=colourless, text=True, capture_output=True, check=False))


def sudo(node, command):
    host = testinfra.get_host(f"ansible://{node}?ansible_inventory={INVENTORY}")
    with host.sudo():
        return host.run(command)


def packages(node):
    return sudo(node, "dpkg-query --show --showformat '${db:Status-Abbrev}${Package} ${Version}\\n'").stdout


def sources(node):
    """All that a node has of repositories, keys and packages."""
    return sudo(node, "find /etc/apt /usr/share/keyrings -type f -exec sha256sum {} + | sort").stdout + packages(node)


def driver(node):
    return sudo(node, "nvidia-smi --query-gpu=driver_version --format=csv,noheader").stdout.split()


@pytest.fixture(scope="module")
def runfile(tmp_path_factory):
    path = tmp_path_factory.mktemp("runfile") / "NVIDIA-Linux-x86_64-580.95.05.run"
    path.write_text(INSTALLER, encoding="utf-8")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "nvidia_driver_source": "runfile",
        "nvidia_driver_version": "580.95.05",
        "nvidia_driver_runfile": str(path),
        "nvidia_driver_runfile_checksum": digest,
    }


@pytest.fixture(scope="module")
def refusals(tmp_path_factory, runfile):
    """The first round: nothing of what is asked for can or may be."""
    before = {node: packages(node) for node in (USED, SECURE, RUNFILE, H100, BARE)}
    run = play(
        tmp_path_factory.mktemp("refusals"),
        **{
            USED: {"nvidia_driver_branch": "550"},
            SECURE: {},
            RUNFILE: {},
            H100: {"nvidia_driver_manage": False},
            BARE: {**runfile, "nvidia_driver_runfile_checksum": "0" * 64},
        },
    )
    return run, before


@pytest.fixture(scope="module")
def allowed(tmp_path_factory, runfile, refusals):
    """The second round: what stood in the way is allowed, and one node is the machine that runs Ansible."""
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    sudo(USED, f"echo {boot_id} > /run/boot_id && mount --bind /run/boot_id /proc/sys/kernel/random/boot_id")
    run = play(
        tmp_path_factory.mktemp("allowed"),
        **{
            USED: {"nvidia_driver_branch": "550", "nvidia_driver_reboot": True},
            RUNFILE: {"nvidia_driver_remove_runfile": True},
            H100: {"nvidia_driver_version": "570.124.06"},
            BARE: runfile,
        },
    )
    sudo(USED, "umount /proc/sys/kernel/random/boot_id")
    return run


@pytest.fixture(scope="module")
def later(tmp_path_factory, allowed):
    """The third round: an upgrade that was meant, a reboot that may be, and packages that a run left by half."""
    sudo(RUNFILE, f"dpkg --unpack {NVIDIA}/debian12/x86_64/nvidia-persistenced_580.95.05-1_amd64.deb")
    assert "iU nvidia-persistenced" in packages(RUNFILE) or "hU nvidia-persistenced" in packages(RUNFILE)
    return play(
        tmp_path_factory.mktemp("later"),
        **{
            USED: {"nvidia_driver_branch": "550", "nvidia_driver_reboot": True},
            RUNFILE: {},
            H100: {"nvidia_driver_branch": "580"},
            BARE: {"nvidia_driver_least": "595.58.03", "nvidia_driver_branch": "595"},
        },
    )


def test_a_driver_that_may_not_be_changed_is_refused_with_what_it_lacks(refusals):
    said = "node4 has the driver 535.183.01, but it must be 580.65.06 or newer. nvidia_driver_manage is false for node4"
    assert refusals[0].refused(H100, said), refusals[0].output


def test_secure_boot_stops_with_the_steps_that_enrol_a_key(refusals):
    said = "mokutil --import /var/lib/dkms/mok.pub' on node2 and choose a password, reboot, take 'Enroll MOK'"
    assert refusals[0].refused(SECURE, said.replace("'", "''")) or refusals[0].refused(SECURE, said), refusals[0].output


def test_a_runfile_over_packages_is_named_with_the_way_out(refusals):
    said = "installer has left the driver 535.54.03 on node3"
    assert refusals[0].refused(RUNFILE, said, "nvidia_driver_remove_runfile"), refusals[0].output


def test_a_runfile_with_another_sum_is_not_run(refusals):
    run, before = refusals
    assert run.recap(BARE)["failed"] == 1
    assert "expected " + "0" * 64 in run.words
    assert driver(BARE) == []
    assert "nvidia" not in before[BARE]


def test_who_computes_is_not_disturbed_and_the_reboot_is_exported(refusals):
    run, _ = refusals
    assert run.recap(USED)["failed"] == 0
    assert "node1 needs a reboot before its driver runs" in run.words and "python (" in run.words
    assert "left on node1: True" in run.words


def test_what_was_refused_has_lost_and_got_no_package(refusals):
    run, before = refusals
    for node in (USED, SECURE, RUNFILE, H100):
        assert run.recap(node)["changed"] == 0 or node == USED
    assert before[SECURE] == packages(SECURE)


def test_the_machine_that_runs_ansible_is_not_rebooted(allowed):
    assert allowed.recap(USED)["failed"] == 0
    assert "which this role never reboots" in allowed.words
    assert "left on node1: True" in allowed.words


def test_a_runfiles_driver_goes_first_where_that_is_allowed(allowed):
    assert allowed.recap(RUNFILE)["failed"] == 0, allowed.output
    assert sudo(RUNFILE, "ls /usr/bin/nvidia-uninstall").rc != 0
    assert "ii nvidia-driver-535 " not in packages(RUNFILE)


def test_a_runfile_installs_a_driver_that_runs(allowed):
    assert allowed.recap(BARE)["failed"] == 0, allowed.output
    assert sudo(BARE, "ls /var/tmp/NVIDIA-Linux-x86_64-580.95.05.run").rc != 0
    assert sudo(BARE, "systemctl is-active nvidia-persistenced").stdout.strip() == "active"


def test_a_wished_version_comes_with_its_fabric_manager_and_is_held(allowed):
    assert allowed.recap(H100)["failed"] == 0, allowed.output
    log = sudo(H100, "cat /var/log/apt/history.log").stdout
    assert "nvidia-fabricmanager" in log and "570.124.06-1" in log
    assert "Commandline:" in log


def test_an_upgrade_that_is_meant_moves_the_holds(later):
    assert later.recap(H100)["failed"] == 0, later.output
    assert set(driver(H100)) == {"580.95.05"}
    held = sudo(H100, "apt-mark showhold").stdout.split()
    assert {"nvidia-open", "nvidia-fabricmanager", "nvidia-kernel-open-dkms"} <= set(held)
    assert sudo(H100, "systemctl is-active nvidia-fabricmanager").stdout.strip() == "active"


def test_an_upgrade_of_the_system_leaves_the_driver_where_it_is(later):
    planned = sudo(H100, "apt-get --simulate dist-upgrade").stdout
    assert not re.search(r"^Inst \S*nvidia", planned, re.MULTILINE)


def test_a_reboot_brings_module_and_library_together_where_it_may_be(later):
    assert later.recap(USED)["failed"] == 0, later.output
    assert set(driver(USED)) == {"550.163.01"}
    assert "left on node1: False" in later.words


def test_what_was_cut_off_is_brought_to_its_end(later):
    assert later.recap(RUNFILE)["failed"] == 0, later.output
    assert not re.search(r"^.U", packages(RUNFILE), re.MULTILINE)
    assert set(driver(RUNFILE)) == {"580.95.05"}


def test_packages_do_not_go_over_a_runfile(later):
    assert later.refused(BARE, "installer has left the driver 580.95.05 on node5"), later.output
    assert set(driver(BARE)) == {"580.95.05"}


SOURCES = [
    ("a repository that is not there", {"nvidia_driver_repository_url": "file:///srv/nowhere"}, "nowhere"),
    ("a keyring with another sum", {"nvidia_driver_keyring_checksum": "sha256:" + "0" * 64}, "0" * 64),
    (
        "a key that has not signed it",
        {
            "nvidia_driver_repository_url": f"file://{NVIDIA}/broken/foreign",
            "nvidia_driver_keyring_url": f"file://{NVIDIA}/keys/3bf863cc.pub",
            "nvidia_driver_keyring_checksum": "",
            "nvidia_driver_keyring_fingerprint": "",
        },
        "foreign",
    ),
]


@pytest.mark.parametrize(("case", "variables", "said"), SOURCES)
def test_a_source_that_cannot_be_trusted_leaves_nothing_behind(later, tmp_path, case, variables, said):
    before = sources(USED)
    run = play(tmp_path, **{USED: {"nvidia_driver_branch": "580", **variables}})
    assert run.refused(USED, said), run.output
    assert before == sources(USED)


def test_a_second_run_changes_nothing_and_asks_little(later, tmp_path):
    run = play(tmp_path, **{H100: {"nvidia_driver_branch": "580"}, USED: {"nvidia_driver_branch": "550"}})
    for node in (H100, USED):
        recap = run.recap(node)
        assert (recap["changed"], recap["failed"]) == (0, 0)
        # Facts, the role's inclusion with its specification, a look at the GPUs, and what is shown.
        assert recap["ok"] <= 5, run.output
