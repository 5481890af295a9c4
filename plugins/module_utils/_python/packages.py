# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring exact versions of packages into a Python environment by uv or pip."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.memory import available, compilers
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, Runner
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import ask, search_path
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.indexes import UV_VARIABLES, Sources, of_uv
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.install_mark import (
    InstallerAtWork,
    installing,
    is_marked,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.probe import UNFINISHED
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import (
    Requirement,
    RequirementError,
    canonical,
    nearest,
    parse,
)

_OFFERED = re.compile(r"\(from versions: (?P<versions>[^)]*)\)")
_OTHER_PYTHONS = re.compile(
    r"You require (?P<wanted>.+?), but we only found wheels for `(?P<name>[^`]+)` \(v(?P<version>[^)]+)\) with the "
    r"following Python (?:implementation|ABI) tags?: (?P<tags>.+)"
)
_FULL = re.compile(r"^.*(?:No space left on device|Disk quota exceeded).*$", re.MULTILINE)
_UNREACHABLE = re.compile(
    r"^.*(?:tcp connect error|dns error|operation timed out|Failed to establish a new connection|NameResolutionError"
    r"|Connection refused|ConnectTimeoutError).*$",
    re.MULTILINE,
)
_FETCHED = re.compile(r"Failed to fetch: `?(?P<url>[^`\s]+)")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_SPEC = r"(?:\[[^\]]*\])?\s*(?:(?:===?|>=|<=|!=|~=|>|<)\s*[^\s,;)]+)(?:\s*,\s*(?:===?|>=|<=|!=|~=|>|<)\s*[^\s,;)]+)*"
_VERSIONED = rf"(?:[A-Za-z0-9][\w.-]*)(?:{_SPEC}|\s+v?\d[\w.+!-]*)?"
# "greedy==1.0 depends on torch==2.12.0" of uv, "greedy 1.0 depends on torch==2.12.0" of pip.
_NAMED = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")
_DEPENDS = re.compile(rf"(?P<who>{_VERSIONED}) depends? on (?P<what>[A-Za-z0-9][\w.-]*{_SPEC})")
_GIB_PER_COMPILER = 2
# Reading all of a torch with its CUDA libraries takes a slow disk more than a minute.
_LOOK_SECONDS = 600


class PackagesError(Exception):
    """The packages are not in the environment; the text is a sentence for the user."""


@dataclass(frozen=True)
class Wish:
    """What a task asks for.

    :param prefix: folder of the environment.
    :param requirements: what must be installed.
    :param sources: places on top of the node's own configuration.
    :param installer: auto, uv or pip.
    :param uv_version: the uv to install where the environment has none.
    :param keep: names of packages that stay as they are where they are installed.
    :param optional: name of a package -> how a user leaves it out, for the message where no index has it.
    :param reinstall: install again what is there in the wanted version.
    :param environment: variables for the installer and what it builds.
    :param jobs: compilers at once, 0 for what cores and memory allow.
    :param timeout: seconds for one call of the installer.
    """

    prefix: str
    requirements: Sequence[Requirement]
    sources: Sources = field(default_factory=Sources)
    installer: str = "auto"
    uv_version: str = ""
    constraints: Sequence[str] = ()
    keep: Sequence[str] = ()
    optional: Mapping[str, str] = field(default_factory=dict)
    dependencies: bool = True
    build_isolation: bool = True
    from_source: Sequence[str] = ()
    cache: bool = True
    reinstall: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 0
    timeout: float = 3600


@dataclass(frozen=True)
class Installed:
    """One installed distribution: its version in the metadata, and the one with the build where it names it itself."""

    metadata: str
    version: str


@dataclass(frozen=True)
class Contents:
    """What an environment has.

    :param packages: the distributions by normalised name.
    :param unfinished: folder that an installer was cut off in -> name of the distribution, which is not in packages.
    :param damaged: those of the unfinished that have all but the files of their wheel -> version in the metadata.
    """

    packages: Mapping[str, Installed]
    unfinished: Mapping[str, str]
    damaged: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Outcome:
    """What was done. changes: name -> (version before, version after), '' where there was none."""

    changes: dict[str, tuple[str, str]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    installer: str = ""
    warnings: list[str] = field(default_factory=list)


def look(run: Runner, prefix: str, environment: Mapping[str, str], *, doubt: bool = False) -> Contents:
    """What an environment has.

    :param doubt: an installer was cut off there, so each file is held against what was installed.
    :raises EnvironmentMissing: there is no environment.
    """
    sections = ["packages", "integrity"] if doubt else ["packages"]
    facts = ask(run, prefix, sections, environment, _LOOK_SECONDS).facts
    packages = {name: Installed(*versions) for name, versions in facts["packages"]["packages"].items()}
    damaged = facts.get("integrity", {"damaged": {}})["damaged"]
    versions = {name: packages.pop(name).metadata for name in damaged.values() if name in packages}
    return Contents(packages, {**facts["packages"]["unfinished"], **damaged}, versions)


def _set_aside(contents: Contents) -> list[str]:
    """Hide what was cut off from the installers, which would count it as installed.

    :return: the folders under their new names.
    """
    folders: dict[str, None] = {}
    for folder in map(Path, contents.unfinished):
        aside = folder.with_suffix(UNFINISHED)
        if folder != aside:
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
        folders[str(aside)] = None
    return [*folders]


def _discard(prefix: str, aside: Sequence[str], after: Mapping[str, Installed]) -> list[str]:
    """Remove the remains of what is installed again; a warning about what is not."""
    remaining = []
    for folder in map(Path, aside):
        name, version = folder.stem.rsplit("-", 1)
        if canonical(name) in after:
            shutil.rmtree(folder)
        else:
            remaining.append(f"{canonical(name)}=={version}")
    if not remaining:
        return []
    return [
        f"An installer was cut off in {', '.join(remaining)} of {prefix}, which nothing here needs; install it again, "
        f"such as by '{prefix}/bin/python -m pip install {' '.join(remaining)}', or remove {', '.join(aside)}."
    ]


def missing(requirements: Sequence[Requirement], installed: Mapping[str, Installed]) -> list[Requirement]:
    """The requirements that no installed distribution satisfies."""
    return [
        wanted
        for wanted in requirements
        if wanted.name not in installed
        or not any(wanted.accepts(text) for text in (installed[wanted.name].version, installed[wanted.name].metadata))
    ]


def _tail(finished: Finished, lines: int = 12) -> str:
    text = _CREDENTIALS.sub("***@", f"{finished.stdout}\n{finished.stderr}".strip())
    return "\n".join(text.splitlines()[-lines:])


class Installer:
    """Runs pip or uv of one environment."""

    def __init__(self, run: Runner, wish: Wish, environment: Mapping[str, str]) -> None:
        self._run, self._wish = run, wish
        self._environment = {**environment, **wish.environment}
        self._python = f"{wish.prefix}/bin/python"
        self._uv = f"{wish.prefix}/bin/uv"
        self.warnings: list[str] = []

    def choose(self, *, usable: bool = True) -> str:
        """The installer to use, after uv was installed into the environment where it is wanted and absent.

        :param usable: no installer was cut off in the uv that is there.
        :raises PackagesError: uv is wanted and cannot be had.
        """
        if self._wish.installer == "pip" or (usable and Path(self._uv).exists()):
            return "pip" if self._wish.installer == "pip" else "uv"
        # uv is a package like any other: it comes from where the node's packages come from, not from an index of torch.
        wish = self._wish.sources
        places = Sources(find_links=wish.find_links, no_index=wish.no_index)
        if wish.index_url:
            places = Sources(extra_index_urls=(wish.index_url,), find_links=wish.find_links, no_index=wish.no_index)
        finished = self._pip("install", *self._pip_options(places), f"uv=={self._wish.uv_version}")
        if finished.rc == 0:
            return "uv"
        reason = f"uv {self._wish.uv_version} cannot be installed into {self._wish.prefix}: {finished.last_words}"
        if self._wish.installer == "uv":
            raise PackagesError(f"{reason}. Name an index that has it, or use pip as the installer.")
        self.warnings.append(f"{reason}; pip is used in its place.")
        return "pip"

    def install(self, installer: str, requirements: Sequence[str], again: Sequence[str]) -> Finished:
        """
        :param requirements: all that must hold together afterwards, as the installer reads it.
        :param again: names or files among them to install although they are there.
        """
        if installer == "uv":
            return self._with_uv(requirements, again)
        options = self._pip_options(self._wish.sources) + [f"--constraint={file}" for file in self._wish.constraints]
        options += self._build_options() + ([] if self._wish.cache else ["--no-cache-dir"])
        if again:
            # Its dependencies are there already, and a forced installation would download them all again.
            finished = self._pip("install", *options, "--force-reinstall", "--no-deps", *again)
            if finished.rc != 0:
                return finished
        return self._pip("install", *options, *requirements)

    def offered(self, requirement: Requirement) -> list[str]:
        """The versions that pip finds for this Python and platform; empty where it finds none or cannot say."""
        impossible = f"{requirement.name}==0+none.such"
        found = _OFFERED.search(self._pip("install", *self._pip_options(self._wish.sources), impossible).stderr)
        return [version.strip() for version in found["versions"].split(",") if version != "none"] if found else []

    def _variables(self) -> dict[str, str]:
        jobs = str(self._wish.jobs or compilers(len(os.sched_getaffinity(0)), available(), _GIB_PER_COMPILER))
        return {"MAX_JOBS": jobs, **search_path(self._wish.prefix, self._environment)}

    def _build_options(self) -> list[str]:
        switches = [] if self._wish.build_isolation else ["--no-build-isolation"]
        switches += [] if self._wish.dependencies else ["--no-deps"]
        return [*switches, *(f"--no-binary={name}" for name in self._wish.from_source)]

    def _pip_options(self, sources: Sources) -> list[str]:
        return ["--disable-pip-version-check", "--no-input", *sources.options("--index-url", "--extra-index-url")]

    def _pip(self, *arguments: str) -> Finished:
        # A package in the user's home must not pass for one of the environment, and an older pip must not fall back to
        # setup.py install where the package wheel is missing; a newer one ignores that variable.
        variables = {**self._variables(), "PYTHONNOUSERSITE": "1", "PIP_USE_PEP517": "1"}
        return self._run([self._python, "-m", "pip", *arguments], "", variables, self._wish.timeout)

    def _with_uv(self, requirements: Sequence[str], again: Sequence[str]) -> Finished:
        sources = of_uv(self._wish.prefix, self._environment).joined(self._wish.sources)
        variables = {name: value for name, value in self._variables().items() if name not in UV_VARIABLES}
        if sources.cert:
            variables.setdefault("SSL_CERT_FILE", sources.cert)
        if sources.proxy:
            variables.setdefault("HTTPS_PROXY", sources.proxy)
            variables.setdefault("HTTP_PROXY", sources.proxy)
        # As pip does, the best version of all indexes counts, not the first index that knows the name.
        options = [f"--python={self._python}", "--index-strategy=unsafe-best-match", "--no-progress"]
        options += sources.options("--default-index", "--index")
        options += [f"--allow-insecure-host={host}" for host in sources.trusted_hosts]
        options += [f"--constraints={file}" for file in self._wish.constraints]
        options += [f"--reinstall-package={parse(text).name}" for text in again]
        options += self._build_options() + ([] if self._wish.cache else ["--no-cache"])
        return self._run([self._uv, "pip", "install", *options, *requirements], "", variables, self._wish.timeout)


def wanted_of(kept: str, said: str) -> list[tuple[str, str]]:
    """Who wants what of a package, by the words of a failed resolution of uv or pip.

    :param kept: the normalised name of the package.
    :param said: all that the installer said.
    :return: pairs such as ("greedy 1.0", "torch==2.12.0"), one for each package and wish.
    """
    pairs: dict[tuple[str, str], str] = {}
    for found in _DEPENDS.finditer(" ".join(said.split())):
        who, what = found["who"].replace("==", " "), re.sub(r"\s+", "", found["what"]).rstrip(".")
        names = [match[0] for match in map(_NAMED.match, (who, what)) if match]
        if canonical(names[-1]) == kept:
            pairs.setdefault((canonical(names[0]), what), who)
    return [(who, what) for (_name, what), who in pairs.items()]


def _moved(kept: Mapping[str, str], finished: Finished, failed: str) -> str:
    """The sentence about what is kept and would have been exchanged; empty where nothing would."""
    said = f"{finished.stderr}\n{finished.stdout}"
    for package, version in kept.items():
        pairs = [(who, what) for who, what in wanted_of(package, said) if not _fits(what, version)]
        if pairs:
            wants = ", ".join(f"{who} wants {what}" for who, what in pairs[:3])
            return (
                f"{failed}, because {package} {version}, which is there and stays, would have to be exchanged: "
                f"{wants}. Take versions that fit {package} {version}, leave out what does not, or install the "
                f"{package} that is wanted first."
            )
    return ""


def _fits(text: str, version: str) -> bool:
    """Whether a version satisfies what a package wants; what cannot be read does not count as a reason."""
    try:
        return parse(text).accepts(version)
    except RequirementError:
        # != and ~= are not read here, and may well be the reason.
        return False


def _failed(name: str, wish: Wish, wanted: Sequence[Requirement]) -> str:
    """How each sentence about a failure begins."""
    specs = ", ".join(_CREDENTIALS.sub("***@", requirement.text) for requirement in wanted)
    return f"{name} could not install {specs} into {wish.prefix}"


def _sentence(installer: Installer, name: str, wish: Wish, wanted: Sequence[Requirement], finished: Finished) -> str:
    """Why an installation failed, and what to do."""
    failed = _failed(name, wish, wanted)
    if finished.rc is None:
        remedy = "give it more time, or wheels that need no compiling"
        return f"{failed} within {wish.timeout:g} s; {remedy}.\n{_tail(finished)}"
    full = _FULL.search(finished.stderr)
    if full:
        return (
            f"{failed}: a disk is full ({_CREDENTIALS.sub('***@', full.group(0).strip())}). Make room there; {name} "
            f"writes to {wish.prefix}, to its cache and to the folder for temporary files."
        )
    pythons = _OTHER_PYTHONS.search(finished.stderr)
    if pythons:
        package, python, tags = (pythons[part].replace("`", "").strip(" .") for part in ("name", "wanted", "tags"))
        return (
            f"{failed}: {package} {pythons['version']} has no wheel for {python}, only for {tags}. Make the "
            f"environment with such a Python, or choose a version of {package} that has one."
        )
    unreachable = _UNREACHABLE.search(finished.stderr)
    if unreachable:
        fetched = _FETCHED.search(finished.stderr)
        what = _CREDENTIALS.sub("***@", fetched["url"]) if fetched else "an index"
        reason = _CREDENTIALS.sub("***@", unreachable.group(0).strip())
        return f"{failed}: {what} cannot be reached from this node ({reason}). Name an index that can, or set a proxy."
    for requirement in wanted:
        if requirement.file or not requirement.version or requirement.text not in finished.stderr.replace(" ", ""):
            continue
        offered = installer.offered(requirement)
        if any(requirement.accepts(version) for version in offered):
            continue
        near = ", ".join(nearest(requirement.version, offered))
        without = wish.optional.get(requirement.name)
        there = (
            f"the nearest there are {near}. Choose one of these, or name another index"
            if near
            else f"it has no version of {requirement.name} at all. Correct the name, or name another index or Python"
        )
        there += f", or leave it out ({without})" if without else ""
        what = requirement.text if without else "it"
        return f"{failed}: no index or folder that this node uses has {what} for its Python and platform; {there}."
    return f"{failed}:\n{_tail(finished)}"


def _check_places(wish: Wish) -> None:
    places = [place for place in wish.sources.find_links if place.startswith("/")]
    files = [requirement.text for requirement in wish.requirements if requirement.text.startswith("/")]
    for path in [*places, *files, *wish.constraints]:
        if not Path(path).exists():
            raise PackagesError(f"{path} is not on this node; copy it there first or correct the path.")


def plan(wish: Wish, installed: Mapping[str, Installed]) -> list[Requirement]:
    """What there is to install."""
    return list(wish.requirements) if wish.reinstall else missing(wish.requirements, installed)


def apply(run: Runner, wish: Wish, environment: Mapping[str, str], *, dry: bool = False) -> Outcome:
    """Make the environment satisfy a wish; do nothing where it does.

    :param environment: all variables of this process.
    :param dry: only say what would be done.
    :raises EnvironmentMissing: there is no environment.
    :raises PackagesError: a package could not be installed.
    """
    before = look(run, wish.prefix, environment, doubt=is_marked(wish.prefix))
    wanted = plan(wish, before.packages)
    if dry:
        return _foreseen(before, wanted)
    if not (wanted or before.unfinished or is_marked(wish.prefix)):
        names = {requirement.name for requirement in wish.requirements}
        return Outcome(versions={name: before.packages[name].version for name in sorted(names)})
    _check_places(wish)
    try:
        with installing(wish.prefix, [requirement.name for requirement in wanted], wish.timeout) as doubt:
            # Another run may have installed them while this one waited.
            return _Installation(run, wish, environment, look(run, wish.prefix, environment, doubt=doubt)).run()
    except InstallerAtWork as error:
        raise PackagesError(str(error)) from error


def _foreseen(before: Contents, wanted: Sequence[Requirement]) -> Outcome:
    changes = {}
    for requirement in wanted:
        there = before.packages.get(requirement.name)
        changes[requirement.name] = (there.version if there else "", requirement.version or "some version")
    return Outcome(changes=changes)


class _Installation:
    """One call of an installer, and what has to hold before and after it."""

    def __init__(self, run: Runner, wish: Wish, environment: Mapping[str, str], before: Contents) -> None:
        self._run, self._wish, self._environment = run, wish, environment
        self._contents, self._before = before, before.packages
        self._wanted = plan(wish, self._before)
        asked = {requirement.name for requirement in wish.requirements}
        self._stays = {
            package: self._before[package]
            for package in dict.fromkeys(map(canonical, wish.keep))
            if package in self._before and package not in asked
        }

    def run(self) -> Outcome:
        """:raises PackagesError: the environment is not as it was asked for."""
        aside = _set_aside(self._contents)
        outcome = Outcome()
        after = self._before
        if self._wanted or aside:
            installer = Installer(self._run, self._wish, self._environment)
            outcome.installer = installer.choose(usable="uv" not in self._contents.unfinished.values())
            after = self._installed(installer, outcome.installer, doubt=bool(aside))
            outcome.warnings = [*installer.warnings, *_discard(self._wish.prefix, aside, after)]
        for package in sorted({*self._before, *after}):
            old, new = (there[package].version if package in there else "" for there in (self._before, after))
            again = self._wish.reinstall and package in {requirement.name for requirement in self._wanted}
            if old != new or again:
                outcome.changes[package] = (old, new)
        outcome.versions = {wanted.name: after[wanted.name].version for wanted in self._wish.requirements}
        return outcome

    def _installed(self, installer: Installer, name: str, *, doubt: bool) -> Mapping[str, Installed]:
        """The packages after the installer has come to its end.

        :param doubt: an earlier installer was cut off, so what it left in a cache may be damaged too.
        """
        # What matches is pinned as it is, so that no dependency of the new packages replaces it, and what is kept takes
        # part in the resolution, so that what comes along suits it too.
        kept = [
            f"{requirement.name}=={self._before[requirement.name].metadata}"
            for requirement in self._wish.requirements
            if requirement not in self._wanted
        ]
        kept += [f"{package}=={found.metadata}" for package, found in self._stays.items()]
        texts = [requirement.text for requirement in self._wanted]
        present = {requirement.text for requirement in self._wanted if requirement.name in self._before}
        again = [text for text in texts if text in present and (self._wish.reinstall or parse(text).file)]
        self._succeeded(installer, name, installer.install(name, [*texts, *kept], again))
        after = look(self._run, self._wish.prefix, self._environment, doubt=doubt)
        damaged = [f"{package}=={version}" for package, version in after.damaged.items()]
        if damaged:
            fresh = Installer(self._run, replace(self._wish, cache=False), self._environment)
            self._succeeded(fresh, name, fresh.install(name, [*texts, *kept, *damaged], damaged))
            after = look(self._run, self._wish.prefix, self._environment, doubt=True)
            if after.damaged:
                raise PackagesError(
                    f"{name} installed {', '.join(after.damaged)} into {self._wish.prefix} twice, and each time files "
                    "differ from what the wheel has; check the disk and the index."
                )
        self._check(name, after.packages)
        return after.packages

    def _succeeded(self, installer: Installer, name: str, finished: Finished) -> None:
        if finished.rc != 0:
            versions = {package: found.version for package, found in self._stays.items()}
            moved = _moved(versions, finished, _failed(name, self._wish, self._wanted))
            raise PackagesError(moved or _sentence(installer, name, self._wish, self._wanted, finished))

    def _check(self, name: str, after: Mapping[str, Installed]) -> None:
        for package, there in self._stays.items():
            now = after.get(package)
            if now != there:
                raise PackagesError(
                    f"{name} exchanged {package} {there.version} in {self._wish.prefix} for "
                    f"{now.version if now else 'nothing'}, although it was told to keep it. Install the {package} that "
                    "was there again, and report this."
                )
        for requirement in missing(self._wish.requirements, after):
            found = after.get(requirement.name)
            raise PackagesError(
                f"{name} reported success, and yet {self._wish.prefix} holds {requirement.name} "
                f"{found.version if found else 'in no version'} where {requirement.text} was asked for."
            )
