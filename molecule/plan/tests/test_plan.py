"""What the plan promises: one stack that every node runs, or every reason against one, and no change on any node."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PLAN = "fromzero.deepspeed.plan"
PLAIN = os.environ | {"ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_NOCOLOR": "true"}
Play = Callable[..., "Run"]


# What a role would read.
ROLES_READ = """
- name: Read what roles read
  hosts: nodes
  gather_facts: false
  tasks:
    - name: Show it
      ansible.builtin.debug:
        msg: >-
          {{ inventory_hostname }} reads {{ lookup('fromzero.deepspeed.plan', 'torch.version') }}
          {{ lookup('fromzero.deepspeed.plan', 'node.driver.flavour', default='auto') }}
          {{ lookup('fromzero.deepspeed.cluster', 'cluster_accelerator') }}
          {{ 'alone' if ansible_facts['preflight_plan']['nodes'] is not defined else 'with all' }}
"""


class Run:
    """How a run ended, and the plan that it wrote down."""

    def __init__(self, done: subprocess.CompletedProcess[str], record: Path, began: float) -> None:
        self.code = done.returncode
        self.output = done.stdout + done.stderr
        self.said = re.sub(r"\s+", " ", self.output)
        self.record = record
        self.began = began
        self.changed = sum(map(int, re.findall(r"changed=(\d+)", done.stdout)))

    @property
    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load(self.record.read_text(encoding="utf-8"))
        return found

    @property
    def table(self) -> list[str]:
        """The lines of the table."""
        lines = self.output.splitlines()
        first = next(number for number, line in enumerate(lines) if line.startswith("node "))
        return lines[first : lines.index("", first)]


@pytest.fixture(scope="module")
def inventory(pytestconfig: pytest.Config) -> Path:
    return Path(pytestconfig.getoption("ansible_inventory"))


@pytest.fixture(scope="module")
def addresses(inventory: Path) -> list[str]:
    hosts = yaml.safe_load(inventory.read_text(encoding="utf-8"))["nodes"]["hosts"]
    return [host["ansible_host"] for host in hosts.values()]


def run_in(
    folder: Path,
    inventory: Path,
    *arguments: str,
    hosts: Any = None,
    cwd: Path = ROOT,
    env: dict[str, str] = PLAIN,
    **variables: Any,
) -> Run:
    """Run a playbook with the scenario's inventory; what the run writes down goes to the folder."""
    more = folder / "more.yml"
    more.write_text(yaml.safe_dump({"nodes": {"hosts": hosts or {}}}), encoding="utf-8")
    extra = json.dumps({"cluster_artifacts": str(folder / "artifacts"), **variables})
    command = ["ansible-playbook", "-i", str(inventory), "-i", str(more), "-e", extra, *(arguments or (PLAN,))]
    began = time.time()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    return Run(done, folder / "artifacts" / "plan.yml", began)


