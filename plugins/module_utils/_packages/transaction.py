# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Install and remove packages of the distribution in one transaction, whatever the package manager is.

What the managers have in common is here: what a wish means for the packages that are installed, what a plan may do,
and how holds follow. A manager says what is installed, plans, carries out, and marks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Protocol


class TransactionError(Exception):
    """The transaction did not take place; the text is a sentence for the user."""


@dataclass(frozen=True)
class Package:
    """One installed package.

    :param held: nothing may move it to another version.
    :param whole: it is unpacked, configured and undamaged.
    :param provides: names beside its own that it answers to.
    """

    version: str
    held: bool = False
    whole: bool = True
    provides: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Spec:
    """A package that a task names, with the version that it shall have: exact, a pattern, or empty for any."""

    name: str
    version: str = ""

    def accepts(self, version: str) -> bool:
        """Whether a version is the one that is asked for; an epoch counts only where the task names one."""
        plain = version.rpartition(":")[2]
        return not self.version or any(fnmatchcase(text, self.version) for text in (version, plain))

    def __str__(self) -> str:
        """As a task writes it."""
        return f"{self.name}={self.version}" if self.version else self.name


@dataclass(frozen=True)
class Pin:
    """Versions that are preferred for some packages while the transaction is planned, as in apt_preferences(5)."""

    packages: str
    version: str


@dataclass(frozen=True)
class Wish:
    """What a task asks for; the names are those of the module's options.

    :param advice: what to do where a package cannot be installed, a sentence by its name.
    """

    install: Sequence[Spec] = ()
    remove: Sequence[str] = ()
    purge: bool = False
    allow_removing: Sequence[str] = ()
    allow_downgrade: bool = False
    allow_held: bool = False
    hold: Sequence[str] = ()
    unhold: Sequence[str] = ()
    pins: Sequence[Pin] = ()
    streams: Sequence[str] = ()
    recommends: bool = False
    update: str = "auto"
    repair: bool = True
    advice: Mapping[str, str] = field(default_factory=dict)
    lock_timeout: int = 300
    timeout: int = 3600


@dataclass(frozen=True)
class Plan:
    """What a manager would do.

    :param changes: name -> (version before, version after), empty where there is none.
    :param downgraded: those of the changes that go back.
    :param held: those of the changes whose package is held.
    :param command: the arguments by which the manager would do it; empty where there is nothing to do.
    """

    changes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    downgraded: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    essential: frozenset[str] = frozenset()
    command: Sequence[str] = ()

    @property
    def removed(self) -> list[str]:
        """The packages that would be gone."""
        return sorted(name for name, (_before, after) in self.changes.items() if not after)


@dataclass
class Outcome:
    """What was done, or would be.

    :param before: what was installed.
    :param after: what is, or would be.
    """

    before: Mapping[str, Package]
    after: Mapping[str, Package]
    downgraded: frozenset[str] = frozenset()
    command: Sequence[str] = ()
    repaired: Sequence[str] = ()
    streams: Sequence[str] = ()
    lists_fetched: bool = False
    warnings: list[str] = field(default_factory=list)

    @property
    def changes(self) -> dict[str, tuple[str, str]]:
        """name -> (version before, version after), empty where there is none."""
        names = sorted({*self.before, *self.after})
        versions = {name: (_version(self.before, name), _version(self.after, name)) for name in names}
        return {name: pair for name, pair in versions.items() if pair[0] != pair[1]}

    def marked(self, held: bool) -> list[str]:
        """The packages that are held now and were not, or the other way round."""
        return [
            name
            for name, package in sorted(self.after.items())
            if package.held == held and (name in self.before and self.before[name].held) != held
        ]


def _version(packages: Mapping[str, Package], name: str) -> str:
    return packages[name].version if name in packages else ""


