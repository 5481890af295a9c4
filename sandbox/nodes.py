"""Clusters of containers: started, written down as an ordinary inventory, removed without a trace."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import yaml

from sandbox import image, world
from sandbox.gpus import node as host
from sandbox.gpus.files import CREATED, SIMULATOR
from sandbox.shell import BUILD, SandboxError, run, say, works

LABEL = "fromzero.cluster"
WORLD = "fromzero.world"
USER = "trainer"
BOOT_SECONDS = 120
# Several containers start faster together, but docker serialises most of it: more threads only queue.
WORKERS = 4
# Each node's systemd needs about nine of these, and kernels allow an account 128.
WATCHES = Path("/proc/sys/fs/inotify/max_user_instances")
ENOUGH_WATCHES = 1024
SEES_ALL = ("--cap-add", "SYS_PTRACE")
ATTEMPTS = 5


@dataclass(frozen=True)
class Cluster:
    """A named set of nodes on a network of their own.

    :param distribution: what the image is of, as sandbox.image names it.
    :param find_links: folders of wheels that pip on the nodes finds beside this machine's own.
    :param mounts: more folders of this machine that the nodes see, read-only, at the same path.
    :param variables: what the inventory says of all nodes, beside how to reach them.
    :param worlds: node -> the file that says which GPUs, driver and kernel it shows; other nodes show what is there.
    :param inventory: where to write it; by default C(hosts.yml) in the cluster's folder.
    :param disks: folder -> size, as C(64m): a file system of its own on each node, no larger than that.
    """

    name: str
    size: int
    image: str
    find_links: Sequence[Path] = ()
    mounts: Sequence[Path] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    worlds: Mapping[str, Path] = field(default_factory=dict)
    inventory: Path | None = None
    distribution: str = "debian12"
    disks: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where this cluster keeps its keys, known hosts, and inventory."""
        return BUILD / "clusters" / self.name

    @property
    def nodes(self) -> list[str]:
        """The aliases, in the order of the inventory."""
        return [f"node{number}" for number in range(1, self.size + 1)]

    def container(self, node: str) -> str:
        """The name that Docker knows a node by."""
        return f"fromzero-{self.name}-{node}"

    def disk(self, node: str, folder: str) -> str:
        """The name that Docker knows a disk of a node by."""
        return f"{self.container(node)}{folder.replace('/', '-')}"


def up(cluster: Cluster) -> Path:
    """Start what does not run yet, wait until every node accepts ssh, and return the inventory's path."""
    _allow_watches()
    cluster.folder.mkdir(parents=True, exist_ok=True)
    key = _key(cluster.folder)
    _remove_others(cluster)
    subnet = _subnet(cluster.name)
    _hold_disks(cluster)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda node: _start(cluster, node, subnet), cluster.nodes))
        records = list(pool.map(lambda node: _admit(cluster, node, key), cluster.nodes))
    known_hosts = cluster.folder / "known_hosts"
    known_hosts.write_text("".join(f"{address} {host_key}\n" for address, host_key in records), encoding="utf-8")
    return _inventory(cluster, [address for address, _ in records])


def down(name: str) -> None:
    """Remove every container, volume and network of a cluster, and its folder."""
    containers = _containers(name)
    if containers:
        run(["docker", "rm", "--force", "--volumes", *containers])
    disks = run(["docker", "volume", "ls", "--quiet", "--filter", f"label={LABEL}={name}"]).split()
    if disks:
        run(["docker", "volume", "rm", *disks])
    if works(["docker", "network", "inspect", _network(name)]):
        run(["docker", "network", "rm", _network(name)])
    shutil.rmtree(BUILD / "clusters" / name, ignore_errors=True)


def names() -> list[str]:
    """Every cluster that has a container on this machine."""
    listing = ["docker", "ps", "--all", "--filter", f"label={LABEL}", "--format", f'{{{{.Label "{LABEL}"}}}}']
    return sorted(set(run(listing).split()))


def _network(name: str) -> str:
    return f"fromzero-{name}"


def _allow_watches() -> None:
    """Let this machine carry more than a dozen nodes, where this account may; until the machine starts anew."""
    if int(WATCHES.read_text(encoding="ascii")) < ENOUGH_WATCHES and os.access(WATCHES, os.W_OK):
        WATCHES.write_text(f"{ENOUGH_WATCHES}\n", encoding="ascii")


