"""Debian packages and flat apt repositories, written without a tool of Debian's, so the same bytes anywhere.

A package that is described the same way is the same file, whenever and wherever it is made: no time, no owner and no
order of a folder gets into it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import platform
import stat
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
LIBRARIES = f"/usr/lib/{platform.machine()}-linux-gnu"
# Nobody asks how old a stand-in is; apt wants some date.
DATE = "Thu, 01 Jan 2026 00:00:00 UTC"
_EPOCH = 1_767_225_600


@dataclass(frozen=True)
class File:
    """What a package puts at a path. A Path as content is read from there, for what is too large to be written here."""

    content: str | bytes | Path = ""
    mode: int = 0o644


@dataclass(frozen=True)
class Package:
    """One binary package; the words are those of deb-control(5).

    :param files: by absolute path; a text is a file of mode 0644.
    :param links: absolute path -> what it points to.
    :param scripts: preinst, postinst, prerm, postrm -> text of a shell script.
    :param conffiles: paths among the files that an administrator may edit.
    :param takes: what only one installed package can be: it provides it, and conflicts with and replaces all others.
    """

    name: str
    version: str
    architecture: str = ARCHITECTURE
    source: str = ""
    section: str = "non-free/libs"
    multi_arch: str = ""
    depends: tuple[str, ...] = ()
    recommends: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    breaks: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    description: str = ""
    files: Mapping[str, str | File] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()
    takes: str = ""

    @property
    def file_name(self) -> str:
        """As in a pool; the epoch is no part of it."""
        return f"{self.name}_{self.version.rpartition(':')[2]}_{self.architecture}.deb"

    @property
    def control(self) -> str:
        """The text of the package's control file."""
        taken = (self.takes,) if self.takes else ()
        fields = {
            "Package": self.name,
            "Source": self.source,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "The fromzero team <fromzero@example.invalid>",
            "Section": self.section,
            "Priority": "optional",
            "Multi-Arch": self.multi_arch,
            "Depends": ", ".join(self.depends),
            "Recommends": ", ".join(self.recommends),
            "Conflicts": ", ".join((*taken, *self.conflicts)),
            "Breaks": ", ".join(self.breaks),
            "Replaces": ", ".join((*taken, *self.replaces)),
            "Provides": ", ".join((*taken, *self.provides)),
            "Description": self.description or f"stand-in for {self.name}, as the sandbox offers it",
        }
        return "".join(f"{name}: {value}\n" for name, value in fields.items() if value)


def write(package: Package, folder: Path) -> Path:
    """Make the package's .deb in a folder."""
    control = {"./control": File(package.control)}
    control |= {f"./{name}": File(f"#!/bin/sh\nset -e\n{text}", 0o755) for name, text in package.scripts.items()}
    if package.conffiles:
        control["./conffiles"] = File("".join(f"{path}\n" for path in package.conffiles))
    contents = {f".{path}": file if isinstance(file, File) else File(file) for path, file in package.files.items()}
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _archive(control, {}),
        "data.tar.gz": _archive(contents, {f".{path}": target for path, target in package.links.items()}),
    }
    target = folder / package.file_name
    with target.open("wb") as out:
        out.write(b"!<arch>\n")
        for name, data in members.items():
            out.write(f"{name:<16}{_EPOCH:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode())
            out.write(data + b"\n" * (len(data) % 2))
    return target


def _archive(files: Mapping[str, File], links: Mapping[str, str]) -> bytes:
    """A tar archive with the folders that its members lie in."""
    names = [*files, *links]
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted({*(f"./{folder}" if folder != "." else "./" for folder in folders), *names}):
            member = tarfile.TarInfo(name)
            member.uname = member.gname = "root"
            member.mtime = _EPOCH
            if name in links:
                member.type, member.linkname, member.mode = tarfile.SYMTYPE, links[name], 0o777
                archive.addfile(member)
            elif name in files:
                data = _bytes(files[name].content)
                member.size, member.mode = len(data), files[name].mode
                archive.addfile(member, io.BytesIO(data))
            else:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
    return gzip.compress(plain.getvalue(), compresslevel=1, mtime=0)


def _bytes(content: str | bytes | Path) -> bytes:
    if isinstance(content, Path):
        return content.read_bytes()
    return content.encode() if isinstance(content, str) else content


def tree(folder: Path, at: str) -> tuple[dict[str, str | File], dict[str, str]]:
    """The files and the links of a Package that puts a folder of this machine at a path."""
    files: dict[str, str | File] = {}
    links = {}
    for path in sorted(folder.rglob("*")):
        name = f"{at}/{path.relative_to(folder).as_posix()}"
        if path.is_symlink():
            links[name] = str(path.readlink())
        elif path.is_file():
            files[name] = File(path, 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
    return files, links


def index(packages: Iterable[tuple[Package, Path]]) -> str:
    """The text of Packages, for packages and the files that they were made into."""
    return "\n".join(
        f"{package.control}Filename: ./{path.name}\nSize: {path.stat().st_size}\n"
        f"SHA256: {hashlib.sha256(path.read_bytes()).hexdigest()}\n"
        for package, path in packages
    )


def release(folder: Path, origin: str, indexes: Iterable[str] = ("Packages", "Packages.gz")) -> str:
    """The text of Release for the indexes that lie in a folder."""
    sums = []
    for name in indexes:
        data = (folder / name).read_bytes()
        sums.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n")
    head = {"Origin": origin, "Label": origin, "Architectures": ARCHITECTURE, "Date": DATE}
    return "".join(f"{name}: {value}\n" for name, value in head.items()) + "SHA256:\n" + "".join(sums)


def flat(folder: Path, packages: Iterable[Package], origin: str) -> str:
    """Make packages and their indexes in a folder; return the text of Release, which is the caller's to sign."""
    made = [(package, write(package, folder)) for package in packages]
    text = index(made)
    (folder / "Packages").write_text(text, encoding="utf-8")
    (folder / "Packages.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    return release(folder, origin)
