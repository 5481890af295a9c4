"""The cluster that is soaked: its nodes and disks, what is kept of it and put back before each trial."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from sandbox import engine, image, nodes, offers, prepared
from sandbox.shell import SandboxError, run, works

# Room for a build, which asks for 2 GiB, and no more than this machine's memory has: the disks lie there.
DISKS = {"/etc": "64m", "/home": "1500m", "/opt": "3500m", "/tmp": "256m"}
SMALL_DISKS = {"/etc": "64m", "/home": "64m", "/opt": "64m", "/tmp": "64m"}
# The accounts' caches only save time; what Docker mounts there cannot be replaced, and its content is put back.
_KEPT = ("/etc", "/home", "/opt/fromzero")
_LEFT = ("/hosts", "/hostname", "/resolv.conf", "/pip.conf", "/ssl/certs/ca-certificates.crt", ".cache")
_EXCLUDE = " ".join(f"--exclude={name}" for name in _LEFT)
_SAVE = f"""
set -e
mkdir -p /srv/before
for folder in {" ".join(_KEPT)}; do
  mkdir -p /srv/before$folder $folder
  rsync -aHAX --delete {_EXCLUDE} $folder/ /srv/before$folder/
done
cat /etc/hosts > /srv/before/hosts
ls -A /tmp > /srv/before/tmp
"""
_RESTORE = f"""
set -e
for folder in {" ".join(_KEPT)}; do rsync -aHAX --delete {_EXCLUDE} /srv/before$folder/ $folder/; done
cat /srv/before/hosts > /etc/hosts
ls -A /tmp | grep --invert-match --line-regexp --fixed-strings --file=/srv/before/tmp | grep --invert-match systemd- |
while read -r name; do rm -rf "/tmp/$name"; done
find /var/tmp -mindepth 1 -maxdepth 1 -name '*ansible*' -exec rm -rf {{}} +
systemctl reload ssh
"""
_TOOLS = """
export DEBIAN_FRONTEND=noninteractive
command -v rsync >/dev/null && command -v g++ >/dev/null && exit 0
apt-get update -qq && apt-get install -y -qq --no-install-recommends rsync g++ python3-dev >/dev/null
"""
ANSWER_SECONDS = 60


@dataclass(frozen=True)
class World:
    """Running nodes.

    :param folder: where the tool writes what runs print.
    """

    cluster: nodes.Cluster
    inventory: Path
    folder: Path

    @property
    def names(self) -> list[str]:
        """The nodes."""
        return self.cluster.nodes

    @property
    def disks(self) -> list[str]:
        """The folders that are file systems of their own."""
        return list(self.cluster.disks)

    @property
    def artifacts(self) -> Path:
        """What the runs keep on the control node."""
        return self.inventory.parent / "artifacts"

    def shell(self, node: str, script: str, user: str = "root") -> str:
        """What a script prints on a node, over Docker's own channel."""
        return run(["docker", "exec", "--user", user, self.cluster.container(node), "sh", "-c", script])

    def everywhere(self, script: str) -> None:
        """Run a script on all nodes at the same time."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: self.shell(node, script), self.names))

    def docker(self, verb: str, node: str) -> None:
        """Kill, start, pause or unpause a node."""
        run(["docker", verb, self.cluster.container(node)])

    def wait(self, node: str) -> None:
        """Return once a node that starts accepts ssh again.

        :raises SandboxError: it does not.
        """
        deadline = time.monotonic() + ANSWER_SECONDS
        address = yaml.safe_load(self.inventory.read_text(encoding="utf-8"))["nodes"]["hosts"][node]["ansible_host"]
        probe = ["docker", "exec", self.cluster.container(node), "bash", "-c", f"</dev/tcp/{address}/22"]
        while not works(probe) or works(["docker", "exec", self.cluster.container(node), "test", "-e", "/run/nologin"]):
            if time.monotonic() > deadline:
                raise SandboxError(f"{node} did not start within {ANSWER_SECONDS} s.")
            time.sleep(0.2)

    def save(self) -> None:
        """Remember the state of now as the one before a trial."""
        self.everywhere(_SAVE)
        _mirror(self.artifacts, self.folder / "before")

    def restore(self) -> None:
        """Put everything back as it was before."""
        self.everywhere(_RESTORE)
        _mirror(self.folder / "before", self.artifacts)


def _mirror(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.is_dir():
        shutil.copytree(source, target)


def up(name: str, folder: Path, whole: bool, wheels: Sequence[Path] = ()) -> World:
    """Start the cluster where it does not run yet.

    :param whole: with the training environment; else bare nodes, which start sooner.
    :param wheels: more folders of wheels that the nodes find.
    """
    engine.ensure()
    cluster = nodes.Cluster(name, 2, image.ensure(), disks=DISKS if whole else SMALL_DISKS)
    if whole:
        cluster = offers.wheels(offers.conda(cluster))
        cluster = replace(cluster, image=prepared.ensure("stack"))
        cluster = replace(cluster, find_links=[*cluster.find_links, *wheels])
    folder.mkdir(parents=True, exist_ok=True)
    world = World(cluster, nodes.up(cluster), folder)
    world.everywhere(_TOOLS)
    return world
