# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One transaction by apt-get.

apt-get takes packages to remove beside those to install, with a hyphen behind their names: one resolution, one run of
dpkg, one entry in /var/log/apt/history.log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.apt import PROCESSING, Apt
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.tool import ToolError
from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction import (
    Package,
    Pin,
    Plan,
    Spec,
    TransactionError,
    Wish,
    chosen,
)

_FIELDS = "${binary:Package}\\t${Version}\\t${db:Status-Abbrev}\\t${Provides}\\n"
_QUERY = ["dpkg-query", "--show", f"--showformat={_FIELDS}"]
_CHANGE = re.compile(
    r"^(?P<what>Inst|Remv|Purg) (?P<name>\S+)(?: \[(?P<old>[^]]+)\])?(?: \((?P<new>\S+))?", re.MULTILINE
)
_BLOCK = re.compile(r"^(?P<head>\S.*)\n(?P<names>(?:  .*\n)+)", re.MULTILINE)
_DOWNGRADED = "The following packages will be DOWNGRADED:"
_HELD = "The following held packages will be changed:"
# The second line of the warning that stands above the names of essential packages.
_ESSENTIAL = "This should NOT be done unless you know exactly what you are doing!"
_BROKEN = "Try 'apt --fix-broken install' with no packages"
_STALE = re.compile(r"404 +Not Found|Hash Sum mismatch|Size mismatch|File not found")
_UNKNOWN = re.compile(
    r"Unable to locate package (?P<unknown>\S+)|Package '?(?P<none>[^'\s]+)'? has no installation candidate"
    r"|Version '(?P<version>[^']+)' for '(?P<name>[^']+)' was not found"
)


