"""A CUDA toolkit with a real nvcc, built from PyPI's wheels: as a runfile and as packages of the real names.

    python -m sandbox.nvidia.toolkit OUTDIR

makes OUTDIR/.../cuda_13.0.3_580.126.20_linux.run, a makeself archive that takes the options of NVIDIA's. The compiler
in it is NVIDIA's own, the installer a STAND-IN. `Toolkit.packages` are the same toolkit as packages, cuda-toolkit-13-0
and what it depends on, and cuda-toolkit-12-8, a STAND-IN whose nvcc says 12.8 and compiles by that of 13.0.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sandbox import world
from sandbox.nvidia.deb import Package
from sandbox.nvidia.toolkit import packages, payload
from sandbox.shell import run, say, works

HERE = Path(__file__).resolve().parent
CONTAINER = "fromzero-toolkit"
RELEASE = "13.0.3"
VERSION = "13.0"
RUNFILE = f"cuda_{RELEASE}_580.126.20_linux.run"
STANDIN_RELEASES = ("12.8.1",)
# makeself's own header refuses options that it does not know; NVIDIA's hands them to the installer, and so does this.
RECIPE = r"""
set -eu
apt-get update -qq
apt-get install -y -qq --no-install-recommends makeself
sed 's/^\( *\)-\*)$/\1-*) break ;;\n\1-unused*)/' /usr/share/makeself/makeself-header.sh > /tmp/header.sh
makeself --quiet --gzip --complevel 1 --nox11 --nomd5 --sha256 --header /tmp/header.sh \
    --packaging-date 2026-01-01 --tar-extra '--sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner' \
    /out/runfile "/out/$RUNFILE" "STAND-IN for the runfile of CUDA $RELEASE" ./cuda-installer
chown -R "$OWNER" /out
"""


@dataclass(frozen=True)
class Toolkit:
    """Where the pieces lie; `sha256` is the runfile's, and `tree` is what it installs."""

    runfile: Path
    sha256: str
    tree: Path

    @property
    def packages(self) -> tuple[Package, ...]:
        """The toolkit as packages, and stand-ins for other releases."""
        made = packages.real(RELEASE, self.tree)
        for release in STANDIN_RELEASES:
            made += packages.standin(release, RELEASE)
        return made


def build(outdir: Path, image: str) -> Toolkit:
    """Make the runfile in `outdir`, or reuse it when nothing that it is made of has changed.

    :param image: the nodes' image; makeself runs in a container of it.
    :raises SandboxError: pip could not fetch a wheel, or the archive could not be made.
    """
    outdir.mkdir(parents=True, exist_ok=True)
    with (outdir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = outdir / _recipe()
        if not folder.is_dir():
            say(f"Building a CUDA toolkit {RELEASE} from PyPI's wheels in {outdir}")
            draft = outdir / "unfinished"
            shutil.rmtree(draft, ignore_errors=True)
            _lay_out(draft)
            _pack(draft, image)
            shutil.rmtree(draft / "runfile")
            _remove_older(outdir)
            draft.rename(folder)
    runfile = folder / RUNFILE
    return Toolkit(runfile, (folder / f"{RUNFILE}.sha256").read_text().split()[0], folder / "toolkit")


def _lay_out(draft: Path) -> None:
    toolkit = draft / "toolkit"
    payload.build(toolkit, RELEASE, HERE / "requirements.txt")
    runfile = draft / "runfile"
    runfile.mkdir()
    shutil.copy(HERE / "cuda-installer", runfile / "cuda-installer")
    (runfile / "cuda-installer").chmod(0o755)
    shutil.copytree(toolkit, runfile / "builds" / "toolkit", symlinks=True, copy_function=os.link)


def _pack(draft: Path, image: str) -> None:
    variables = {
        **world.proxies(),
        "DEBIAN_FRONTEND": "noninteractive",
        "RUNFILE": RUNFILE,
        "RELEASE": RELEASE,
        "OWNER": f"{os.getuid()}:{os.getgid()}",
    }
    works(["docker", "rm", "--force", CONTAINER])
    try:
        run(
            [
                *("docker", "run", "--rm", "--name", CONTAINER, "--entrypoint", "sh", "--volume", f"{draft}:/out"),
                *(word for name, value in variables.items() for word in ("--env", f"{name}={value}")),
                *(image, "-c", RECIPE),
            ]
        )
    finally:
        # An interrupted build would go on behind our back.
        works(["docker", "rm", "--force", CONTAINER])
    digest = hashlib.sha256((draft / RUNFILE).read_bytes()).hexdigest()
    (draft / f"{RUNFILE}.sha256").write_text(f"{digest}  {RUNFILE}\n")


def _recipe() -> str:
    """Changes when anything that the result is made of changes."""
    sources = sorted(path for path in HERE.iterdir() if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


def _remove_older(outdir: Path) -> None:
    for folder in outdir.iterdir():
        if folder.is_dir() and folder.name not in ("unfinished", "repositories"):
            shutil.rmtree(folder)
