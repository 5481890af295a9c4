# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Has a wheel built once: takes a finished one from the control node or from the node, else waits for a build there."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.source import SourceError, below
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import sum_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import canonical
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.account import as_user
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction, ModuleFailed
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.transfer import fetched, handed_over, sweep
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment import build_packages
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._wheels.store import (
    WheelError,
    foreseen,
    keep,
    kept,
    pack,
    progress_line,
    source_file,
)

# Seconds between two looks at a build, first and at most, and between two lines about it.
_FIRST, _LONGEST, _LINES = 1.0, 10.0, 30.0
# Seconds beyond those that a build is given: a worker that has died says nothing, but its lock is free then.
_GRACE = 300
# The options of python_packages that a build has too.
_OF_INSTALLATION = ("prefix", "keep", "index_url", "extra_index_urls", "find_links", "installer")
# What is known of a build where the node could not be asked, in check mode.
_UNKNOWN = {"key": "", "state": "absent", "log": "", "wheel": {}, "progress": {}, "environment": {}}


class ActionModule(DecisionAction):
    """Runs the module of the same name in steps; its documentation is there."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self._host = str(self._task.delegate_to or self._task_vars["inventory_hostname"])
        try:
            with self._source(arguments) as (local, given):
                return {"host": self._host, "installed": {}, **self._wheel(local, given)}
        except (SourceError, WheelError) as error:
            raise ValueError(str(error)) from error

    def module(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        try:
            return super().module(name, **arguments)
        except ModuleFailed as failure:
            # It speaks for all nodes, and the reader wants to know which one it is about.
            failure.result["msg"] = f"{self._host}: {failure}"
            raise

    @contextlib.contextmanager
    def _source(self, arguments: dict[str, Any]) -> Iterator[tuple[Path | None, dict[str, Any]]]:
        """An archive to be handed over, where the source is on the control node, and the arguments of the module."""
        path = None if arguments["source_on_node"] else source_file(arguments["source"])
        if path is None:
            yield None, arguments
            return
        given = dict(arguments)
        if path.is_dir():
            path = path / below(given.pop("subdirectory"))
        archive = pack(path) if path.is_dir() else path
        try:
            # The node knows it by its sum before it has it.
            name = "source.tar.gz" if path.is_dir() else path.name
            yield archive, {**given, "source": f"/{name}", "checksum": sum_of(archive), "source_on_node": True}
        finally:
            if archive != path:
                archive.unlink()

    def _wheel(self, local: Path | None, given: dict[str, Any]) -> dict[str, Any]:
        found = self._look(given)
        artifacts, name = Path(given["artifacts"]).expanduser(), canonical(given["name"])
        here = kept(artifacts, name, found["key"]) if found["key"] else {}
        if here:
            return {**found, "wheel": here, "changed": False}
        exists = bool(found["wheel"])
        prepared = {} if exists or found["state"] == "running" else self._prepared(given, found["environment"])
        if self._task.check_mode:
            message = foreseen(name, self._host, exists, prepared.get("installed", {}))
            return {**found, **prepared, "wheel": {}, "changed": True, "msg": message}
        if not exists:
            found = self._built(local, given, found)
        return {**found, **prepared, "wheel": self._collected(artifacts, found["wheel"], given), "changed": not exists}

    def _look(self, given: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._step(given, "look")
        except ModuleFailed as failure:
            if not failure.result.get("git_missing") or not given["install_needs"]:
                raise
        # Without git nobody knows which commit a tag is, and so which wheel is asked for.
        self._packages(["git"], {})
        return dict(_UNKNOWN) if self._task.check_mode else self._step(given, "look")

    def _prepared(self, given: dict[str, Any], environment: dict[str, Any]) -> dict[str, Any]:
        """Install what the build needs; the packages of the system that were, and the difference."""
        found: dict[str, Any] = {}
        git = ["git"] if given["source"].startswith("git+") else []
        if given["install_needs"] and [*given["needs"], *git]:
            done = self._packages([*given["needs"], *git], environment)
            found = {name: done[name] for name in ("installed", "diff") if name in done}
        imports = build_packages.requirements(environment.get("torch", "")) if given["torch_extension"] else []
        if imports or given["requirements"]:
            options = {name: given[name] for name in _OF_INSTALLATION}
            with as_user(self, given["user"]):
                self.module("python_packages", packages=[*imports, *given["requirements"]], **options)
        return found

    def _packages(self, needs: list[str], environment: dict[str, Any]) -> dict[str, Any]:
        facts, table = self._facts(), rows("build_packages")
        return self.module(
            "package_transaction",
            install=build_packages.packages(needs, facts, environment, table),
            advice=build_packages.advice(facts, environment, table),
        )

    def _facts(self) -> dict[str, Any]:
        hosts = self._task_vars["hostvars"]
        return dict(hosts[self._host].get("ansible_facts", {})) if self._host in hosts else {}

    def _built(self, local: Path | None, given: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        if found["state"] != "running":
            found = self._started(local, given)
        else:
            self._display.display(f"{given['name']} is being built on {self._host} already: waiting for it.")
        key, pause = found["key"], _FIRST
        spoken = time.monotonic()
        deadline = spoken + (given["timeout"] or 7200) + _GRACE
        while True:
            found = self._step(given, "watch", key=key)
            if found["state"] != "running":
                return found
            now = time.monotonic()
            if now > deadline:
                raise WheelError(
                    f"The build of {given['name']} on {self._host} does not come to an end; its log is {found['log']}."
                )
            if now - spoken >= _LINES:
                spoken = now
                self._display.display(progress_line(given["name"], self._host, found["progress"]))
            time.sleep(pause)
            pause = min(_LONGEST, pause * 1.5)

    def _started(self, local: Path | None, given: dict[str, Any]) -> dict[str, Any]:
        if local is None:
            return self._step(given, "start")
        sweep(self)
        with handed_over(self, local, given["source"].lstrip("/")) as path:
            return self._step({**given, "source": path}, "start")

    def _collected(self, artifacts: Path, wheel: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        manifest = {**wheel, "built_on": self._host}
        path = manifest.pop("path_on_node")
        with tempfile.TemporaryDirectory(prefix="fromzero-wheel-") as folder, as_user(self, given["user"]):
            target = Path(folder, manifest["filename"])
            fetched(self, path, target, self._task_vars)
            return keep(artifacts, manifest, target)

    def _step(self, given: dict[str, Any], step: str, **more: str) -> dict[str, Any]:
        with as_user(self, given["user"]):
            return self.module("wheel_build", **{**given, **more, "step": step})