def _subnet(name: str) -> IPv4Network:
    """The addresses of a cluster's network, which is made where it is missing.

    Docker picks them, so they are free; the network is then made again with the same ones, since nobody may choose from
    what Docker has picked. Without an address of its own, a node that starts anew has whichever is free at that moment.
    """
    network = _network(name)
    create = ["docker", "network", "create", "--label", f"{LABEL}={name}"]
    show = ["docker", "network", "inspect", "--format", "{{(index .IPAM.Config 0).Subnet}}", network]
    for _attempt in range(ATTEMPTS):
        if not works(show):
            run([*create, network])
            subnet = run(show).strip()
            run(["docker", "network", "rm", network])
            # Another cluster may have got them meanwhile.
            works([*create, "--subnet", subnet, network])
        else:
            return IPv4Network(run(show).strip())
    raise SandboxError(f"Docker has no addresses for network {network}; see 'docker network ls'.")


def _containers(name: str) -> list[str]:
    listing = run(["docker", "ps", "--all", "--filter", f"label={LABEL}={name}", "--format", "{{.Names}}"])
    return listing.split()


def _remove_others(cluster: Cluster) -> None:
    """A node of another image or world, or one too many, is no node of this cluster."""
    wanted = {cluster.container(node): [cluster.image, *_world(cluster, node)] for node in cluster.nodes}
    wanted[_holder(cluster)] = [cluster.image]
    stale = []
    for container in _containers(cluster.name):
        form = f'{{{{.Config.Image}}}} {{{{index .Config.Labels "{WORLD}"}}}}'
        if run(["docker", "inspect", "--format", form, container]).split() != wanted.get(container):
            stale.append(container)
    if stale:
        say(f"Removing nodes that this cluster no longer has: {', '.join(sorted(stale))}")
        run(["docker", "rm", "--force", "--volumes", *stale])


def _world(cluster: Cluster, node: str) -> list[str]:
    return [host.digest(cluster.worlds[node])] if node in cluster.worlds else []


def _holder(cluster: Cluster) -> str:
    return f"fromzero-{cluster.name}-disks"


def _hold_disks(cluster: Cluster) -> None:
    """Start a container that keeps the disks while a node is down: such a file system is gone when nobody uses it."""
    if not cluster.disks:
        return
    if works(["docker", "inspect", _holder(cluster)]):
        run(["docker", "start", _holder(cluster)])
        return
    label = ("--label", f"{LABEL}={cluster.name}")
    mounts = []
    for node in cluster.nodes:
        for folder, size in cluster.disks.items():
            disk = cluster.disk(node, folder)
            tmpfs = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", f"o=size={size},mode=0755")
            run(["docker", "volume", "create", *label, *tmpfs, disk])
            # Elsewhere than on the nodes: where the disk is empty, Docker fills it with what their image has there.
            mounts.append(f"{disk}:/disks/{disk}")
    run(
        [
            *("docker", "run", "--detach", "--init", "--name", _holder(cluster), *label, "--network", "none"),
            *(word for mount in mounts for word in ("--volume", mount)),
            *(cluster.image, "sleep", "infinity"),
        ]
    )


