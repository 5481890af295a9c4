"""What is disturbed: the whole site, an upgrade, a rotation of keys, a build."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.soak.runs import PLAYBOOKS, Command
from bench.soak.world import World
from sandbox import wheelhouse
from sandbox.shell import ROOT, SandboxError

CPU = {"cluster_accelerator": "cpu", "hostfile_cpu_slots": 1, "verify_steps": 5}
ENVIRONMENT = "/opt/fromzero/envs/train"
PYTHON = f"{ENVIRONMENT}/bin/python -B"
OLDER = "0.19.7"
VERIFY = Command(ROOT / "playbooks" / "verify.yml", CPU)
SITE = Command(ROOT / "site.yml", CPU)
# What a site writes and can be taken away in a second, so that it has to come again: DeepSpeed, pdsh, the launch files,
# the keys and what the nodes know of each other.
_UNDO_SITE = f"""
set -e
{ENVIRONMENT}/bin/python -m pip --version >/dev/null 2>&1 || true
{PYTHON} -m pip uninstall --quiet --yes deepspeed hjson einops
rm -rf /opt/fromzero/etc /opt/fromzero/examples /job /etc/nccl.conf /etc/pdsh
rm -f /etc/ssh/ssh_known_hosts /etc/ssh/*_config.d/*fromzero* /etc/ssh/fromzero-cluster.json
rm -f /home/trainer/.ssh/id_* /home/trainer/.deepspeed_env
sed -i '/BEGIN.*fromzero/,/END.*fromzero/d' /home/trainer/.ssh/authorized_keys
DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq pdsh >/dev/null
systemctl reload ssh
"""
# The packages of the system are not among what is put back.
_WITHOUT_PDSH = "DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq pdsh >/dev/null; dpkg --audit"


@dataclass(frozen=True)
class Operation:
    """One operation.

    :param command: what is disturbed, and run again.
    :param settled: what must change nothing afterwards.
    :param converge: the runs one of which comes after the fault and has to converge.
    :param prove: says what is wrong with the nodes then; nothing where all is well.
    :param between: says what the fault alone must not break, before any other run.
    :param prepare: brings the nodes to the state before, once.
    :param reset: what putting files back does not, before each trial.
    :param verify: whether the playbook verify has to pass too.
    :param whole: whether the nodes need the training environment.
    """

    name: str
    command: Command
    settled: Command
    prove: Callable[[World], list[str]]
    converge: Sequence[Command]
    between: Callable[[World], list[str]] = field(default=lambda _world: [])
    prepare: Callable[[World], None] = field(default=lambda _world: None)
    reset: Callable[[World], None] = field(default=lambda _world: None)
    verify: bool = True
    whole: bool = True


def unreached(world: World) -> list[str]:
    """Every way between two nodes that ssh does not go without a question."""
    targets = " ".join(world.names)
    ssh = "ssh -o BatchMode=yes -o ConnectTimeout=5"
    script = f'for node in {targets}; do {ssh} "$node" true </dev/null 2>/dev/null || echo "$node"; done'
    return [
        f"no ssh from {source} to {target}"
        for source in world.names
        for target in world.shell(source, script, "trainer").split()
    ]


def _prints(world: World, program: str, wanted: str) -> list[str]:
    """The nodes on which a program prints something else."""
    found = []
    for node in world.names:
        try:
            said = world.shell(node, f"{PYTHON} -c '{program}'", "trainer").strip()
        except SandboxError as error:
            said = str(error)[-200:]
        if said != wanted:
            found.append(f"{node}: {said or 'nothing'} in place of {wanted}")
    return found


def _has_wheel(world: World) -> list[str]:
    return _prints(world, "import fromzero_plain.said as s; print(s.words())", "plain")


def _has_deepspeed(world: World) -> list[str]:
    newest = wheelhouse.versions().deepspeed
    program = 'from importlib.metadata import version; print(version("deepspeed"))'
    return _prints(world, program, newest)


def _without_site(world: World) -> None:
    world.everywhere(_UNDO_SITE)
    shutil.rmtree(world.artifacts / "wheels", ignore_errors=True)


def _without_pdsh(world: World) -> None:
    world.everywhere(_WITHOUT_PDSH)


def _with_older(world: World) -> None:
    world.everywhere(f"{ENVIRONMENT}/bin/uv --version >/dev/null 2>&1 || true")
    for node in world.names:
        world.shell(node, f"{PYTHON} -m pip install --quiet --no-deps deepspeed=={OLDER}", "trainer")


def _mesh(rotate: bool) -> Command:
    return Command(PLAYBOOKS / "keys.yml", {"ssh_mesh_rotate": rotate})


_BUILD = Command(PLAYBOOKS / "build.yml", {"source": str(ROOT / "molecule/wheel_build/files/fromzero_plain")})
_UPGRADE = Command(PLAYBOOKS / "upgrade.yml", CPU)
OPERATIONS: Mapping[str, Operation] = {
    one.name: one
    for one in (
        Operation(
            "keys",
            _mesh(True),
            settled=_mesh(False),
            # Half of the users do not rotate a second time.
            converge=(_mesh(True), _mesh(False)),
            prove=unreached,
            between=unreached,
            verify=False,
            whole=False,
        ),
        Operation("build", _BUILD, _BUILD, _has_wheel, [_BUILD]),
        Operation("upgrade", _UPGRADE, _UPGRADE, _has_deepspeed, [_UPGRADE], prepare=_with_older),
        # Its last play is the verification.
        Operation("site", SITE, SITE, unreached, [SITE], prepare=_without_site, reset=_without_pdsh, verify=False),
    )
}


def older_wheel(folder: Path, newest: Path) -> Path:
    """A folder with the same DeepSpeed under an older version, so that an upgrade has something to begin with.

    :param newest: the wheel that the nodes are to have in the end.
    """
    version = wheelhouse.versions().deepspeed
    target = folder / newest.name.replace(version, OLDER)
    if target.is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".tmp")
    with zipfile.ZipFile(newest) as old, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as new:
        for item in old.infolist():
            content = old.read(item)
            name = item.filename.replace(f"deepspeed-{version}.dist-info", f"deepspeed-{OLDER}.dist-info")
            if name.endswith(".dist-info/METADATA"):
                content = re.sub(rb"(?m)^Version: .*$", f"Version: {OLDER}".encode(), content, count=1)
            elif name.endswith(".dist-info/RECORD"):
                content = content.replace(f"deepspeed-{version}.dist-info".encode(), name.split("/")[0].encode())
                content = _without_sum(content)
            elif name.endswith("git_version_info_installed.py"):
                content = content.replace(version.encode(), OLDER.encode())
            new.writestr(item.filename if name == item.filename else name, content)
    draft.rename(target)
    return folder


def _without_sum(record: bytes) -> bytes:
    """RECORD without the sums of files whose content has changed."""
    changed = (b"METADATA", b"git_version_info_installed.py")
    lines = [
        line.split(b",")[0] + b",," if line.split(b",")[0].endswith(changed) else line for line in record.splitlines()
    ]
    return b"\n".join(lines) + b"\n"
