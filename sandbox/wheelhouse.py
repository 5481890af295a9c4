"""DeepSpeed with its shared-memory op compiled, and what it needs, as a folder of wheels: built once for all nodes.

Every run on CPUs loads that op. Without this folder each node would need a compiler and some minutes of its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox import world
from sandbox.shell import ROOT, run, say, works

CONTAINER = "fromzero-wheelhouse"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
SWITCHES = {"DS_ACCELERATOR": "cpu", "DS_BUILD_SHM_COMM": "1", "DS_ENABLE_NINJA": "1"}
# Built in this order: the op is compiled against the torch that nodes will have, and sees it only without isolation;
# pip's cache does not know the switches.
RECIPE = f"""
set -eu
apt-get update -qq
apt-get install -y -qq --no-install-recommends build-essential python3-dev python3-venv
python3 -m venv /build
export PATH=/build/bin:$PATH
pip install --quiet --upgrade pip setuptools wheel ninja
pip install --quiet "torch==$TORCH+cpu" || pip install --quiet --index-url {TORCH_INDEX} "torch==$TORCH+cpu"
pip wheel --quiet --no-deps --no-build-isolation --no-cache-dir --wheel-dir /out "deepspeed==$DEEPSPEED"
python - > /tmp/needs.txt <<'PYTHON'
import email, glob, zipfile
archive = zipfile.ZipFile(glob.glob("/out/deepspeed-*.whl")[0])
text = archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))).decode()
needs = [need for need in email.message_from_string(text).get_all("Requires-Dist") if "extra ==" not in need]
print("\\n".join(need for need in needs if not need.startswith("torch")))
PYTHON
pip wheel --quiet --wheel-dir /out --requirement /tmp/needs.txt pip setuptools wheel uv
chown -R "$OWNER" /out
"""


@dataclass(frozen=True)
class Versions:
    """What is built: as the roles have it, so that the two never part."""

    torch: str
    deepspeed: str


def build(outdir: Path, image: str) -> Path:
    """The folder of wheels for nodes of an image, built where it is not there yet.

    :param outdir: holds one folder for each content.
    :param image: the nodes' image; the build runs in a container of it, so its Python fits theirs.
    """
    outdir.mkdir(parents=True, exist_ok=True)
    with _alone(outdir):
        wanted = versions()
        folder = outdir / _content(wanted, image)
        if not folder.is_dir():
            say(f"Building DeepSpeed {wanted.deepspeed} with its shared-memory op, once for all nodes (some minutes)")
            draft = outdir / "unfinished"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            _build(draft, image, wanted)
            _remove_older(outdir)
            draft.rename(folder)
        return folder


@contextmanager
def _alone(outdir: Path) -> Iterator[None]:
    """Let one process build; another one waits, and then finds what it wanted."""
    with (outdir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _default(role: str, variable: str) -> str:
    """The version that a role installs where nothing is planned."""
    defaults = yaml.safe_load((ROOT / "roles" / role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return str(re.findall(r"default='([^']+)'", defaults[variable])[0])


def versions() -> Versions:
    """What the roles torch and deepspeed install where nothing is planned, as on CPUs."""
    return Versions(_default("torch", "torch_version"), _default("deepspeed", "deepspeed_version"))


def _content(versions: Versions, image: str) -> str:
    """A name that changes with anything that the wheels depend on; the op is compiled for this very processor."""
    question = "import platform, sys; print(sys.implementation.cache_tag, platform.machine(), *platform.libc_ver())"
    python = run(["docker", "run", "--rm", "--entrypoint", "python3", image, "-c", question])
    processor = re.search(r"^(flags|Features)\s*:(.*)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE)
    parts = (versions, python, processor and sorted(processor[2].split()), sorted(SWITCHES.items()), RECIPE)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def _build(draft: Path, image: str, versions: Versions) -> None:
    configuration = world.pip_configuration()
    pip_conf = draft.parent / "pip.conf"
    pip_conf.write_text(world.pip_conf(configuration), encoding="utf-8")
    mounts = {f"{path}:{path}:ro" for path in world.local_paths(configuration)}
    mounts |= {f"{pip_conf}:/etc/pip.conf:ro", f"{draft}:/out"}
    bundle = world.ca_bundle()
    if bundle:
        mounts.add(f"{bundle}:{world.CA_BUNDLE}:ro")
    variables = {
        **world.proxies(),
        **SWITCHES,
        "DEBIAN_FRONTEND": "noninteractive",
        "MAX_JOBS": str(len(os.sched_getaffinity(0))),
        "TORCH": versions.torch,
        "DEEPSPEED": versions.deepspeed,
        "OWNER": f"{os.getuid()}:{os.getgid()}",
    }
    works(["docker", "rm", "--force", CONTAINER])
    try:
        run(
            [
                *("docker", "run", "--rm", "--name", CONTAINER, "--entrypoint", "sh"),
                *(word for mount in sorted(mounts) for word in ("--volume", mount)),
                *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
                *(image, "-c", RECIPE),
            ]
        )
    finally:
        # An interrupted build would go on behind our back.
        works(["docker", "rm", "--force", CONTAINER])


def _remove_older(outdir: Path) -> None:
    for folder in outdir.iterdir():
        if folder.is_dir() and folder.name != "unfinished":
            shutil.rmtree(folder)