class AptManager:
    """apt-get and dpkg of a node, for one wish."""

    def __init__(self, apt: Apt, wish: Wish, root: Path = Path("/")) -> None:
        self._apt, self._wish, self._root = apt, wish, root
        self.lists_fetched = False
        self.warnings: list[str] = []
        self.mending = "dpkg --configure -a"
        self._native = ""
        self._automatic: list[str] = []

    def installed(self) -> dict[str, Package]:
        """What dpkg knows, but for packages of which only the configuration is left."""
        self._native = self._native or self._apt.ask(["dpkg", "--print-architecture"]).stdout.strip()
        return parse_installed(self._apt.ask(_QUERY).stdout, self._native)

    def damaged(self) -> str:
        """dpkg journals what it does, and leaves the journal where it is stopped."""
        journal = self._root / "var" / "lib" / "dpkg" / "updates"
        interrupted = journal.is_dir() and any(entry.name.isdigit() for entry in journal.iterdir())
        return "dpkg was interrupted on this node" if interrupted else ""

    def repair(self) -> list[str]:
        """Let dpkg configure what it has unpacked; packages that this transaction removes may fail once more."""
        try:
            self._apt.change(["dpkg", "--configure", "-a", "--force-confdef", "--force-confold"])
        except ToolError as error:
            failed = parse_failures(error.output)
            if not failed:
                raise TransactionError(str(error)) from error
            if any(failed.values()):
                self.warnings.append(str(error))
            return [name for name, own in failed.items() if own]
        return []

    def plan(self, install: Sequence[Spec], remove: Sequence[str], unhold: Sequence[str], *, dry: bool) -> Plan:
        """What apt-get would do, by its own simulation."""
        if self._wish.update == "always" and not dry:
            self._fetch()
        with ExitStack() as stack:
            pins = stack.enter_context(_preferences(self._wish.pins, self._root))
            words, unknown = self._resolve(install, pins)
            if unknown and not dry and self._wish.update == "auto" and not self.lists_fetched:
                self._fetch()
                words, unknown = self._resolve(install, pins)
            if unknown and dry:
                return self._taken_for_granted(words, unknown, remove)
            status = stack.enter_context(_status(self._root, unhold, (), self._native))
            words = [*(str(spec) for spec in unknown), *words]
            finished = self._simulate([*pins, *status], words, remove)
            if _BROKEN in finished.stderr:
                words, remove = self._complete(pins, words, [*remove, *self._also_leaving(finished)], unhold)
                finished = self._simulate([*pins, *status], words, remove)
        command = self._command(words, remove)
        if finished.rc != 0:
            raise TransactionError(self._sentence(command, f"{finished.stdout}\n{finished.stderr}"))
        blocks = parse_blocks(finished.stdout)
        return Plan(
            changes=parse_changes(finished.stdout),
            downgraded=frozenset(blocks.get(_DOWNGRADED, ())),
            held=frozenset(blocks.get(_HELD, ())),
            essential=frozenset(blocks.get(_ESSENTIAL, ())),
            command=command,
        )

    def _simulate(self, options: Sequence[str], words: Sequence[str], remove: Sequence[str]) -> Finished:
        # With leave for everything, so that the plan is seen whole; what of it is allowed is decided by the plan.
        leave = ["--allow-downgrades", "--allow-change-held-packages", "--allow-remove-essential"]
        return self._apt.ask(["apt-get", "--simulate", *leave, *options, *self._command(words, remove)[1:]])

    def _command(self, words: Sequence[str], remove: Sequence[str]) -> list[str]:
        switches = {
            "--allow-downgrades": self._wish.allow_downgrade,
            "--allow-change-held-packages": self._wish.allow_held,
            "--purge": self._wish.purge,
            "--no-install-recommends": not self._wish.recommends,
        }
        flags = [switch for switch, on in switches.items() if on]
        return ["apt-get", "--yes", *flags, "install", *words, *(f"{name}-" for name in remove)]

    def _complete(
        self, pins: Sequence[str], words: Sequence[str], remove: Sequence[str], unhold: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """All that is to come and to go, by name.

        Where dependencies are broken already, apt-get adds none to what it is told, even if that mends them. So it is
        asked what would come if those that go were gone, and then told all of it.
        """
        with _status(self._root, unhold, remove, self._native) as status:
            finished = self._simulate([*pins, *status], words, ())
        if finished.rc != 0:
            text = f"{finished.stdout}\n{finished.stderr}"
            raise TransactionError(self._sentence(self._command(words, remove), text))
        changes = parse_changes(finished.stdout)
        coming = {name: after for name, (_before, after) in changes.items() if after}
        named = {word.partition("=")[0] for word in words}
        self._automatic = [name for name in coming if name not in named]
        going = [*remove, *(name for name, (_before, after) in changes.items() if not after)]
        return [f"{name}={version}" for name, version in coming.items()], going

    def _also_leaving(self, finished: Finished) -> list[str]:
        """Those of the packages with broken dependencies that may go."""
        broken = {line.partition(" :")[0].strip() for line in finished.stdout.splitlines() if " : " in line}
        return chosen(broken & set(self.installed()), self._wish.allow_removing)

    def switch(self, streams: Sequence[str], *, dry: bool) -> list[str]:
        """apt knows no streams."""
        if streams:
            raise TransactionError(
                f"apt has no module streams such as {streams[0]}; give none, or pins in their place."
            )
        return []

    def undo(self) -> None:
        """There is nothing to take back."""

    def carry_out(self, plan: Plan) -> None:
        """Run apt-get once; a second time with fresh lists where it fails to fetch what the old ones name."""
        with _preferences(self._wish.pins, self._root) as pins:
            argv = [plan.command[0], *self._apt.settings(), *pins, *plan.command[1:]]
            try:
                self._apt.change(argv)
            except ToolError as error:
                if self._wish.update == "never" or self.lists_fetched or not _STALE.search(error.output):
                    raise TransactionError(str(error)) from error
                self._fetch()
                try:
                    self._apt.change(argv)
                except ToolError as again:
                    raise TransactionError(str(again)) from again
        if self._automatic:
            self._apt.change(["apt-mark", "auto", *self._automatic])

    def mark(self, hold: Sequence[str], unhold: Sequence[str]) -> None:
        """Change the selections of dpkg, all at once."""
        try:
            for word, names in (("unhold", unhold), ("hold", hold)):
                if names:
                    self._apt.change(["apt-mark", word, *names])
        except ToolError as error:
            raise TransactionError(str(error)) from error

    def _fetch(self) -> None:
        """Fetch the lists; a repository that fails matters only where something cannot be found then."""
        try:
            finished = self._apt.change(["apt-get", *self._apt.settings(), "update"])
            output = f"{finished.stdout}\n{finished.stderr}"
        except ToolError as error:
            if not error.output or "Could not get lock" in error.output:
                raise TransactionError(str(error)) from error
            output = error.output
        self.lists_fetched = True
        self.warnings += [line[3:] for line in output.splitlines() if line.startswith(("W: ", "E: "))]

    def _resolve(self, specs: Sequence[Spec], pins: Sequence[str]) -> tuple[list[str], list[Spec]]:
        """The words for apt-get, and what its lists do not know."""
        if not specs:
            return [], []
        offered = parse_policy(self._apt.ask(["apt-cache", *pins, "policy", *(spec.name for spec in specs)]).stdout)
        words, unknown = [], []
        for spec in specs:
            version = next((text for text in offered.get(spec.name, ()) if spec.accepts(text)), "")
            if not version:
                unknown.append(spec)
            else:
                words.append(f"{spec.name}={version}" if spec.version else spec.name)
        return words, unknown

    def _taken_for_granted(self, words: Sequence[str], unknown: Sequence[Spec], remove: Sequence[str]) -> Plan:
        """The plan of check mode where no list names a package yet; outside of it the lists would be fetched first."""
        names = ", ".join(str(spec) for spec in unknown)
        self.warnings.append(
            f"The lists of this node do not name {names}; outside of check mode they are fetched first."
        )
        installed = self.installed()
        known = (word.partition("=") for word in words)
        coming = {name: version for name, _equals, version in known} | {spec.name: spec.version for spec in unknown}
        before = {name: installed[name].version if name in installed else "" for name in (*coming, *remove)}
        changes = {name: (before[name], coming.get(name, "") or "some version") for name in coming}
        command = self._command([*map(str, unknown), *words], remove)
        return Plan({**{name: (before[name], "") for name in remove}, **changes}, command=command)

    def _sentence(self, command: Sequence[str], output: str) -> str:
        found = _UNKNOWN.search(output)
        if not found:
            held = [name for name, package in self.installed().items() if package.held and f"{name} " in output]
            advice = f" Held on this node: {', '.join(held)}; name them in unhold where they may move." if held else ""
            return self._apt.sentence(command, output) + advice
        name = found["unknown"] or found["none"] or f"{found['name']}={found['version']}"
        format_ = "--format=$(REPO_URI) $(RELEASE)"
        targets = self._apt.ask(["apt-get", "indextargets", format_, "Created-By: Packages"]).stdout.splitlines()
        sources = ", ".join(dict.fromkeys(" ".join(target.split()) for target in targets)) or "none is configured"
        failed = f" apt said of them: {' '.join(self.warnings)}" if self.warnings else ""
        return f"No package {name} is in the sources of this node ({sources}).{failed}"


def parse_installed(listing: str, native: str) -> dict[str, Package]:
    """What dpkg-query says, by name; Status-Abbrev is what is wanted, what is, and whether it is damaged."""
    packages = {}
    for line in listing.splitlines():
        name, version, state, provides = line.split("\t")
        wanted, status, damage = state[0], state[1], state[2:].strip()
        if status in "nc":
            continue
        packages[name.removesuffix(f":{native}")] = Package(
            version=version,
            held=wanted == "h",
            whole=status == "i" and not damage,
            provides=frozenset(each.split()[0] for each in provides.split(",") if each.strip()),
        )
    return packages


def parse_failures(output: str) -> dict[str, bool]:
    """The packages that C(dpkg --configure) fails on, and whether for a reason of their own.

    What lacks a dependency, or was cut off while it was unpacked, is completed where apt-get installs what is missing.
    """
    return {
        name.partition(":")[0]: not re.match(r"dependency problems|package is in a very bad", reason)
        for name, reason in PROCESSING.findall(output)
    }


def parse_policy(text: str) -> dict[str, list[str]]:
    """The versions of each package that can be had: the candidate, then the others from the newest on.

    What only dpkg knows can be had where it is installed. Of a package that was removed, dpkg still knows the version.
    """
    offered: dict[str, list[str]] = {}
    candidate = version = name = ""
    for line in text.splitlines():
        words = line.split()
        if line and not line.startswith(" "):
            name, candidate, version = line.rstrip(":"), "", ""
            offered[name] = []
        elif words[:1] == ["Candidate:"]:
            candidate = words[1]
        # A version of the table stands alone before its priority, and what is installed has three stars before it.
        elif re.match(r"^ (\*\*\*|   ) \S+ -?\d+$", line):
            version = words[-2]
            if line.startswith(" ***"):
                offered[name].append(version)
        elif version and version not in offered[name] and words[-1:] != ["/var/lib/dpkg/status"]:
            offered[name].append(version)
        if candidate in offered.get(name, ())[1:]:
            offered[name].insert(0, offered[name].pop(offered[name].index(candidate)))
    return offered


def parse_changes(text: str) -> dict[str, tuple[str, str]]:
    """What a simulation of apt-get would change: name -> (version before, version after)."""
    changes = {}
    for found in _CHANGE.finditer(text):
        changes[found["name"]] = (found["old"] or "", (found["new"] or "") if found["what"] == "Inst" else "")
    return changes


def parse_blocks(text: str) -> dict[str, list[str]]:
    """What apt-get lists under each of its headlines; "(due to libc6)" behind a name is no name."""
    return {found["head"]: re.sub(r"\([^)]*\)", "", found["names"]).split() for found in _BLOCK.finditer(f"{text}\n")}


@contextmanager
def _preferences(pins: Sequence[Pin], root: Path) -> Iterator[list[str]]:
    """Options that make apt prefer some versions; those of the node's own file stay in force behind them."""
    if not pins:
        yield []
        return
    own = root / "etc" / "apt" / "preferences"
    texts = [f"Package: {pin.packages}\nPin: version {pin.version}\nPin-Priority: 1001\n" for pin in pins]
    if own.is_file():
        texts.append(own.read_text(encoding="utf-8"))
    with NamedTemporaryFile("w", encoding="utf-8", prefix="fromzero-", suffix=".pref") as file:
        file.write("\n".join(texts))
        file.flush()
        yield ["-o", f"Dir::Etc::Preferences={file.name}"]


@contextmanager
def _status(root: Path, released: Sequence[str], gone: Sequence[str], native: str) -> Iterator[list[str]]:
    """Options by which a simulation takes packages as no longer held, or as gone: it reads a copy of dpkg's status."""
    if not released and not gone:
        yield []
        return
    status = (root / "var" / "lib" / "dpkg" / "status").read_text(encoding="utf-8", errors="surrogateescape")
    with NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape", prefix="fromzero-") as file:
        for stanza in status.split("\n\n"):
            name = _full_name(stanza, native)
            if name not in gone:
                file.write(
                    stanza.replace("\nStatus: hold ", "\nStatus: install ", 1 if name in released else 0) + "\n\n"
                )
        file.flush()
        yield ["-o", f"Dir::State::status={file.name}", "-o", "Dir::Cache::pkgcache="]


def _full_name(stanza: str, native: str) -> str:
    """The name of a stanza's package as dpkg-query says it, but bare where its architecture is the system's own."""
    fields = dict(re.findall(r"^(Package|Architecture): (\S+)$", stanza, re.MULTILINE))
    name, architecture = fields.get("Package", ""), fields.get("Architecture", native)
    return name if architecture in (native, "all") else f"{name}:{architecture}"
