# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Brings a folder of the head to the nodes: what changed there, by rsync, to all of them at once.

Each node compares by itself what it has (L(agent.Folder)); rsync is started only for a node that lacks something.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import subprocess
import tempfile
from typing import Any, Sequence

from ds_launch import agent, nodes
from ds_launch.nodes import Node
from ds_launch.options import Options
from ds_launch.script import Needs
from ds_launch.words import Refusal, listed, say

_IGNORE_FILE, _GIT_IGNORE_FILE = ".dsignore", ".gitignore"
_AT_ONCE = 16


def _git(arguments: Sequence[str], folder: str, given: bytes = b"") -> list[str]:
    done = subprocess.run(["git", *arguments], cwd=folder, input=given, capture_output=True, check=False)
    # check-ignore says by status 1 that nothing is ignored.
    if done.returncode > 1 or (done.returncode and arguments[0] != "-c"):
        raise OSError(done.stderr.decode("utf-8", "replace").strip())
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _all_files(folder: str) -> list[str]:
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        found += [os.path.relpath(os.path.join(root, name), folder) for name in (*names, *links)]
    return found


def _has_rules(folder: str) -> bool:
    return any({_IGNORE_FILE, _GIT_IGNORE_FILE} & {*names} for _root, _folders, names in os.walk(folder) if names)


class Rules:
    """What of a folder stays here: by C(.dsignore) at its top, else by its C(.gitignore) files, as git reads them."""

    def __init__(self, folder: str) -> None:
        """:raises Refusal: there are rules, and no git that could read them."""
        self.folder = folder
        self._own = os.path.isfile(os.path.join(folder, _IGNORE_FILE))
        self._needed = _has_rules(folder)
        if self._needed and not shutil.which("git"):
            raise Refusal(
                f"git is missing here, which reads the {_IGNORE_FILE if self._own else _GIT_IGNORE_FILE} of {folder}; "
                "run the playbook 'hostfile' with root, or install git."
            )

    def _listing(self, folder: str, repository: str) -> list[str]:
        where = [f"--git-dir={repository}", f"--work-tree={folder}"]
        rules = f"--exclude-from={_IGNORE_FILE}" if self._own else f"--exclude-per-directory={_GIT_IGNORE_FILE}"
        names = _git([*where, "ls-files", "--others", "-z", rules], folder)
        found = [name for name in names if not name.endswith("/")]
        # A repository inside the folder is listed as one name; its own rules hold in it.
        for inner in (name for name in names if name.endswith("/")):
            found += [inner + name for name in self._inner(os.path.join(folder, inner), repository)]
        return found

    def _inner(self, folder: str, repository: str) -> list[str]:
        where = [f"--git-dir={repository}", f"--work-tree={folder}"]
        rules = [] if self._own else [f"--exclude-per-directory={_GIT_IGNORE_FILE}"]
        names = _git([*where, "ls-files", "--others", "-z", *rules], folder)
        return [name for name in names if not name.endswith("/")]

    def files(self) -> list[str]:
        """The files and links to bring, relative to the folder.

        :raises Refusal: git cannot read the rules.
        """
        if not self._needed:
            return _all_files(self.folder)
        with tempfile.TemporaryDirectory() as repository:
            try:
                _git(["init", "--quiet", "--bare", repository], self.folder)
                found = self._listing(self.folder, repository)
            except OSError as error:
                raise Refusal(f"git cannot list {self.folder}: {error}.") from error
        if not self._own:
            # What a repository tracks is part of it, whatever its rules say.
            with contextlib.suppress(OSError):
                tracked = _git(["ls-files", "--cached", "-z"], self.folder)
                found += [name for name in tracked if os.path.lexists(os.path.join(self.folder, name))]
        return list(dict.fromkeys(found))

    def ignored(self, names: set[str]) -> set[str]:
        """Those of these names that the rules leave where they are.

        :raises Refusal: git cannot read the rules.
        """
        if not self._needed or not names:
            return {name for name in names if name.split("/")[0] == ".git"}
        with tempfile.TemporaryDirectory() as repository:
            try:
                _git(["init", "--quiet", "--bare", repository], self.folder)
                if self._own:
                    os.makedirs(os.path.join(repository, "info"), exist_ok=True)
                    shutil.copy(os.path.join(self.folder, _IGNORE_FILE), os.path.join(repository, "info", "exclude"))
                given = b"".join(os.fsencode(name) + b"\0" for name in sorted(names))
                command = ["-c", "core.bare=false", f"--git-dir={repository}", f"--work-tree={self.folder}"]
                found = _git([*command, "check-ignore", "--no-index", "--stdin", "-z"], self.folder, given)
            except OSError as error:
                raise Refusal(f"git cannot read the rules of {self.folder}: {error}.") from error
        return {*found} | {name for name in names if name.split("/")[0] == ".git"}


