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

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.source import SourceError, below
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import sum_of
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import canonical
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.transfer import fetched, handed_over
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._inventory.cluster_variables import flag
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._wheels.store import (
    WheelError,
    keep,
    kept,
    pack,
    source_file,
    told,
)

# Seconds between two looks at a build, first and at most, and between two words about it.
_FIRST, _LONGEST, _WORDS = 1.0, 10.0, 30.0
# Seconds beyond those that a build is given: a worker that has died says nothing, but its lock is free then.
_GRACE = 300


class ActionModule(ActionBase):
    """Runs the module of the same name in steps; its documentation is there."""

    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        self._host = str(self._task.delegate_to or self._task_vars["inventory_hostname"])
        try:
            with self._source() as (local, arguments):
                return {**result, **self._have(local, arguments)}
        except (SourceError, WheelError) as error:
            raise AnsibleActionFail(str(error)) from error

    @contextlib.contextmanager
    def _source(self) -> Iterator[tuple[Path | None, dict[str, Any]]]:
        """An archive to be handed over, where the source is on the control node, and the arguments of the module."""
        given = dict(self._task.args)
        path = None if flag(given.get("source_on_node", False)) else source_file(str(given.get("source", "")))
        if path is None:
            yield None, given
            return
        if path.is_dir():
            path = path / below(str(given.pop("subdirectory", "")))
        archive = pack(path) if path.is_dir() else path
        try:
            # The node knows it by its sum before it has it.
            name = "source.tar.gz" if path.is_dir() else path.name
            yield archive, {**given, "source": f"/{name}", "checksum": sum_of(archive), "source_on_node": True}
        finally:
            if archive != path:
                archive.unlink()

    def _have(self, local: Path | None, arguments: dict[str, Any]) -> dict[str, Any]:
        found = self._module(arguments, step="look")
        if found.get("failed") or not found.get("key"):
            return found
        artifacts = Path(str(arguments["artifacts"])).expanduser()
        name = canonical(str(arguments["name"]))
        here = kept(artifacts, name, found["key"])
        if here:
            return {**found, "wheel": here, "changed": False}
        if self._task.check_mode:
            built = bool(found["wheel"])
            return {**found, "wheel": {}, "changed": True, "msg": self._foreseen(name, built)}
        built_now = False
        if not found["wheel"]:
            found = self._built(local, arguments, found)
            built_now = True
            if found.get("failed"):
                return found
        return {**found, "wheel": self._collect(artifacts, found["wheel"]), "changed": built_now}

    def _foreseen(self, name: str, built: bool) -> str:
        if built:
            return f"{name} has been built on {self._host}, and would be taken from there."
        return f"{name} would be built on {self._host}."

    def _built(self, local: Path | None, arguments: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        if found["state"] != "running":
            found = self._started(local, arguments)
            if found.get("failed"):
                return found
        else:
            self._display.display(f"{arguments['name']} is being built on {self._host} already: waiting for it.")
        key, pause = found["key"], _FIRST
        spoken = time.monotonic()
        deadline = spoken + float(arguments.get("timeout") or 7200) + _GRACE
        while True:
            found = self._module(arguments, step="watch", key=key)
            if found.get("failed") or found["state"] != "running":
                return found
            now = time.monotonic()
            if now > deadline:
                raise AnsibleActionFail(
                    f"The build of {arguments['name']} on {self._host} does not come to an end; its log is "
                    f"{found['log']}."
                )
            if now - spoken >= _WORDS:
                spoken = now
                self._display.display(told(str(arguments["name"]), self._host, found["progress"]))
            time.sleep(pause)
            pause = min(_LONGEST, pause * 1.5)

    def _started(self, local: Path | None, arguments: dict[str, Any]) -> dict[str, Any]:
        if local is None:
            return self._module(arguments, step="start")
        with handed_over(self, local, str(arguments["source"]).lstrip("/")) as path:
            return self._module({**arguments, "source": path}, step="start")

    def _collect(self, artifacts: Path, wheel: dict[str, Any]) -> dict[str, Any]:
        manifest = {**wheel, "built_on": self._host}
        path = manifest.pop("path_on_node")
        with tempfile.TemporaryDirectory(prefix="fromzero-wheel-") as folder:
            target = Path(folder, manifest["filename"])
            fetched(self, path, target, self._task_vars)
            return keep(artifacts, manifest, target)

    def _module(self, arguments: dict[str, Any], **more: str) -> dict[str, Any]:
        found: dict[str, Any] = self._execute_module(module_args={**arguments, **more}, task_vars=self._task_vars)
        if found.get("failed"):
            # It speaks for all nodes, and the reader wants to know which one it is about.
            found["msg"] = f"{self._host}: {found.get('msg', 'no reason given')}"
        return found
