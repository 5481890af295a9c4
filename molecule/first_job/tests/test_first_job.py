"""What a user has right after the site: the commands of the documentation work, and a job ends as a whole."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from sandbox import typed

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIG = "/opt/fromzero/etc/ds_config.json"
JOB = """\
import os, signal, sys, time
rank = int(os.environ["RANK"])
print("rank", rank, sys.argv[2:], flush=True)
if sys.argv[-1] == "raise" and rank == 1:
    raise ValueError("no more data")
if sys.argv[-1] == "kill" and rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[-1] in ("raise", "kill", "wait"):
    time.sleep(300)
"""


@pytest.fixture(scope="module")
def inventory(request):
    return Path(request.config.getoption("ansible_inventory"))


@pytest.fixture(scope="module")
def head(host, inventory):
    """Types commands in a login shell on the head."""
    variables = host.ansible.get_variables()
    if variables["inventory_hostname"] != variables["groups"]["nodes"][0]:
        pytest.skip("not the head")

    def type_(script):
        command = typed.command(inventory, script)
        return subprocess.run(command, stdin=subprocess.DEVNULL, text=True, capture_output=True, check=False)

    made = type_(f"mkdir -p ~/job && cat > ~/job/train.py <<'END'\n{JOB}END")
    assert made.returncode == 0, made.stderr
    return type_


def left(head):
    """What runs of the job on all nodes; the brackets keep the search out of its own result."""
    count = "for n in node1 node2 node3; do ssh $n pgrep -fc \"'train[.]py'\" || true; done"
    return [number for number in head(count).stdout.split() if number != "0"]


@pytest.fixture
def two_nodes(head):
    """A hostfile of two nodes with two slots each, in place of three with one."""
    head("cp /job/hostfile ~/hostfile && sed -i '/node3/d; s/slots=1/slots=2/' /job/hostfile")
    yield
    head("cp ~/hostfile /job/hostfile")


def typed_as_it_stands(head, page, first=0, where="~"):
    """What the marked blocks of a page print, typed one after the other."""
    done = head("\n".join(["set -e", f"cd {where}", *typed.blocks(ROOT / page)[first:]]))
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_readme_runs_the_site_from_a_folder_of_the_users_own(head, inventory, tmp_path):
    """Its inventory with the addresses of these nodes, its commands as they stand; what is there already stays."""
    cluster = yaml.safe_load(inventory.read_text(encoding="utf-8"))["nodes"]
    [shown] = re.findall(r"^```yaml\n(nodes:\n.*?)^```$", README, re.M | re.S)
    mine = yaml.safe_load(shown)
    assert [*mine["nodes"]["hosts"]] == [*cluster["hosts"]][:2]
    mine["nodes"]["hosts"] = cluster["hosts"]
    user = mine["nodes"]["vars"]["ansible_user"] = cluster["vars"].pop("ansible_user")
    assert user == "trainer"
    folder = tmp_path / "my-cluster"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "hosts.yml").write_text(yaml.safe_dump(mine), encoding="utf-8")
    # What a site with mirrors of its own says of them, and how this machine reaches its nodes.
    site = {**cluster["vars"], "cluster_accelerator": "cpu", "hostfile_cpu_slots": 1}
    (folder / "group_vars" / "nodes.yml").write_text(yaml.safe_dump(site), encoding="utf-8")
    [commands] = re.findall(r"^```sh\n(ansible-playbook .*?)^```$", README, re.M | re.S)
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"), "ANSIBLE_FORCE_COLOR": "0"}
    for name in [name for name in environment if name in ("ANSIBLE_CONFIG", "ANSIBLE_ROLES_PATH")]:
        del environment[name]
    done = subprocess.run(
        ["sh", "-ec", commands], cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert "Stack torch-" in done.stdout
    # Files beside this inventory are new; on the nodes nothing changes.
    changed = re.findall(r"^changed: \[[^\]]*\]$", done.stdout, re.M)
    assert [line for line in changed if "-> localhost" not in line] == []
    assert json.loads((folder / "artifacts" / "verdict.json").read_text(encoding="utf-8"))["ok"] is True


def assert_trained(printed, ranks):
    assert f"Trained 60 steps on {ranks}" in printed
    first, last = re.findall(r"loss ([\d.]+) -> ([\d.]+)", printed)[-1]
    assert float(last) < float(first) - 1


def test_readme_works_as_it_stands(head):
    assert_trained(typed_as_it_stands(head, "README.md"), "3 ranks of 3 nodes")


@pytest.mark.usefixtures("two_nodes")
def test_readme_works_on_two_nodes_with_several_slots(head):
    assert_trained(typed_as_it_stands(head, "README.md"), "4 ranks of 2 nodes")


def test_the_example_saves_and_resumes_on_all_nodes(head):
    # The first block is that of README.
    printed = typed_as_it_stands(head, "examples/README.md", first=1, where="~/gpt")
    assert "step 40/40" in printed
    assert head("for n in node1 node2 node3; do ssh $n test -e gpt-checkpoint/latest || exit 1; done").returncode == 0


@pytest.mark.usefixtures("two_nodes")
def test_launching_works_as_it_stands(head):
    printed = typed_as_it_stands(head, "docs/launching.md")
    assert "Trained 2 steps on 2 ranks of 1 node" in printed
    assert printed.count("Trained 2 steps on 4 ranks of 2 nodes") == 3
    assert "Command  ds-launch --launcher torchrun train_gpt.py" in printed


def test_every_page_types_the_same_first_job():
    pages = ["README.md", "docs/getting-started.md", "examples/README.md"]
    first = [[line.strip() for line in typed.blocks(ROOT / page)[0].splitlines()] for page in pages]
    assert first[0] == first[1] == first[2]


def test_what_a_node_lacks_is_said_and_nothing_is_started(head):
    done = head("ssh node2 rm -rf job; ssh node3 rm -rf job; cd ~/job && ds-launch train.py " + CONFIG)
    assert done.returncode == 2
    assert "node2 and node3 cannot enter the working folder /home/trainer/job" in done.stderr
    assert done.stdout == ""


def test_sync_brings_the_folder_and_arguments_arrive_as_typed(head):
    done = head("cd ~/job && ds-launch --sync train.py 'two words' '$HOME' 'q\"uo' é")
    assert done.returncode == 0, done.stderr
    lines = [line.split("] ", 1)[1] for line in done.stdout.splitlines()]
    assert sorted(lines) == [f"rank {rank} ['two words', '$HOME', 'q\"uo', 'é']" for rank in range(3)]


def test_a_file_that_differs_is_named(head):
    done = head("ssh node2 'echo >> job/train.py'; cd ~/job && ds-launch train.py")
    assert done.returncode == 2
    assert "/home/trainer/job/train.py (the script) has another content on node2 than here" in done.stderr


def test_a_rank_that_fails_ends_the_run_and_is_named(head):
    done = head("cd ~/job && ds-launch --sync train.py raise")
    assert done.returncode == 1
    assert "Rank 1 on node2 failed first: exit code 1" in done.stderr
    assert "ds-launch:     ValueError: no more data" in done.stderr
    assert left(head) == []


def test_a_config_that_differs_is_named(head):
    change = "ssh node2 'cp {0} kept.json && echo >> {0}'"
    back = "ssh node2 'cp kept.json {0}'"
    launch = "cd ~/job && ds-launch train.py --deepspeed --deepspeed_config {0}; echo code $?"
    done = head("; ".join([change, launch, back]).format(CONFIG))
    assert done.stdout == "code 2\n"
    assert f"{CONFIG} (the argument {CONFIG}) has another content on node2 than here" in done.stderr


def test_a_rank_that_is_killed_is_named(head):
    done = head("cd ~/job && ds-launch --sync train.py kill")
    assert done.returncode == 137
    assert "Rank 1 on node2 failed first: ended by SIGKILL" in done.stderr
    assert left(head) == []


def test_a_stopped_run_leaves_nothing(head):
    done = head("cd ~/job && timeout --signal INT 20 ds-launch --sync train.py wait; echo code $?")
    assert "Stopped by SIGINT" in done.stderr
    assert left(head) == []


def test_two_launches_at_once_do_not_collide(head):
    both = "(ds-launch train.py a > a.out 2>&1; echo a $?) & (ds-launch train.py b > b.out 2>&1; echo b $?) & wait"
    done = head(f"cd ~/job && ds-launch --sync\n{both}")
    assert sorted(done.stdout.splitlines()) == ["a 0", "b 0"]


def test_a_node_that_stops_answering_is_named_and_the_others_are_ended(head, inventory):
    """The node is frozen by its container's engine, while its ranks run; 40 s are its time to answer."""
    container = f"fromzero-{inventory.parent.name}-node2"
    command = typed.command(inventory, "cd ~/job && ds-launch train.py wait")
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        begun = [process.stdout.readline() for _rank in range(3)]
        subprocess.run(["docker", "pause", container], check=True, capture_output=True)
        try:
            _out, err = process.communicate(timeout=180)
        finally:
            subprocess.run(["docker", "unpause", container], check=True, capture_output=True)
    assert all("rank" in line for line in begun)
    assert process.returncode == 255
    assert "node2 was lost" in err
    head("for second in $(seq 30); do ssh node2 pgrep -f \"'train[.]py'\" || break; sleep 1; done")
    assert left(head) == []
