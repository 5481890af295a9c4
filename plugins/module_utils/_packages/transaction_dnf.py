# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One transaction by dnf 4.

dnf's shell collects what is to go and to come, and resolves and runs it at once. Holds are the locks of its plugin
versionlock, which are lines of a file.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import NamedTemporaryFile

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.journal import put
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.dnf import Dnf
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.tool import ToolError
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction import (
    Package,
    Plan,
    Spec,
    TransactionError,
    Wish,
)

_QUERY = [
    "rpm",
    "--query",
    "--all",
    "--queryformat",
    "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\t[%{PROVIDENAME} ]\\n",
]
_SECTION = re.compile(r"^(?P<head>[A-Z][A-Za-z ]+):\n(?P<rows>(?:[ \t]+.*\n)+)", re.MULTILINE)
# A name that is too long for its column is followed by the rest on a line of its own.
_ROW = re.compile(r"^ {1,2}(?P<name>\S+)\s+(?P<arch>x86_64|aarch64|noarch|i[3-6]86)\s+(?P<version>\S+)\s", re.MULTILINE)
_REPLACED = re.compile(
    r"^ +replacing +(?P<name>\S+)\.(?:x86_64|aarch64|noarch|i[3-6]86) (?P<version>\S+)", re.MULTILINE
)
# What rpm says of a Berkeley DB (EL 8) or an SQLite database (EL 9 and newer) that was cut off.
_DAMAGED = re.compile(
    r"DB_RUNRECOVERY|database disk image is malformed|rpmdb: damaged header|cannot open Packages database"
)
_PROTECTED = re.compile(r"would result in removing the following protected packages: (?P<names>.*?)\.?$", re.MULTILINE)


