"""Images of nodes on which a playbook has run already: made once, so that not every cluster runs it again.

A scenario that needs torch, and does not test how it is installed, starts its nodes from such an image.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox import image, nodes, offers, world
from sandbox.reach import reached
from sandbox.shell import BUILD, ROOT, run, say, works

PLAYBOOKS = ROOT / "molecule" / "shared"
# What belongs to one node: it gets its own when it boots, and when it is admitted.
STRIP = f"""
set -eu
rm -rf /etc/ssh/ssh_host_* /home/{nodes.USER}/.ssh/* /home/{nodes.USER}/.ansible /root/.ansible
rm -rf /var/cache/apt/archives/*.deb /var/log/journal/*
rm -f /var/lib/dbus/machine-id
: > /etc/machine-id
"""


@dataclass(frozen=True)
class Preparation:
    """What a node is before the playbook, what it has at hand, and which playbook of molecule/shared runs."""

    base: str | None
    offers: tuple[str, ...]
    playbook: str


PREPARATIONS = {
    "environment": Preparation(None, (), "environment.yml"),
    "torch": Preparation("environment", ("wheels",), "torch.yml"),
    "deepspeed": Preparation("torch", ("wheels",), "deepspeed.yml"),
    "stack": Preparation(None, ("conda", "wheels"), "stack.yml"),
}


def playbooks(name: str) -> list[Path]:
    """Those that have run on nodes that are prepared in this way, the last one first."""
    preparation = PREPARATIONS[name]
    return [PLAYBOOKS / preparation.playbook, *(playbooks(preparation.base) if preparation.base else [])]


def ensure(name: str, distribution: str = image.DEFAULT) -> str:
    """The name of the image of nodes that are prepared in this way, made where it is not there yet."""
    preparation = PREPARATIONS[name]
    bare = image.ensure(distribution)
    base = ensure(preparation.base, distribution) if preparation.base else bare
    with _alone(name):
        # What is offered belongs to the bare image; for this one it would be built once more.
        cluster = nodes.Cluster(f"prepared-{name}", 1, bare, distribution=distribution)
        for offer in preparation.offers:
            cluster = offers.BY_NAME[offer](cluster)
        cluster = replace(cluster, image=base)
        playbook = PLAYBOOKS / preparation.playbook
        repository = f"{image.OWNER}/node-{name}-{distribution}"
        tag = f"{repository}:{_digest(cluster, reached([playbook]))}"
        if not works(["docker", "image", "inspect", tag]):
            say(f"Preparing nodes with '{name}', once for all clusters that start from it")
            _make(cluster, playbook, tag)
            _remove_older(repository, tag)
        return tag


def _digest(cluster: nodes.Cluster, files: Iterable[Path]) -> str:
    """A name that changes with all that decides what is on the node."""
    digest = hashlib.sha256()
    configuration = world.pip_configuration()
    given = (cluster.image, cluster.find_links, dict(cluster.variables), configuration, STRIP)
    digest.update(repr(given).encode())
    for file in sorted(files):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Let one process prepare; another one waits, and then finds what it wanted."""
    folder = BUILD / "prepared"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(cluster: nodes.Cluster, playbook: Path, tag: str) -> None:
    # Molecule, which may have started this, tells Ansible in the environment what is for its own scenario.
    own = {name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "MOLECULE_"))}
    env = {**own, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    container = cluster.container(cluster.nodes[0])
    nodes.down(cluster.name)
    try:
        inventory = nodes.up(cluster)
        run([sys.executable, "-m", "ansible", "playbook", "--inventory", str(inventory), str(playbook)], env=env)
        run(["docker", "exec", container, "sh", "-c", STRIP])
        run(["docker", "stop", container])
        run(["docker", "commit", container, tag])
    finally:
        nodes.down(cluster.name)


def _remove_older(repository: str, tag: str) -> None:
    """Remove what this image replaces; Docker refuses where a node still runs from it."""
    listing = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={repository}"]
    for older in run(listing).split():
        if older != tag:
            works(["docker", "image", "rm", older])