class Manager(Protocol):
    """A package manager of a node."""

    #: Whether lists were fetched.
    lists_fetched: bool
    warnings: list[str]
    #: The command by which repair() works, for people.
    mending: str

    def installed(self) -> dict[str, Package]:
        """What is installed, by name; a name of another architecture carries it, such as libc6:i386."""

    def damaged(self) -> str:
        """What keeps the manager from working at all, as the beginning of a sentence; else empty."""

    def repair(self) -> Collection[str]:
        """Bring what was interrupted to its end; return the packages that cannot be, whatever comes or goes.

        :raises TransactionError: another process has the lock, or nothing could be done.
        """

    def plan(self, install: Sequence[Spec], remove: Sequence[str], unhold: Sequence[str], *, dry: bool) -> Plan:
        """What it takes to have these installed and those gone.

        :param dry: change nothing on the node, so that packages which its lists do not know yet are taken for granted.
        :raises TransactionError: it cannot be.
        """

    def switch(self, streams: Sequence[str], *, dry: bool) -> list[str]:
        """Enable module streams; return those that were not enabled, or would be."""

    def undo(self) -> None:
        """Enable the streams that were enabled before."""

    def carry_out(self, plan: Plan) -> None:
        """Do it.

        :raises TransactionError: it failed.
        """

    def mark(self, hold: Sequence[str], unhold: Sequence[str]) -> None:
        """Hold some packages, and others no more."""


def parse(text: str) -> Spec:
    """A package as a task names it: name, or name=version.

    :raises TransactionError: it is neither.
    """
    name, equals, version = text.strip().partition("=")
    if not name or (equals and not version) or any(sign in name for sign in " *?[]!/"):
        raise TransactionError(
            f"{text!r} is no package to install; write its name, or name=version, where the version may end with *."
        )
    return Spec(name, version)


def chosen(names: Iterable[str], patterns: Collection[str]) -> list[str]:
    """The names that patterns choose; a pattern that begins with ! takes names out again."""
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    spared = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return sorted(name for name in names if _matches(name, wanted) and not _matches(name, spared))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    # Of a foreign architecture the bare name chooses too: what goes must not leave its 32-bit half behind.
    return any(fnmatchcase(text, pattern) for text in (name, name.split(":", 1)[0]) for pattern in patterns)


def missing(specs: Iterable[Spec], installed: Mapping[str, Package]) -> list[Spec]:
    """What is asked for and not there, or there in another version, or damaged."""
    return [spec for spec in specs if not _satisfied(spec, installed)]


def _satisfied(spec: Spec, installed: Mapping[str, Package]) -> bool:
    package = installed.get(spec.name)
    if package:
        return package.whole and spec.accepts(package.version)
    return not spec.version and any(spec.name in each.provides and each.whole for each in installed.values())


def bring(manager: Manager, wish: Wish, *, dry: bool = False) -> Outcome:
    """Make the installed packages satisfy a wish in one transaction; do nothing where they do.

    :param dry: only say what would be done.
    :raises TransactionError: it cannot be, and nothing was changed; or it failed half-way, and the text says so.
    """
    before = manager.installed()
    wanted, leaving = _work(wish, before)
    repaired = _repair(manager, wish, before, dry=dry) if wanted or leaving else []
    if repaired and not dry:
        before = manager.installed()
        wanted, leaving = _work(wish, before)
    plan = Plan()
    switched = manager.switch(wish.streams, dry=dry)
    try:
        if wanted or leaving:
            released = [name for name in chosen(before, wish.unhold) if before[name].held]
            plan = _plan(manager, wish, wanted, leaving, released, dry=dry)
            _approve(plan, wish, leaving)
            if not dry:
                _carry_out(manager, plan, released)
    except BaseException:
        manager.undo()
        raise
    after = _foreseen(before, plan) if dry else manager.installed()
    if not dry:
        _check(wish, after, leaving)
    hold, unhold = _marks(wish, after)
    if not dry and (hold or unhold):
        manager.mark(hold, unhold)
    after = {
        name: replace(package, held=(package.held or name in hold) and name not in unhold)
        for name, package in after.items()
    }
    return Outcome(
        before=before,
        after=after,
        downgraded=plan.downgraded,
        command=plan.command,
        repaired=repaired,
        streams=switched,
        lists_fetched=manager.lists_fetched,
        warnings=manager.warnings,
    )


def _plan(
    manager: Manager, wish: Wish, install: Sequence[Spec], remove: Sequence[str], unhold: Sequence[str], *, dry: bool
) -> Plan:
    """What the manager would do; where it cannot, with the advice for the packages that it names."""
    try:
        return manager.plan(install, remove, unhold, dry=dry)
    except TransactionError as error:
        text = str(error)
        named = [name for name in wish.advice if re.search(rf"(?<![\w.+-]){re.escape(name)}(?![\w+-])", text)]
        if not named:
            raise
        raise TransactionError(" ".join([text, *dict.fromkeys(wish.advice[name] for name in named)])) from error