class DnfManager:
    """dnf and rpm of a node, for one wish."""

    def __init__(self, dnf: Dnf, wish: Wish, root: Path = Path("/")) -> None:
        self._dnf, self._wish, self._root = dnf, wish, root
        self.lists_fetched = False
        self.warnings: list[str] = []
        self.mending = "rpm --rebuilddb"
        self._streams_before: dict[str, str] = {}
        self._locks = root / "etc" / "dnf" / "plugins" / "versionlock.list"

    def installed(self) -> dict[str, Package]:
        """What rpm knows."""
        locks = [line.strip() for line in self._lines() if line.strip() and not line.startswith(("#", "!"))]
        return parse_installed(self._dnf.ask(_QUERY).stdout, locks)

    def damaged(self) -> str:
        """rpm has no state between installed and not, but a database that may be cut off in the middle of a change."""
        broken = _DAMAGED.search(self._dnf.ask(_QUERY).stderr)
        return "The database of rpm is damaged on this node" if broken else ""

    def repair(self) -> list[str]:
        """Have rpm write its database anew from the headers of the packages."""
        try:
            self._dnf.change(["rpm", "--rebuilddb"])
        except ToolError as error:
            raise TransactionError(f"{error} The database of rpm could not be mended; look at /var/lib/rpm.") from error
        return []

    def switch(self, streams: Sequence[str], *, dry: bool) -> list[str]:
        """Enable streams; dnf refuses another one of the same module before the module was reset."""
        wrong = [stream for stream in streams if not re.fullmatch(r"[^:\s]+:[^:\s]+", stream)]
        if wrong:
            raise TransactionError(f"{wrong[0]!r} is no module stream; write module:stream, as nvidia-driver:580-open.")
        wanted = dict(stream.split(":") for stream in streams)
        before = self._enabled()
        other = {module: stream for module, stream in wanted.items() if before.get(module) != stream}
        if other and not dry:
            self._refuse_dnf_5()
            self._streams_before = {module: before.get(module, "") for module in other}
            self._enable(other)
        return [f"{module}:{stream}" for module, stream in other.items()]

    def undo(self) -> None:
        """Enable the streams that were enabled before, or none."""
        if self._streams_before:
            self._enable(self._streams_before)

    def plan(self, install: Sequence[Spec], remove: Sequence[str], unhold: Sequence[str], *, dry: bool) -> Plan:
        """What dnf would do, by its own answer where it may not."""
        self._refuse_dnf_5()
        if self._wish.update == "always" and not dry:
            self._fetch()
        command = self._command()
        if dry and self.switch(self._wish.streams, dry=True):
            return self._taken_for_granted(install, remove, "are not in the streams that are enabled now", command)
        install = self._resolve(wanted := install)
        finished = self._simulate(command, install, remove)
        if self._dnf.failed(finished) and self._wish.update == "auto" and not dry:
            self._fetch()
            install = self._resolve(wanted)
            finished = self._simulate(command, install, remove)
        if self._dnf.failed(finished):
            if dry and "No match for argument" in finished:
                return self._taken_for_granted(install, remove, "are in no list that this node has", command)
            raise TransactionError(self._dnf.sentence(command, finished))
        installed = self.installed()
        changes, downgraded = parse_table(finished, installed)
        protected = _PROTECTED.search(finished)
        return Plan(
            changes=changes,
            downgraded=downgraded,
            held=frozenset(name for name in changes if name in installed and installed[name].held) - {*unhold},
            essential=frozenset(protected["names"].split(", ")) if protected else frozenset(),
            command=[*command, "shell", *script(install, remove)],
        )

    def carry_out(self, plan: Plan) -> None:
        """Run the same script, this time with yes for an answer."""
        words = list(plan.command[plan.command.index("shell") + 1 :])
        with _file(words) as path:
            try:
                finished = self._dnf.change([*plan.command[: -len(words)], path])
            except ToolError as error:
                raise TransactionError(str(error)) from error
        if self._dnf.failed(finished.stdout + finished.stderr):
            raise TransactionError(self._dnf.sentence(plan.command, finished.stdout + finished.stderr))
        # A lock on what is gone would hide the same package when it comes again.
        self._unlock(plan.removed)

    def mark(self, hold: Sequence[str], unhold: Sequence[str]) -> None:
        """Change the locks of the plugin."""
        self._unlock(unhold)
        if not hold:
            return
        if not self._locks.with_suffix(".conf").is_file():
            raise TransactionError(
                "Packages are held by dnf's plugin versionlock, which this node does not have; name "
                "python3-dnf-plugin-versionlock in install too, or hold nothing."
            )
        installed = self.installed()
        self._write([*self._lines(), *(f"{lock_of(name, installed[name].version)}.*" for name in hold)])

    def _enabled(self) -> dict[str, str]:
        """The streams that are enabled, by module."""
        streams = {}
        for path in sorted((self._root / "etc" / "dnf" / "modules.d").glob("*.module")):
            parser = configparser.RawConfigParser()
            parser.read_string(path.read_text(encoding="utf-8"))
            for module in parser.sections():
                if parser.get(module, "state", fallback="") == "enabled":
                    streams[module] = parser.get(module, "stream", fallback="")
        return streams

    def _enable(self, streams: dict[str, str]) -> None:
        """Reset modules, and enable a stream of each for which one is given."""
        wanted = [f"{module}:{stream}" for module, stream in streams.items() if stream]
        try:
            self._dnf.change(["dnf", *self._dnf.settings(), "module", "reset", *streams])
            if wanted:
                self._dnf.change(["dnf", *self._dnf.settings(), "module", "enable", *wanted])
        except ToolError as error:
            raise TransactionError(f"{', '.join(wanted) or 'A module'} cannot be enabled: {error}") from error

    def _refuse_dnf_5(self) -> None:
        if self._dnf.ask(["dnf", "--version"]).stdout.startswith("dnf5"):
            raise TransactionError("This node has dnf 5, which this module does not know; it knows apt and dnf 4.")

    def _command(self) -> list[str]:
        weak = f"--setopt=install_weak_deps={int(self._wish.recommends)}"
        # What is held is checked against the plan; the plugin would only hide it, and leave dnf to wonder.
        return ["dnf", *self._dnf.settings(), weak, "--allowerasing", "--disableplugin=versionlock"]

    def _resolve(self, specs: Sequence[Spec]) -> list[Spec]:
        """The newest version of each pattern; dnf itself would take any that fits."""
        patterns = [f"{spec.name}-{spec.version}" for spec in specs if "*" in spec.version]
        if not patterns:
            return list(specs)
        ask = ["dnf", "--quiet", "repoquery", "--latest-limit=1", "--queryformat=%{name} %{evr}", *patterns]
        lines = self._dnf.ask([*ask, "--disableplugin=versionlock"]).stdout.splitlines()
        newest = dict(line.split() for line in lines if len(line.split()) == 2)
        return [Spec(spec.name, newest.get(spec.name, spec.version)) if "*" in spec.version else spec for spec in specs]

    def _simulate(self, command: Sequence[str], install: Sequence[Spec], remove: Sequence[str]) -> str:
        with _file(script(install, remove)) as path:
            finished = self._dnf.change([*command, "--assumeno", "shell", path])
        return f"{finished.stdout}\n{finished.stderr}"

    def _fetch(self) -> None:
        try:
            self._dnf.change(["dnf", *self._dnf.settings(), "--refresh", "makecache"])
        except ToolError as error:
            self.warnings.append(str(error))
        self.lists_fetched = True

    def _taken_for_granted(self, install: Sequence[Spec], remove: Sequence[str], why: str, command: list[str]) -> Plan:
        """The plan of check mode where dnf does not see a package yet."""
        names = ", ".join(map(str, install))
        self.warnings.append(
            f"{names} {why}; outside of check mode that comes first, and here it is taken for granted."
        )
        installed = self.installed()
        before = {name: installed[name].version if name in installed else "" for name in remove}
        changes = {name: (version, "") for name, version in before.items()}
        for spec in install:
            old = installed[spec.name].version if spec.name in installed else ""
            changes[spec.name] = (old, spec.version or "some version")
        return Plan(changes, command=[*command, "shell", *script(install, remove)])

    def _lines(self) -> list[str]:
        return self._locks.read_text(encoding="utf-8").splitlines() if self._locks.is_file() else []

    def _unlock(self, names: Sequence[str]) -> None:
        """Remove the locks of packages, and the plugin's remarks above them; a lock with a wider pattern stays."""
        kept: list[str] = []
        for line in self._lines():
            if lock_name(line) in names:
                if kept and kept[-1].startswith("# Added lock on"):
                    kept.pop()
            else:
                kept.append(line)
        if kept != self._lines():
            self._write(kept)

    def _write(self, lines: Sequence[str]) -> None:
        put(self._locks, "".join(f"{line}\n" for line in lines).encode())


