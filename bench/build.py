"""`python -m bench.build [--nodes N ...]`: one build and its way to N nodes, against a build on each of N nodes.

The package is a C++ extension of our own that takes some ten seconds of one core and no more than Python's headers. Two
rows for each N: wall time, and processor time of this machine and the nodes, which other work here does not change.

- once: wheel_build on one node, wheel_delivery and the installation on all
- each: pip builds and installs it on every node, as a loop over nodes does
- again: `once` a second time, on nodes that have lost their environments: nothing is built
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.mesh import own_cpu
from bench.targets import Targets, targets
from sandbox import world
from sandbox.shell import ROOT, SandboxError, run

PLAYBOOKS = Path(__file__).parent / "build_playbooks"
HEAD = ("nodes", "time", "once", "each", "again", "each/once", "again/node")
WORKERS = 4
# What a node has before: a compiler, an environment, and what a build imports. Nothing is fetched after that.
_PREPARE = """
apt-get update -qq
apt-get install -y -qq --no-install-recommends g++ python3-dev python3-venv >/dev/null
apt-get install -y -qq --no-install-recommends python3-packaging python3-setuptools >/dev/null
install -d -o trainer -g trainer /opt/fromzero
su trainer -c 'python3 -m venv /opt/fromzero/env'
su trainer -c '/opt/fromzero/env/bin/pip install -q --upgrade pip setuptools wheel uv'
rm /etc/pip.conf
"""
_FRESH = "rm -rf /opt/fromzero/env && cp -a /opt/fromzero/pristine /opt/fromzero/env"


def main() -> None:
    """Measure each number of nodes in turn, with nothing else running."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4, 8])
    given = parser.parse_args()
    with targets(max(given.nodes)) as found:
        prepare(found)
        print("  ".join(f"{title:>10}" for title in HEAD), flush=True)
        for count in given.nodes:
            for cells in measure(found, count):
                print("  ".join(f"{cell:>10}" for cell in cells), flush=True)


def containers(found: Targets, count: int) -> list[str]:
    """The containers of the first targets."""
    return [f"{found.prefix}-{name}" for name in list(found.addresses)[:count]]


def prepare(found: Targets) -> None:
    """Give every target what it has before, with the package sources of this machine."""
    pip_conf = found.folder / "pip.conf"
    pip_conf.write_text(world.pip_conf(world.pip_configuration()), encoding="utf-8")
    bundle = world.ca_bundle()

    def one(container: str) -> None:
        run(["docker", "cp", str(pip_conf), f"{container}:/etc/pip.conf"])
        if bundle:
            run(["docker", "cp", "--follow-link", str(bundle), f"{container}:{world.CA_BUNDLE}"])
        run(["docker", "exec", "--env", "DEBIAN_FRONTEND=noninteractive", container, "sh", "-ec", _PREPARE])
        run(["docker", "exec", container, "sh", "-ec", "cp -a /opt/fromzero/env /opt/fromzero/pristine"])

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(one, containers(found, len(found.addresses))))


def measure(found: Targets, count: int) -> list[list[str]]:
    """The rows for one number of nodes."""
    fresh(found, count)
    artifacts = found.folder / "artifacts"
    shutil.rmtree(artifacts, ignore_errors=True)
    costs = {"once": cost(found, lambda: play("once.yml", found, count, artifacts))}
    check(found, count)
    fresh(found, count)
    costs["each"] = cost(found, lambda: play("each.yml", found, count, artifacts))
    check(found, count)
    fresh(found, count)
    costs["again"] = cost(found, lambda: play("once.yml", found, count, artifacts))
    check(found, count)
    return [row(count, kind, {name: value[kind] for name, value in costs.items()}) for kind in ("wall", "cpu")]


def row(count: int, kind: str, costs: Mapping[str, float]) -> list[str]:
    """The cells of one row: seconds, the ratio, and what one more node costs where nothing is built."""
    seconds = [f"{value:.1f}" for value in costs.values()]
    return [str(count), kind, *seconds, f"{costs['each'] / costs['once']:.2f}", f"{costs['again'] / count:.2f}"]


def cost(found: Targets, work: Callable[[], object]) -> dict[str, float]:
    """The wall time of some work, and its processor time here and on the targets."""
    before, began = found.cpu() + own_cpu(), time.monotonic()
    work()
    return {"wall": time.monotonic() - began, "cpu": found.cpu() + own_cpu() - before}


def fresh(found: Targets, count: int) -> None:
    """Take away what was built and installed."""
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda name: run(["docker", "exec", name, "sh", "-ec", _FRESH]), containers(found, count)))


def play(name: str, found: Targets, count: int, artifacts: Path) -> None:
    """Run a playbook on the first nodes, from no open connection."""
    variables = {"artifacts": str(artifacts), "project": str(PLAYBOOKS / "project")}
    argv = ["ansible-playbook", "-i", str(found.inventory(count)), "-e", json.dumps(variables), str(PLAYBOOKS / name)]
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SandboxError(f"{name} failed:\n{(done.stdout + done.stderr)[-3000:]}")


def check(found: Targets, count: int) -> None:
    """A number counts only where every node has the extension."""
    for container in containers(found, count):
        run(["docker", "exec", container, "/opt/fromzero/env/bin/python", "-B", "-c", "import fromzero_heavy"])


if __name__ == "__main__":
    main()