def _start(cluster: Cluster, node: str, subnet: IPv4Network) -> None:
    container = cluster.container(node)
    simulator = cluster.folder / f"host-{node}"
    if node in cluster.worlds:
        host.furnish(simulator, cluster.worlds[node])
    if works(["docker", "inspect", container]):
        run(["docker", "start", container])
        return
    configuration = world.pip_configuration()
    pip_conf = cluster.folder / f"pip-{node}.conf"
    pip_conf.write_text(world.pip_conf(configuration, cluster.find_links), encoding="utf-8")
    mounts = {path: path for path in (*world.local_paths(configuration), *cluster.find_links, *cluster.mounts)}
    mounts[pip_conf] = Path("/etc/pip.conf")
    bundle = world.ca_bundle()
    if bundle:
        mounts[bundle] = Path(world.CA_BUNDLE)
    if node in cluster.worlds:
        mounts[simulator] = Path(SIMULATOR)
    # The first address is the network's own.
    address = str(subnet[cluster.nodes.index(node) + 2])
    run(
        [
            *("docker", "run", "--detach", "--name", container, "--hostname", node),
            *("--label", f"{LABEL}={cluster.name}", "--network", _network(cluster.name), "--ip", address),
            # Root of a server sees which files the processes of others hold open.
            *(word for digest in _world(cluster, node) for word in ("--label", f"{WORLD}={digest}", *SEES_ALL)),
            # A node that reboots ends its container: systemd may not restart the machine that carries it.
            *("--restart", "unless-stopped"),
            # What systemd needs in a container that is not privileged.
            *("--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cgroupns", "private"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
            *("--tmpfs", "/run:exec", "--tmpfs", "/run/lock", "--shm-size", "1g"),
            *(word for source, target in mounts.items() for word in ("--volume", f"{source}:{target}:ro")),
            *("--volume", ":".join(image.BYTECODE)),
            *(word for folder in cluster.disks for word in ("--volume", f"{cluster.disk(node, folder)}:{folder}")),
            *(word for name, value in world.proxies().items() for word in ("--env", f"{name}={value}")),
            cluster.image,
        ]
    )
    # A repository that was cloned below /root is mounted there too, and there the node lets nobody but root through.
    run(["docker", "exec", container, "chmod", "a+x", *map(str, above(mounts.values()))])


def above(targets: Collection[Path]) -> list[Path]:
    """The folders that lead to mounts and are a node's own, none of them in a mount."""
    leading = {folder for target in targets for folder in target.parents}
    return sorted(folder for folder in leading if not any(folder.is_relative_to(target) for target in targets))


def _admit(cluster: Cluster, node: str, key: Path) -> tuple[str, str]:
    """Wait for a node, let our key in, and return its address and host key, read over Docker's own channel."""
    container = cluster.container(node)
    deadline = time.monotonic() + BOOT_SECONDS
    # systemd empties /tmp and makes the host keys while it boots: nothing may be done before it has ended.
    while _exec(container, "systemctl", "is-system-running") not in ("running", "degraded"):
        if time.monotonic() > deadline:
            raise SandboxError(
                f"{container} did not boot within {BOOT_SECONDS} s; see 'docker logs {container}'; with many nodes, "
                f"try 'sudo sysctl fs.inotify.max_user_instances={ENOUGH_WATCHES}'."
            )
        time.sleep(0.3)
    if node in cluster.worlds and not works(["docker", "exec", container, "test", "-e", CREATED]):
        run(["docker", "exec", container, f"{SIMULATOR}/create"])
    public_key = key.with_suffix(".pub").read_text(encoding="utf-8")
    script = f"umask 077 && cat > /home/{USER}/.ssh/authorized_keys && chown {USER}: /home/{USER}/.ssh/authorized_keys"
    if not _exec(container, "cat", f"/home/{USER}/.ssh/authorized_keys"):
        run(["docker", "exec", "--interactive", container, "sh", "-c", script], input=public_key)
    settings = json.loads(run(["docker", "inspect", container]))[0]["NetworkSettings"]["Networks"]
    host_key = " ".join(_exec(container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub").split()[:2])
    return settings[_network(cluster.name)]["IPAddress"], host_key


def _exec(container: str, *argv: str) -> str:
    """What a command in a node prints, whatever its exit code; empty where it cannot run yet."""
    try:
        return run(["docker", "exec", container, "sh", "-c", '"$@" 2>/dev/null || true', "sh", *argv]).strip()
    except SandboxError:
        return ""


def _key(folder: Path) -> Path:
    """The key pair by which Ansible reaches the nodes; it lives and dies with the cluster."""
    key = folder / "id_ed25519"
    if not key.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "sandbox", "-f", str(key)])
    return key


def _inventory(cluster: Cluster, addresses: Sequence[str]) -> Path:
    """Write the inventory as a user would: group nodes, an address each, and how to log in."""
    hosts = {node: {"ansible_host": address} for node, address in zip(cluster.nodes, addresses, strict=True)}
    for node, file in cluster.worlds.items():
        # For tests, which compare what a node is found to be with what it is.
        hosts[node]["sandbox_world"] = str(file)
    known_hosts = cluster.folder / "known_hosts"
    variables = {
        "ansible_user": USER,
        "ansible_ssh_private_key_file": str(cluster.folder / "id_ed25519"),
        "ansible_ssh_common_args": f"-o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes",
        **cluster.variables,
    }
    inventory = cluster.inventory or cluster.folder / "hosts.yml"
    text = "---\n" + yaml.safe_dump({"nodes": {"hosts": hosts, "vars": variables}}, sort_keys=False)
    # Written aside and renamed: a run that starts meanwhile never reads half an inventory.
    inventory.parent.mkdir(parents=True, exist_ok=True)
    draft = inventory.with_suffix(".tmp")
    draft.write_text(text, encoding="utf-8")
    draft.replace(inventory)
    return inventory
