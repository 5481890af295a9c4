"""Stand-ins for NVIDIA's package repositories, for where its hosts do not answer.

    python -m sandbox.nvidia OUTDIR

makes in OUTDIR, laid out as on developer.download.nvidia.com,

- debian12/x86_64 and ubuntu2204/x86_64: flat apt repositories, each with cuda-keyring_1.1-1_all.deb and the key;
- rhel9/x86_64: an rpm repository with module streams; rhel-base: what the RHEL family and EPEL bring;
- distribution: what the distributions themselves bring (kernel headers, their own drivers, old ones);
- broken/unsigned and broken/foreign: a repository without a signature, and one that another key has signed;
- keys: the throwaway keys, made once.

The packages have the names, versions and dependencies of the real ones and next to nothing inside.
"""

from __future__ import annotations

import fcntl
import hashlib
import platform
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.nvidia import deb, distribution, driver, keys, redhat, rpm
from sandbox.nvidia.deb import Package
from sandbox.shell import say

HERE = Path(__file__).resolve().parent
OWNER = "Stand-in for NVIDIA CUDA <cudatools@example.invalid>"
STRANGER = "Somebody else <somebody@example.invalid>"
KEYRING = "/usr/share/keyrings/cuda-archive-keyring.gpg"
# As NVIDIA names them: the processor's architecture in its own words, not in Debian's.
MACHINE = {"x86_64": "x86_64", "aarch64": "sbsa"}[platform.machine()]
DRIVERS: Mapping[str, Callable[[], list[Package]]] = {"debian12": driver.debian, "ubuntu2204": driver.ubuntu}


@dataclass(frozen=True)
class Repositories:
    """Where the pieces lie; `fingerprint` is that of the key that signs all but the broken ones."""

    folder: Path
    fingerprint: str

    def of(self, distro: str) -> Path:
        """NVIDIA's repository for a distribution, such as debian12."""
        return self.folder / distro / MACHINE

    @property
    def distribution(self) -> Path:
        """The packages of the distributions themselves."""
        return self.folder / "distribution"

    @property
    def key(self) -> Path:
        """The public key as text, as NVIDIA has it beside its repositories."""
        return self.folder / "keys" / "3bf863cc.pub"

    def keyring(self, distro: str) -> Path:
        """The package that brings the key and a list of apt."""
        return self.of(distro) / "cuda-keyring_1.1-1_all.deb"


def build(outdir: Path, more: Sequence[Package] = (), image: str = "") -> Repositories:
    """Make the repositories in `outdir`, or reuse them when nothing they are made of has changed.

    :param more: packages that NVIDIA's repositories hold beside the drivers, such as toolkits.
    :param image: the nodes' image, in which the rpm repositories are made; without it there are none.
    """
    outdir.mkdir(parents=True, exist_ok=True)
    stamp = outdir / "stamp"
    current = _stamp(outdir, more)
    with (outdir / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with keys.opened(outdir / "keys" / "cuda.secret", OWNER) as key:
            made = Repositories(outdir, key.fingerprint)
            if not (stamp.is_file() and stamp.read_text() == current):
                say(f"Building STAND-INS for NVIDIA's package repositories in {outdir}")
                stamp.unlink(missing_ok=True)
                _build(made, key, more)
                stamp.write_text(current)
        rpms = outdir / "stamp-rpm"
        if image and not (rpms.is_file() and rpms.read_text() == current):
            say("Building STAND-INS for NVIDIA's rpm repository (half a minute)")
            rpms.unlink(missing_ok=True)
            _build_rpms(made, more, image)
            rpms.write_text(current)
    return made


def _build(made: Repositories, key: keys.Key, more: Sequence[Package]) -> None:
    key.armored(made.key)
    key.binary(made.key.with_suffix(".gpg"))
    for distro, drivers in DRIVERS.items():
        _repository(made.of(distro), [*drivers(), *more, _keyring(made, distro)], key)
    _repository(made.distribution, distribution.packages(), key, origin="Distribution")
    sample = [Package("nvidia-driver-of-another-world", "1.0-1")]
    _repository(made.folder / "broken" / "unsigned", sample, None)
    with keys.opened(made.folder / "keys" / "stranger.secret", STRANGER) as stranger:
        _repository(made.folder / "broken" / "foreign", sample, stranger)


def _build_rpms(made: Repositories, more: Sequence[Package], image: str) -> None:
    drivers = redhat.packages()
    wanted = [
        rpm.Repository(made.of("rhel9"), [*drivers, *more], redhat.streams(drivers)),
        rpm.Repository(made.folder / "rhel-base", redhat.base()),
    ]
    rpm.build(wanted, made.folder / "rpm.draft", made.folder / "keys" / "cuda.secret", image)


def _repository(folder: Path, packages: Iterable[Package], key: keys.Key | None, origin: str = "NVIDIA CUDA") -> None:
    """Make a flat repository aside and put it in its place whole: nodes may be reading the one that is there."""
    draft = folder.with_name(f"{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    (draft / "Release").write_text(deb.flat(draft, packages, origin), encoding="utf-8")
    if key:
        key.sign(draft / "Release")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def _keyring(made: Repositories, distro: str) -> Package:
    """The package that people install first: the key, and a list of apt of its own."""
    source = f"deb [signed-by={KEYRING}] {made.of(distro).as_uri()}/ /\n"
    files = {KEYRING: deb.File(made.key.with_suffix(".gpg"))}
    lists = {f"/etc/apt/sources.list.d/cuda-{distro}-{MACHINE}.list": source}
    if distro.startswith("ubuntu"):
        lists["/etc/apt/preferences.d/cuda-repository-pin-600"] = (
            "Package: nsight-compute\nPin: origin *ubuntu.com*\nPin-Priority: -1\n\n"
            "Package: nsight-systems\nPin: origin *ubuntu.com*\nPin-Priority: -1\n\n"
            "Package: *\nPin: release l=NVIDIA CUDA\nPin-Priority: 600\n"
        )
    return Package("cuda-keyring", "1.1-1", "all", files={**files, **lists}, conffiles=tuple(lists))


def _stamp(outdir: Path, more: Sequence[Package]) -> str:
    """What the repositories are made of: this machine's kernel, the recipes, and packages from elsewhere."""
    digest = hashlib.sha256(f"{outdir} {platform.release()}".encode())
    for file in sorted(HERE.glob("*.py")):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    for package in more:
        digest.update(repr(package).encode())
        contents = [file.content for file in package.files.values() if isinstance(file, deb.File)]
        digest.update(repr([each.stat().st_size for each in contents if isinstance(each, Path)]).encode())
    return digest.hexdigest()