def _inside(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _request(folder: str, needs: Needs, run: str, delete: bool) -> dict[str, Any]:
    files = {}
    for name in Rules(folder).files():
        mark = agent._mark(os.path.join(folder, name))
        if mark is not None and mark[0] >= 0:
            files[name] = mark
    # rsync brings files; a folder that the command names is there even where it is empty, as for what a run writes.
    named = [entry.path for entry in needs.paths if entry.kind == "folder"] + [needs.folder]
    folders = [os.path.relpath(path, folder) for path in named if _inside(path, folder) and path != folder]
    about = {"run": run, "delete": delete, "head": agent.identity()}
    return {"folder": folder, "files": files, "folders": folders, **about}


async def _rsync(node: Node, folder: str, names: list[str], port: int, gate: asyncio.Semaphore) -> str:
    """Bring these files to a node; a sentence where that failed."""
    ssh = " ".join(["ssh", *nodes.ssh_options(port)])
    target = f"[{node.name}]" if ":" in node.name else node.name
    # --protect-args: no shell of the node reads the name of the folder.
    command = ["rsync", "--archive", "--protect-args", "--from0", "--files-from=-", "--rsh", ssh]
    async with gate:
        process = await asyncio.create_subprocess_exec(
            *(*command, f"{folder}/", f"{target}:{folder}/"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _out, errors = await process.communicate(b"".join(os.fsencode(name) + b"\0" for name in names))
        finally:
            if process.returncode is None:
                process.kill()
    if process.returncode == 0:
        return ""
    said = errors.decode("utf-8", "replace").strip().splitlines() or [f"rsync ended with status {process.returncode}"]
    return f"{folder} cannot be brought to {node.name}: {said[0]}."


def _tell(
    folder: str, compared: Sequence[dict[str, Any]], finished: Sequence[dict[str, Any]], cluster: list[Node]
) -> None:
    shared = [node.name for node, answer in zip(cluster, compared) if answer["shared"] and not answer["head"]]
    if shared:
        share = "share" if len(shared) > 1 else "shares"
        say(f"{listed(shared)} {share} {folder} with this node; it is left alone there.")
    parts = []
    for node, answer, end in zip(cluster, compared, finished):
        removed = answer["removed"] + end["removed"]
        if not answer["shared"]:
            changes = [f"{len(answer['missing'])} files"] if answer["missing"] else []
            changes += [f"{removed} removed"] if removed else []
            parts.append(f"{node.name} {', '.join(changes) or 'unchanged'}")
        if end["kept"]:
            say(
                f"{node.name}: {len(end['kept'])} files of {folder} were not as ds-launch left them; copies are in "
                f"{os.path.commonpath([os.path.dirname(path) for path in end['kept']])}."
            )
    if parts:
        say(f"Synchronised {folder}: {'; '.join(parts)}.")


async def bring(cluster: list[Node], folder: str, needs: Needs, run: str, options: Options) -> None:
    """Bring a folder to all nodes.

    :raises Refusal: a node cannot get it.
    """
    if not os.path.isdir(folder):
        raise Refusal(f"The folder {folder} for --sync is not there; correct the path.")
    if folder in ("/", os.path.expanduser("~")):
        raise Refusal(f"--sync would bring all of {folder}; start from the folder of your job, or name it.")
    request = _request(folder, needs, run, options.sync_delete)
    token = f".ds-launch-{secrets.token_hex(8)}"
    try:
        with open(os.path.join(folder, token), "w", encoding="utf-8"):
            pass
    except OSError:
        token = ""
    try:
        compared = await nodes.ask(cluster, "compare", [{**request, "token": token} for _node in cluster])
    finally:
        if token:
            os.unlink(os.path.join(folder, token))
    problems = [f"{node.name} cannot take {folder}: {a['error']}." for node, a in zip(cluster, compared) if a["error"]]
    for node, answer in zip(cluster, compared):
        problems += [
            f"{path} of {node.name} is a folder, but a file here; move it away." for path in answer.get("problems", [])
        ]
    lacking = [(node, answer["missing"]) for node, answer in zip(cluster, compared) if answer["missing"]]
    without = [node.name for node, answer in zip(cluster, compared) if answer["missing"] and not answer["rsync"]]
    without += [] if shutil.which("rsync") or not lacking else ["this node"]
    if without:
        problems.append(f"rsync is missing on {listed(without)}; run the playbook 'hostfile' with root, or install it.")
    if problems:
        raise Refusal(*problems)
    gate = asyncio.Semaphore(_AT_ONCE)
    failures = await asyncio.gather(*(_rsync(node, folder, names, options.ssh_port, gate) for node, names in lacking))
    if any(failures):
        raise Refusal(*filter(None, failures))
    rules = Rules(folder) if options.sync_delete else None
    gone: list[list[str]] = []
    for answer in compared:
        others = {*answer.get("others", ())}
        gone.append(sorted(others - rules.ignored(others)) if rules else [])
    mine = [(node, answer, names) for node, answer, names in zip(cluster, compared, gone) if not answer["shared"]]
    finished = await nodes.ask([node for node, _a, _n in mine], "finish", [{"delete": names} for _n, _a, names in mine])
    failed = [
        f"{node.name} cannot note what was brought: {end['error']}."
        for (node, _a, _n), end in zip(mine, finished)
        if end["error"]
    ]
    if failed:
        raise Refusal(*failed)
    ends = {node.name: end for (node, _a, _n), end in zip(mine, finished)}
    _tell(folder, compared, [ends.get(node.name, {"removed": 0, "kept": []}) for node in cluster], cluster)
