"""What a user has right after the site: the commands of the documentation work, and a job ends as a whole."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sandbox import typed

ROOT = Path(__file__).parents[3]
CONFIG = "/opt/fromzero/etc/ds_config.json"
JOB = """\
import os, sys, time
rank = int(os.environ["RANK"])
print("rank", rank, sys.argv[2:], flush=True)
if sys.argv[-1] == "raise" and rank == 3:
    raise ValueError("no more data")
if sys.argv[-1] in ("raise", "wait"):
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

    def type_(script, **options):
        command = [*typed.login(inventory), "bash", "-l"]
        return subprocess.run(command, input=f"{script}\n", text=True, capture_output=True, check=False, **options)

    made = type_(f"mkdir -p ~/job && cat > ~/job/train.py <<'END'\n{JOB}END")
    assert made.returncode == 0, made.stderr
    return type_


def left(head):
    """What runs of the job on both nodes; the brackets keep the search out of its own result."""
    return head("for n in node1 node2; do ssh $n pgrep -fc \"'train[.]py'\" || true; done").stdout.split()


def test_readme_works_as_it_stands(head):
    for block in typed.blocks(ROOT / "README.md"):
        done = head(f"set -e\n{block}")
        assert done.returncode == 0, done.stderr
        assert "Trained 60 steps on 4 ranks of 2 nodes" in done.stdout


def test_what_a_node_lacks_is_said_and_nothing_is_started(head):
    done = head("ssh node2 rm -rf job; cd ~/job && ds-launch train.py --deepspeed_config " + CONFIG)
    assert done.returncode == 2
    assert "node2 cannot enter the working folder /home/trainer/job" in done.stderr
    assert done.stdout == ""


def test_sync_brings_the_folder_and_arguments_arrive_as_typed(head):
    done = head("cd ~/job && ds-launch --sync train.py 'two words' '$HOME' 'q\"uo' é")
    assert done.returncode == 0, done.stderr
    lines = [line.split("] ", 1)[1] for line in done.stdout.splitlines()]
    assert sorted(lines) == [f"rank {rank} ['two words', '$HOME', 'q\"uo', 'é']" for rank in range(4)]


def test_a_file_that_differs_is_named(head):
    done = head("ssh node2 'echo >> job/train.py'; cd ~/job && ds-launch train.py")
    assert done.returncode == 2
    assert "/home/trainer/job/train.py (the script) has another content on node2 than here" in done.stderr


def test_a_rank_that_fails_ends_the_run_and_is_named(head):
    done = head("cd ~/job && ds-launch --sync train.py raise")
    assert done.returncode == 1
    assert "Rank 3 on node2 failed first: exit code 1" in done.stderr
    assert "ds-launch:     ValueError: no more data" in done.stderr
    assert left(head) == ["0", "0"]


def test_a_stopped_run_leaves_nothing(head):
    done = head("cd ~/job && timeout --signal INT 40 ds-launch --sync train.py wait; echo code $?")
    assert "Stopped by SIGINT" in done.stderr
    assert left(head) == ["0", "0"]