def script(install: Sequence[Spec], remove: Sequence[str]) -> list[str]:
    """The lines for dnf's shell."""
    lines = [f"remove {' '.join(remove)}"] if remove else []
    if install:
        lines.append(
            f"install {' '.join(f'{spec.name}-{spec.version}' if spec.version else spec.name for spec in install)}"
        )
    return [*lines, "run", "exit"]


def parse_installed(listing: str, locks: Sequence[str]) -> dict[str, Package]:
    """What rpm lists, by name; a name that is installed twice, as kernels are, carries its version the second time."""
    packages: dict[str, Package] = {}
    for line in sorted(listing.splitlines()):
        name, version, arch, provides = line.split("\t")
        full = f"{name}-{version}.{arch}"
        plain = f"{name}-{version.rpartition(':')[2]}"
        key = f"{name}.{arch}" if re.fullmatch("i[3-6]86", arch) else name
        packages[plain if key in packages else key] = Package(
            version=version,
            held=any(fnmatchcase(f"{lock_of(name, version)}.{arch}", lock) or lock == name for lock in locks),
            provides=frozenset({*provides.split(), plain, f"{plain}.{arch}", full}),
        )
    return packages


def parse_table(text: str, installed: dict[str, Package]) -> tuple[dict[str, tuple[str, str]], frozenset[str]]:
    """What dnf's table says that it would change, name -> (before, after), and which of it goes back."""
    changes: dict[str, tuple[str, str]] = {}
    downgraded = set()
    for section in _SECTION.finditer(text):
        head = section["head"]
        for row in _ROW.finditer(section["rows"]):
            name, version = row["name"], row["version"]
            old = installed[name].version if name in installed else ""
            if head.startswith("Removing"):
                changes[name] = (version, "")
            elif head.startswith(("Installing", "Upgrading", "Downgrading")):
                changes[name] = (old, version)
                if head.startswith("Downgrading"):
                    downgraded.add(name)
        for gone in _REPLACED.finditer(section["rows"]):
            changes.setdefault(gone["name"], (gone["version"], ""))
    return changes, frozenset(downgraded)


def lock_of(name: str, version: str) -> str:
    """A package as a lock of the plugin names it, but for the architecture: it always has an epoch."""
    return f"{name}-{version if ':' in version else f'0:{version}'}"


def lock_name(line: str) -> str:
    """The package that a lock of one version names; empty for anything else."""
    found = re.match(r"^(?P<name>[^*?#!\s]+)-\d+:[^*\s]+-[^-*\s]+\.\*$", line)
    return found["name"] if found else ""


@contextmanager
def _file(lines: Sequence[str]) -> Iterator[str]:
    with NamedTemporaryFile("w", encoding="utf-8", prefix="fromzero-", suffix=".dnf") as file:
        file.write("".join(f"{line}\n" for line in lines))
        file.flush()
        yield file.name
