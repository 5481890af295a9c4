"""A conda channel on disk: python, and wheels as noarch packages."""

from __future__ import annotations

import configparser
import hashlib
import io
import json
import platform
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox.conda import interpreter

SUBDIR = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}[platform.machine()]
# Packages made again are the same bytes, so an environment made before stays valid.
TIMESTAMP_MS = 1_767_225_600_000


def build(folder: Path, python: str, wheels: Sequence[Path], image: str = "") -> None:
    """Write a channel with python `python` (such as 3.11.2) and `wheels`.

    :param image: where its Python is taken from; without one it is links to /usr/bin/python3.11 of the nodes.
    """
    shutil.rmtree(folder, ignore_errors=True)
    index: dict[str, dict[str, Any]] = {"noarch": {}, SUBDIR: {}}
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "python")
        made = [_own_python(root, python, image) if image else _linked_python(root, python)]
        made += [_from_wheel(wheel, Path(scratch, wheel.stem)) for wheel in wheels]
        for root, meta, link in made:
            name, entry = _pack(root, meta, link, folder)
            index[meta["subdir"]][name] = entry
    for subdir, packages in index.items():
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        repodata = {"info": {"subdir": subdir}, "packages": packages, "packages.conda": {}, "repodata_version": 1}
        (folder / subdir / "repodata.json").write_text(json.dumps(repodata, indent=1, sort_keys=True))


Package = tuple[Path, dict[str, Any], dict[str, Any]]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _own_python(root: Path, version: str, image: str) -> Package:
    interpreter.build(root, image, _minor(version))
    return root, _meta("python", version, "1_standin", SUBDIR, []), {}


def _linked_python(root: Path, version: str) -> Package:
    minor = _minor(version)
    (root / "bin").mkdir(parents=True)
    for name in ("python", "python3", f"python{minor}"):
        (root / "bin" / name).symlink_to(f"/usr/bin/python{minor}")
    (root / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n")
    return root, _meta("python", version, "0_standin", SUBDIR, []), {}


def _from_wheel(wheel: Path, root: Path) -> Package:
    site = root / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    info = next(site.glob("*.dist-info"))
    (info / "INSTALLER").write_text("conda\n")
    name, version = info.name.removesuffix(".dist-info").rsplit("-", 1)
    points = configparser.ConfigParser(delimiters=("=",))
    points.read([info / "entry_points.txt"])
    scripts = points["console_scripts"].items() if points.has_section("console_scripts") else []
    meta = _meta(name.lower().replace("_", "-"), version, "py_0", "noarch", ["python >=3.9"])
    noarch = {"type": "python", "entry_points": [f"{script} = {target}" for script, target in scripts]}
    return root, {**meta, "noarch": "python"}, {"noarch": noarch, "package_metadata_version": 1}


def _meta(name: str, version: str, build_string: str, subdir: str, depends: Sequence[str]) -> dict[str, Any]:
    common = {"name": name, "version": version, "build": build_string, "build_number": 0, "license": "OTHER"}
    return {**common, "subdir": subdir, "depends": list(depends), "timestamp": TIMESTAMP_MS}


def _pack(root: Path, meta: Mapping[str, Any], link: Mapping[str, Any], folder: Path) -> tuple[str, dict[str, Any]]:
    """Write one package in conda's .tar.bz2 form; return its file name and its entry in repodata.json."""
    files = sorted(path for path in root.rglob("*") if path.is_symlink() or path.is_file())
    paths = [_path_entry(path, path.relative_to(root).as_posix()) for path in files]
    info = {
        "index.json": meta,
        "paths.json": {"paths": paths, "paths_version": 1},
        **({"link.json": link} if link else {}),
    }
    name = f"{meta['name']}-{meta['version']}-{meta['build']}.tar.bz2"
    target = folder / str(meta["subdir"]) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(target, "w:bz2", compresslevel=1) as archive:
        for member, content in info.items():
            data = json.dumps(content, indent=1).encode()
            header = tarfile.TarInfo(f"info/{member}")
            header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
        for path in files:
            archive.add(path, path.relative_to(root).as_posix(), recursive=False, filter=_anonymous)
    data = target.read_bytes()
    sums = {"md5": hashlib.md5(data).hexdigest(), "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return name, {**meta, **sums}


def _path_entry(path: Path, name: str) -> dict[str, Any]:
    if path.is_symlink():
        return {"_path": name, "path_type": "softlink"}
    data = path.read_bytes()
    sums = {"sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}
    return {"_path": name, "path_type": "hardlink", **sums}


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member