def _work(wish: Wish, installed: Mapping[str, Package]) -> tuple[list[Spec], list[str]]:
    """What is to come, and what is to go; what is named as wanted stays, also where a pattern would remove it."""
    named = {spec.name for spec in wish.install}
    return missing(wish.install, installed), [name for name in chosen(installed, wish.remove) if name not in named]


def _repair(manager: Manager, wish: Wish, installed: Mapping[str, Package], *, dry: bool) -> list[str]:
    """Bring to its end what was interrupted; a package that comes or goes anyway needs no repair of its own."""
    wanted, leaving = _work(wish, installed)
    ours = {*leaving, *(spec.name for spec in wanted)}
    broken = sorted(name for name, package in installed.items() if not package.whole and name not in ours)
    damage = manager.damaged()
    if not broken and not damage:
        return []
    if not wish.repair:
        state = damage or f"{', '.join(broken)} {'is' if len(broken) == 1 else 'are'} not fully installed"
        raise TransactionError(
            f"{state}, and no package can be installed before that is mended; set repair to true, or run "
            f"'{manager.mending}' on the node and look at what it says."
        )
    if not dry:
        # What lacks a dependency, or was cut off while it was unpacked, is completed by the transaction.
        left = set(manager.repair()) - ours
        if left:
            raise TransactionError(
                f"{', '.join(sorted(left))} could not be brought to a whole state by '{manager.mending}'; run it on "
                "the node, and mend or remove what it names."
            )
    return broken or [damage]


def _approve(plan: Plan, wish: Wish, leaving: Collection[str]) -> None:
    """Check that a plan does nothing but what the task allows.

    :raises TransactionError: it would do more.
    """
    if plan.essential:
        raise TransactionError(
            f"This would remove {', '.join(sorted(plan.essential))}, without which the system does not work; nothing "
            "was changed. Correct the names that are to be removed."
        )
    allowed = {*leaving, *chosen(plan.removed, wish.allow_removing)}
    collateral = [name for name in plan.removed if name not in allowed]
    if collateral:
        raise TransactionError(
            f"This would also remove {', '.join(collateral)}, which nobody asked for; nothing was changed. Where they "
            "may go, name them in remove or in allow_removing."
        )
    for names, option, what in (
        (
            plan.downgraded,
            wish.allow_downgrade,
            "move to an older version: {}; set allow_downgrade where that is meant",
        ),
        (plan.held, wish.allow_held, "change packages that are held: {}; name them in unhold, or set allow_held"),
    ):
        if names and not option:
            raise TransactionError(f"This would {what.format(', '.join(sorted(names)))}. Nothing was changed.")


def _carry_out(manager: Manager, plan: Plan, released: Sequence[str]) -> None:
    """Do what is planned; what was held before is held again where it fails."""
    if released:
        manager.mark([], released)
    try:
        if plan.command:
            manager.carry_out(plan)
    except BaseException:
        if released:
            present = manager.installed()
            manager.mark([name for name in released if name in present], [])
        raise


def _foreseen(before: Mapping[str, Package], plan: Plan) -> dict[str, Package]:
    """What would be installed."""
    after = dict(before)
    for name, (_old, new) in plan.changes.items():
        if new:
            after[name] = replace(before.get(name, Package("")), version=new, whole=True)
        else:
            after.pop(name, None)
    return after


def _check(wish: Wish, after: Mapping[str, Package], leaving: Collection[str]) -> None:
    wrong = [str(spec) for spec in missing(wish.install, after)]
    if wrong:
        raise TransactionError(
            f"The package manager reported success, and yet {', '.join(wrong)} is not installed that way; look at its "
            "log on the node (/var/log/apt/history.log, or /var/log/dnf.log)."
        )
    left = [name for name in leaving if name in after]
    if left:
        raise TransactionError(f"The package manager reported success, and yet {', '.join(left)} is still installed.")


def _marks(wish: Wish, after: Mapping[str, Package]) -> tuple[list[str], list[str]]:
    """What is to be held from now on, and what no more; a package that both name is held."""
    hold = chosen(after, wish.hold)
    unhold = [name for name in chosen(after, wish.unhold) if name not in hold]
    return [name for name in hold if not after[name].held], [name for name in unhold if after[name].held]
