# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An environment of conda's, addressed by its prefix: what is in it, what it lacks, and how conda is told to bring it.

What is there is read from the records in conda-meta, so that an environment that is as wished costs no start of conda.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.program import (
    CondaError,
    Start,
    account,
    answer,
    one_line,
    require_writable,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.spec import Package, Spec
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished


@dataclass(frozen=True)
class Wish:
    """What the user asked for; C(timeout) in seconds."""

    conda: Path
    prefix: Path
    specs: tuple[Spec, ...] = ()
    present: bool = True
    channels: tuple[str, ...] = ()
    override_channels: bool = False
    offline: bool = False
    timeout: float = 3600


@dataclass(frozen=True)
class Step:
    """What has to be done: C(command) of conda for C(specs), or nothing where C(command) is empty."""

    command: str = ""
    specs: tuple[Spec, ...] = ()
    # Packages whose record is there but whose files are gone.
    broken: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """The packages before and after, by name."""

    step: Step
    before: dict[str, Package] = field(default_factory=dict)
    after: dict[str, Package] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        return bool(self.step.command)


def is_environment(prefix: Path) -> bool:
    """Whether conda would call the folder an environment."""
    return (prefix / "conda-meta" / "history").is_file()


def packages(prefix: Path) -> dict[str, Package]:
    """What conda's records say is installed, by name.

    :raises CondaError: a record cannot be read.
    """
    found = {}
    for record in sorted((prefix / "conda-meta").glob("*.json")):
        try:
            data = json.loads(record.read_text(encoding="utf-8"))
            package = Package(data["name"], data["version"], data.get("build", ""), str(data.get("channel", "")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CondaError(
                f"The environment {prefix} is damaged: its record {record} cannot be read ({one_line(str(error))}). "
                f"Remove the environment (state: absent) and run again."
            ) from error
        found[package.name] = package
    return found


def decide(wish: Wish, installed: dict[str, Package]) -> Step:
    """What conda has to do, from what is on disk.

    :raises CondaError: the prefix holds something that is no environment.
    """
    prefix = wish.prefix
    empty = not prefix.exists() or (prefix.is_dir() and not any(prefix.iterdir()))
    if not empty and not (prefix / "conda-meta").is_dir():
        raise CondaError(
            f"{prefix} exists and is not an environment of conda (it has no conda-meta); "
            f"move it away or name another prefix."
        )
    if not wish.present:
        return Step("" if empty else "remove")
    if empty or not is_environment(prefix):
        return Step("create", wish.specs)
    # A link to an interpreter that is gone, or one deleted by hand: conda itself would call python installed.
    broken = ("python",) if "python" in installed and not (prefix / "bin" / "python").is_file() else ()
    lacking = tuple(
        spec
        for spec in wish.specs
        if spec.name in broken or spec.name not in installed or not spec.satisfied_by(installed[spec.name])
    )
    return Step("install" if lacking or broken else "", lacking, broken)


def argv(wish: Wish, step: Step, dry_run: bool = False) -> list[str]:
    """The command line, with every wish in it: what is satisfied now has to stay so in conda's solution."""
    line = [str(wish.conda), step.command, "--yes", "--quiet", "--json", "--prefix", str(wish.prefix)]
    line += ["--dry-run"] if dry_run else []
    line += ["--offline"] if wish.offline else []
    if step.command == "remove":
        return [*line, "--all"]
    for channel in wish.channels:
        line += ["--channel", channel]
    line += ["--override-channels"] if wish.override_channels else []
    line += ["--force-reinstall"] if step.broken else []
    named = {spec.name for spec in wish.specs}
    return line + [spec.text for spec in wish.specs] + [name for name in step.broken if name not in named]


def apply(wish: Wish, start: Start, check: bool = False) -> Outcome:
    """Bring the environment to the wish, or in check mode say what would become of it.

    :raises CondaError: with a sentence about what stands in the way.
    """
    if wish.prefix in (wish.conda.parent.parent, Path("/")):
        raise CondaError(f"{wish.prefix} is the installation of conda itself; name another prefix for the environment.")
    installed = packages(wish.prefix)
    step = decide(wish, installed)
    if not step.command:
        return Outcome(step, installed, installed)
    runs = os.access(wish.conda, os.X_OK)
    if check:
        return Outcome(step, installed, _predicted(wish, step, installed, start if runs else None))
    if not runs:
        raise CondaError(
            f"conda is missing at {wish.conda}, or {account()} may not run it; "
            f"run the role conda first, or name the executable of an installation that is there."
        )
    require_writable(wish.prefix, "hand the folder to that account or name another prefix.")
    _call(wish, step, start)
    after = packages(wish.prefix)
    still = decide(wish, after)
    if still.command:
        what = ", ".join(f"'{spec.text}'" for spec in still.specs) or str(wish.prefix)
        raise CondaError(
            f"conda reported success, but {what} is not as wished in {wish.prefix}; run "
            f"'{' '.join(argv(wish, still))}' by hand to see why."
        )
    return Outcome(step, installed, after)


def _call(wish: Wish, step: Step, start: Start, dry_run: bool = False) -> dict[str, Any]:
    finished = start(argv(wish, step, dry_run), wish.timeout)
    report = answer(finished.stdout)
    if finished.rc != 0:
        raise CondaError(explain(wish, step, finished, report))
    return report


def _predicted(wish: Wish, step: Step, installed: dict[str, Package], start: Start | None) -> dict[str, Package]:
    """What the environment would hold: by conda's own dry run where conda is there, else the wishes as written."""
    if not wish.present:
        return {}
    actions = _call(wish, step, start, dry_run=True).get("actions") if start else None
    if not isinstance(actions, dict):
        wished = {spec.name: Package(spec.name, spec.version, spec.build) for spec in step.specs}
        return {**installed, **wished}
    gone = {entry["name"] for entry in actions.get("UNLINK", ())}
    come = [
        Package(entry["name"], entry["version"], entry.get("build_string", ""), str(entry.get("channel", "")))
        for entry in actions.get("LINK", ())
    ]
    kept = {name: package for name, package in installed.items() if name not in gone}
    return {**kept, **{package.name: package for package in come}}


# By the names of conda's errors (conda.exceptions, conda_anaconda_tos.exceptions), never by its wordings: the first
# row of which a part occurs in the name.
_SENTENCES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("CondaToS",),
        "conda refused {specs}: {channels} belong to Anaconda, whose terms of service have not been accepted on this "
        "node. Accept them (role conda: conda_accept_anaconda_terms: true) or use other channels, such as "
        "conda-forge. conda said: {said}",
    ),
    (
        ("PackagesNotFound", "PackageNotFound", "ResolvePackageNotFound", "NoPackagesFound"),
        "There is no package for {lost} in {channels}; correct the name or version, or name a channel that has it.",
    ),
    (
        ("Unsatisfiable", "SpecsConfigurationConflict"),
        "Nothing in {channels} satisfies {specs} in {prefix}; correct a name or loosen a version. conda said: {said}",
    ),
    (
        ("NotWritable", "NoWritable", "PermissionError"),
        "{account} may not write to {prefix} or to conda's package cache; hand them over. conda said: {said}",
    ),
    (("NoSpaceLeft",), "The disk is full where {prefix} or conda's package cache lies; free some space."),
    (("InvalidSpec", "InvalidMatchSpec", "InvalidVersionSpec"), "conda cannot read one of {specs}: {said}"),
    (
        ("CondaHTTP", "CondaSSL", "UnavailableInvalidChannel", "Proxy", "Channel", "Timeout", "Connection", "Offline"),
        "conda cannot read {channels}; correct the address, or name a mirror (role conda: conda_channels) or a proxy. "
        "conda said: {said}",
    ),
)
_OTHERWISE = "conda {command} for {prefix} failed with exit code {rc}: {said}"
_TOO_LONG = "conda {command} for {prefix} was stopped after {timeout:g} s; do {channels} answer? Or allow more."


def explain(wish: Wish, step: Step, finished: Finished, report: dict[str, Any]) -> str:
    """One sentence for a failure of conda: what failed, on which object, and what to do."""
    name = str(report.get("exception_name", ""))
    known = next((text for parts, text in _SENTENCES if any(part in name for part in parts)), _OTHERWISE)
    specs = _quoted([spec.text for spec in step.specs or wish.specs]) or "an empty environment"
    return (_TOO_LONG if finished.rc is None else known).format(
        command=step.command,
        prefix=wish.prefix,
        specs=specs,
        lost=_quoted([str(package) for package in report.get("packages") or ()]) or specs,
        channels=_channels(wish, report),
        account=account(),
        rc=finished.rc,
        timeout=wish.timeout,
        said=one_line(str(report.get("message") or report.get("error") or finished.last_words or "nothing")),
    )


def _quoted(texts: list[str]) -> str:
    return ", ".join(f"'{text}'" for text in texts)


def _channels(wish: Wish, report: dict[str, Any]) -> str:
    channels = list(wish.channels) or [str(url) for url in report.get("channel_urls") or ()]
    return f"the channels {', '.join(channels)}" if channels else "the channels that conda is configured with"