@pytest.fixture(scope="module")
def whole(inventory: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that looks at all nodes."""
    folder = tmp_path_factory.mktemp("whole")
    playbook = folder / "playbook.yml"
    playbook.write_text(f"- ansible.builtin.import_playbook: {PLAN}\n{ROLES_READ}", encoding="utf-8")
    return run_in(folder, inventory, str(playbook))


@pytest.fixture
def play(inventory: Path, tmp_path: Path) -> Play:
    """Runs a playbook as if nothing had run before."""
    return functools.partial(run_in, tmp_path, inventory)


@pytest.fixture
def play_again(whole: Run, play: Play, tmp_path: Path) -> Play:
    """Runs a playbook after the one that looked at all nodes."""
    (tmp_path / "artifacts").mkdir()
    shutil.copy(whole.record, tmp_path / "artifacts")
    return play


def test_the_plan_is_the_newest_that_every_node_runs(whole: Run) -> None:
    assert whole.code == 0, whole.output
    plan = whole.plan
    assert (plan["torch"]["version"], plan["torch"]["build"]) == ("2.13.0", "cu126")
    assert (plan["cuda"]["version"], plan["python"], plan["deepspeed"]) == ("12.6", "3.11", "0.19.8")
    drivers = {name: node["plan"]["driver"] for name, node in plan["nodes"].items()}
    assert {name: (driver["action"], driver["branch"], driver["flavour"]) for name, driver in drivers.items()} == {
        "node1": ("upgrade", "580", "open"),
        "node2": ("upgrade", "580", "proprietary"),
    }


def test_a_table_and_sentences_tell_it(whole: Run, addresses: list[str]) -> None:
    width = max(len(address) for address in addresses)
    cells = [address.ljust(width) for address in ("address", *addresses)]
    assert whole.table == [
        f"node   GPU                        driver             CUDA  torch         interface  {cells[0]}  slots",
        f"node1  8 x NVIDIA A100-SXM4-80GB  470.182.03 -> 580  12.6  2.13.0+cu126  eth0       {cells[1]}  8",
        f"node2  2 x Tesla V100S-PCIE-32GB  450.80.02 -> 580   12.6  2.13.0+cu126  eth0       {cells[2]}  2",
    ]
    assert "node2 (2 x Tesla V100S-PCIE-32GB) decides: without it torch 2.13.0+cu126 becomes" in whole.said
    assert "a driver of branch 580 with open kernel modules takes its place." in whole.said
    for part in ("the CUDA toolkit 12.6", "torch 2.13.0+cu126", "deepspeed 0.19.8"):
        assert f"all nodes: {part} is installed." in whole.said


FROM_ANYWHERE = [
    (PLAN, {"ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections")}),
    (str(ROOT / "playbooks" / "plan.yml"), {}),
]


@pytest.mark.parametrize(("playbook", "collections"), FROM_ANYWHERE)
def test_it_is_the_same_lines_from_any_folder_without_our_configuration(
    play: Play, whole: Run, tmp_path: Path, playbook: str, collections: dict[str, str]
) -> None:
    env = {name: value for name, value in PLAIN.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))}
    run = play(playbook, cwd=tmp_path, env={**env, **collections})
    assert run.code == 0, run.output
    assert run.table == whole.table
    assert "\nStack torch-2.13-cu126: " in run.output
    assert "\\n" not in run.output


def test_every_node_gets_the_plan_with_its_own_part_only(whole: Run) -> None:
    assert "node1 reads 2.13.0 open cuda alone" in whole.said
    assert "node2 reads 2.13.0 proprietary cuda alone" in whole.said


def test_a_look_leaves_no_trace_on_a_node(host: Any, whole: Run) -> None:
    assert whole.changed == 0
    with host.sudo():
        assert host.check_output(f"find /etc /opt /srv /usr /lib/modules -xdev -type f -newermt @{whole.began}") == ""


def test_check_mode_tells_the_same_and_writes_nothing(play: Play, whole: Run) -> None:
    run = play(PLAN, "--check")
    assert run.code == 0, run.output
    assert run.table == whole.table
    assert not run.record.exists()


def test_a_driver_that_may_not_be_touched_decides(play: Play) -> None:
    run = play(hosts={"node2": {"nvidia_driver_manage": False}})
    assert run.code == 0, run.output
    driver = run.plan["nodes"]["node2"]["plan"]["driver"]
    assert (driver["action"], driver["then"]) == ("keep", "450.80.02")
    assert run.plan["torch"]["build"] == "cu118"
    assert re.search(r"node2: [^;]*450\.80\.02[^;]*; it stays\.", run.said), run.output


def test_an_impossible_wish_stops_everything_with_every_reason_and_what_would_work(play: Play) -> None:
    wished = {"torch_version": "2.13.0", "torch_build": "cu130", "conda_python_version": "3.8"}
    run = play("site.yml", hosts={"node1": {"nvidia_driver_manage": False}}, **wished)
    assert run.code != 0
    assert run.changed == 0
    told = run.output.partition("Decide the stack, or refuse nodes that cannot work] ***")[2]
    assert "The nodes cannot work together, and nothing was changed; the reasons are above." in run.said
    assert "Origin: " not in run.output, run.output
    told = told.strip("*\n").partition("\n\n")[0].partition("\nfatal: ")[0].splitlines()
    reasons = "\n".join(line for line in told if line.startswith("- "))
    for part in ("compute capability 7.0", "470.182.03, which may not be touched", "python"):
        assert part in reasons
    assert told[-1].startswith("Set ")
    assert "fit every node" in told[-1]
    assert not run.record.exists()


def test_wishes_that_cannot_be_are_refused_before_any_connection(play: Play) -> None:
    hosts = {"node1": {"torch_version": "2.0.1"}, "node2": {"torch_version": "2.1.1"}}
    run = play(hosts=hosts, cluster_stack="torch-2.13-cu12")
    assert run.code != 0
    assert "torch_version ask for '2.0.1' on node1, '2.1.1' on node2" in run.said
    assert "cluster_stack is 'torch-2.13-cu12' on all nodes: it must be auto or the name of a stack" in run.said
    assert "torch-2.13-cu126" in run.said
    assert "Gather facts" not in run.output


def test_a_limited_run_takes_the_other_nodes_as_they_were(play_again: Play, whole: Run) -> None:
    run = play_again(PLAN, "--limit", "node1")
    assert run.code == 0, run.output
    assert run.table == whole.table[:2]
    assert run.record.read_text(encoding="utf-8") == whole.record.read_text(encoding="utf-8")


def test_a_limited_run_that_no_whole_run_came_before_says_what_it_does_not_know(play: Play) -> None:
    run = play(PLAN, "--limit", "node1")
    assert run.code == 0, run.output
    assert "The plan is made without node2, which no run has looked at yet." in run.said
    assert run.plan["torch"]["build"] == "cu130"


def test_a_limited_run_cannot_change_the_plan_of_the_others_without_saying_so(play_again: Play) -> None:
    run = play_again(PLAN, "--limit", "node1", torch_version="2.7.1")
    assert run.code == 0, run.output
    assert "another plan than the one for node2: torch 2.13.0+cu126 becomes 2.7.1+" in run.said
    assert run.plan["torch"]["version"] == "2.13.0"


def test_a_node_that_is_down_counts_as_it_was_and_is_named(play_again: Play, whole: Run) -> None:
    # Nothing listens on the port 'discard', so the connection is refused at once.
    run = play_again(hosts={"node2": {"ansible_port": 9}})
    assert run.code != 0
    assert run.table == whole.table[:2]
    assert "node2: could not be reached" in run.output.partition("Set aside")[2]


def test_a_record_that_somebody_broke_is_refused_with_a_way_out(play_again: Play, tmp_path: Path) -> None:
    (tmp_path / "artifacts" / "plan.yml").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    run = play_again()
    assert run.code != 0
    assert "plan.yml is not a plan that a run has written; remove it, and run again over all nodes." in run.said
