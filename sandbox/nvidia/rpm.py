"""rpm packages and their repositories, made in a container of the nodes' image: this machine need not know rpm."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import world
from sandbox.nvidia.deb import File, Package
from sandbox.shell import run, works

CONTAINER = "fromzero-rpm"
# Debian's rpm looks for gpg2, and without it signs nothing and says nothing.
RECIPE = """
set -eu
apt-get update -qq
apt-get install -y -qq --no-install-recommends createrepo-c gnupg rpm > /dev/null
export GNUPGHOME=/tmp/gnupg GPG_TTY=none
mkdir -m 700 $GNUPGHOME
gpg --batch --quiet --import /secret
name=$(gpg --with-colons --list-secret-keys | sed -n 's/^fpr:*\\([0-9A-F]*\\):.*/\\1/p' | head -n 1)
for repository in /work/*; do
    for spec in $repository/*.spec; do
        rpmbuild -bb --quiet --define "_topdir $repository/build" --define "_rpmdir $repository/repository" \\
            --define "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm" \\
            --define "_build_id_links none" --define "debug_package %{nil}" --nodeps \\
            --define "_binary_payload w1.gzdio" --define "_sourcedir ${spec%.spec}" "$spec"
    done
    rpmsign --define "__gpg /usr/bin/gpg" --define "_gpg_name $name" --define "_gpg_digest_algo sha256" \\
        --addsign $repository/repository/*.rpm > /dev/null
    createrepo_c --quiet $repository/repository
    if [ -e $repository/modules.yaml ]; then
        modifyrepo_c --mdtype=modules $repository/modules.yaml $repository/repository/repodata > /dev/null
    fi
    gpg --batch --yes --armor --detach-sign $repository/repository/repodata/repomd.xml
done
chown -R "$OWNER" /work
"""
_BOUND = re.compile(r"^(?P<name>\S+) \((?P<sign><<|<=|=|>=|>>) (?P<version>[^)]+)\)$")


@dataclass(frozen=True)
class Repository:
    """What a repository shall hold; `modules` is the text of modules.yaml, empty where it has none."""

    folder: Path
    packages: Sequence[Package]
    modules: str = ""


def build(repositories: Sequence[Repository], scratch: Path, secret: Path, image: str) -> None:
    """Make repositories, signed by the key that a file holds, each whole in its place."""
    shutil.rmtree(scratch, ignore_errors=True)
    for number, repository in enumerate(repositories):
        _describe(repository, scratch / str(number))
    mounts = {f"{scratch}:/work", f"{secret}:/secret:ro"}
    bundle = world.ca_bundle()
    if bundle:
        mounts.add(f"{bundle}:{world.CA_BUNDLE}:ro")
    variables = {**world.proxies(), "DEBIAN_FRONTEND": "noninteractive", "OWNER": f"{os.getuid()}:{os.getgid()}"}
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
        works(["docker", "rm", "--force", CONTAINER])
    for number, repository in enumerate(repositories):
        shutil.rmtree(repository.folder, ignore_errors=True)
        repository.folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(scratch / str(number) / "repository", repository.folder)
    shutil.rmtree(scratch)


def _describe(repository: Repository, folder: Path) -> None:
    """Write the specs: one for all packages, but a name can be in each only once."""
    folder.mkdir(parents=True)
    if repository.modules:
        (folder / "modules.yaml").write_text(repository.modules, encoding="utf-8")
    groups: list[dict[str, Package]] = []
    for package in repository.packages:
        group = next((each for each in groups if package.name not in each), None)
        if group is None:
            group = {}
            groups.append(group)
        group[package.name] = package
    for number, group in enumerate(groups):
        sources = folder / f"group{number}"
        for package in group.values():
            _lay_out(package, sources / package.name)
        sources.with_suffix(".spec").write_text(spec(list(group.values())), encoding="utf-8")


def _lay_out(package: Package, folder: Path) -> None:
    folder.mkdir(parents=True)
    for path, what in package.files.items():
        file = what if isinstance(what, File) else File(what)
        target = folder / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(file.content, Path):
            shutil.copyfile(file.content, target)
        else:
            target.write_bytes(file.content.encode() if isinstance(file.content, str) else file.content)
        target.chmod(file.mode)
    for path, aim in package.links.items():
        link = folder / path.lstrip("/")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(aim)


def spec(packages: Sequence[Package]) -> str:
    """The text of a spec that makes all these packages, each with a version of its own."""
    parts = ["Name: standins\nVersion: 1\nRelease: 1\nSummary: Makes the others\nLicense: MIT\nAutoReqProv: no\n"]
    parts.append("%description\nNothing.\n\n%install\n")
    parts += [
        f"mkdir -p %{{buildroot}}; cp -a %{{_sourcedir}}/{package.name}/. %{{buildroot}}\n" for package in packages
    ]
    parts += [_subpackage(package) for package in packages]
    return "\n".join(parts)


def _subpackage(package: Package) -> str:
    epoch, _colon, rest = package.version.rpartition(":")
    version, _dash, release = rest.rpartition("-")
    tags = [f"Version: {version}", f"Release: {release}", f"Summary: Stands in for {package.name}", "AutoReqProv: no"]
    tags += [f"Epoch: {epoch}"] if epoch else []
    tags += ["BuildArch: noarch"] if package.architecture == "all" else []
    for tag, words in (
        ("Requires", package.depends),
        ("Recommends", package.recommends),
        ("Conflicts", package.conflicts),
        ("Provides", (*package.provides, *((package.takes,) if package.takes else ()))),
    ):
        tags += [f"{tag}: {relation(word)}" for word in words]
    name = f"-n {package.name}"
    files = "".join(f'"{path}"\n' for path in (*package.files, *package.links))
    scripts = {"%post": "postinst", "%preun": "prerm"}
    texts = "".join(
        f"{word} {name}\n{package.scripts[script].replace('%', '%%')}\n"
        for word, script in scripts.items()
        if script in package.scripts
    )
    head = "\n".join(tags)
    return f"%package {name}\n{head}\n\n%description {name}\nA stand-in.\n\n{texts}%files {name}\n{files}"


def relation(text: str) -> str:
    """A dependency of Debian's in rpm's words."""
    alternatives = [_one(each.strip()) for each in text.split("|")]
    return alternatives[0] if len(alternatives) == 1 else f"({' or '.join(alternatives)})"


def _one(text: str) -> str:
    found = _BOUND.match(text)
    if not found:
        return text
    sign = {"<<": "<", ">>": ">"}.get(found["sign"], found["sign"])
    return f"{found['name']} {sign} {found['version']}"
