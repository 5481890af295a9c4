# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The part of ds-launch that runs on a node: it looks, compares folders, starts the ranks, and ends all of them.

ds-launch sends this source over ssh and the Python of the training environment runs it, so nothing of it has to be
installed and no node can have another version. It needs the standard library only, Python 3.8 or newer.

Requests arrive on standard input, one JSON object a line. Answers leave on standard output as frames (L(frame)). When
standard input ends, nobody is there any more who could stop the ranks: the agent ends them.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import json
import os
import pwd
import re
import resource
import selectors
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Callable, Dict, Iterable, Mapping

# What a shell's start-up files print arrives before this line, and is no answer.
HELLO = b"\0ds-launch agent 1\n"
# The variable by which every process of a run is known, whatever started it: C(<run>/<node>), since two names of a
# hostfile may lead to one machine.
RUN_VARIABLE = "DS_LAUNCH_RUN"
AGENT_NAME = "ds-launch-agent"
FOLDER_PREFIX = "ds-launch-"
# Of files above this size only samples are read, so that a look at a data set takes no minutes.
WHOLE_FILE = 64 * 2**20
_SAMPLES, _SAMPLE = 64, 256 * 1024
_OUT, _ERR = 1, 2
_HEADER = struct.Struct(">cI")
_OUTPUT = struct.Struct(">iB")
_LISTEN, _NO_INODE = "0A", "0"
# Seconds after which a process that SIGKILL does not end counts as stuck.
_PATIENCE = 15.0
# Seconds that ranks whose agent has just gone have to end.
_SETTLING = 3.0

Found = Dict[str, Any]


def frame(kind: bytes, payload: bytes) -> bytes:
    """One answer: C(J) is a JSON object, C(O) the output of a rank (its number or -1, the stream, the bytes)."""
    return _HEADER.pack(kind, len(payload)) + payload


# --- files -------------------------------------------------------------------------------------------------------


def fingerprint(path: str) -> str:
    """The size and the sha256 of a file; above L(WHOLE_FILE) bytes, of samples that are spread over it.

    :raises OSError: the file cannot be read.
    """
    size = os.stat(path).st_size
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        if size <= WHOLE_FILE:
            for block in iter(lambda: file.read(2**20), b""):
                digest.update(block)
        else:
            for number in range(_SAMPLES):
                file.seek((size - _SAMPLE) * number // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE))
    return f"{size}:{digest.hexdigest()}"


def _state(path: str, kind: str, content: str) -> str:
    """How a path compares with the head's: same, missing, unlike (a folder for a file), differs, unreadable.

    :param content: the L(fingerprint) that a file should have; empty for any.
    """
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode) != (kind == "folder"):
            return "unlike"
        if kind == "folder":
            return "same" if os.access(path, os.X_OK) else "unreadable"
        if not os.access(path, os.R_OK):
            return "unreadable"
        same_size = not content or content.partition(":")[0] == str(found.st_size)
        return "same" if same_size and (not content or fingerprint(path) == content) else "differs"
    except PermissionError:
        return "unreadable"
    except OSError:
        return "missing"


def _has_module(name: str) -> bool:
    """Whether a module is installed in this environment; packages around it are searched, never imported."""
    folders: list[str] | None = None
    parts = name.split(".")
    for number, part in enumerate(parts):
        spec = importlib.machinery.PathFinder.find_spec(part, folders)
        if spec is None:
            return number == 0 and name in sys.builtin_module_names
        folders = list(spec.submodule_search_locations or [])
    return True


# --- processes ---------------------------------------------------------------------------------------------------


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


@functools.lru_cache(maxsize=None)
def _boot_time() -> float:
    match = re.search(rb"^btime (\d+)", _read("/proc/stat"), re.MULTILINE)
    return float(match.group(1)) if match else 0.0


def _status(pid: int) -> tuple[str, int, float]:
    """State, parent and start (seconds since 1970) of a process; an empty state where it has gone."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) < 20:
        return "", 0, 0.0
    start = _boot_time() + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return fields[0].decode(), int(fields[1]), start


def _command(pid: int) -> list[str]:
    return _read(f"/proc/{pid}/cmdline").decode("utf-8", "replace").rstrip("\0").split("\0")


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _owner(pid: int) -> str:
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return ""
    return user_name(uid)


def user_name(uid: int) -> str:
    """The name of an account, or its number where it has none here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _run_in(environment: bytes) -> str:
    match = re.search(rb"(?:^|\0)" + RUN_VARIABLE.encode() + rb"=([^\0]*)", environment)
    return match.group(1).decode("utf-8", "replace") if match else ""


def processes_of(run: str, parent: int = 0) -> set[int]:
    """The living processes of a run that this account may end: those that carry its variable, and their children.

    :param run: C(<run>) for all of it on this machine, C(<run>/<node>) for the part of one node.
    :param parent: a process whose children are counted whatever they carry.
    """
    parents: dict[int, int] = {}
    members = set()
    for pid in _pids():
        state, above, _start = _status(pid)
        if not state or state in "ZX" or pid == os.getpid():
            continue
        parents[pid] = above
        found = _run_in(_read(f"/proc/{pid}/environ"))
        if run in (found, found.partition("/")[0]):
            members.add(pid)
    grown = True
    while grown:
        children = {pid for pid, above in parents.items() if above in members or above == parent > 0} - members
        members |= children
        grown = bool(children)
    return members


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def end_run(run: str, grace: float, parent: int = 0) -> bool:
    """End all processes of a run, politely first; whether none is left.

    :param grace: seconds that they have to end by themselves.
    :param parent: as for L(processes_of).
    """
    deadline = time.monotonic() + grace
    _signal(processes_of(run, parent), signal.SIGTERM)
    while time.monotonic() < deadline:
        if not processes_of(run, parent):
            return True
        time.sleep(0.1)
    # What is started in the meantime is found the next time.
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        left = processes_of(run, parent)
        if not left:
            return True
        _signal(left, signal.SIGKILL)
        time.sleep(0.1)
    return not processes_of(run, parent)


def runs_here() -> list[Found]:
    """The runs of ds-launch on this node, of every account: who, since when, which script, and who still steers it."""
    found: dict[str, Found] = {}
    for pid in _pids():
        command = _command(pid)
        if pid == os.getpid() or len(command) < 2:
            continue
        run, script, steered = "", "", False
        if AGENT_NAME in command[:6]:
            place = command.index(AGENT_NAME)
            run, script, steered = command[place + 1], " ".join(command[place + 2 : place + 3]), True
        else:
            run = _run_in(_read(f"/proc/{pid}/environ")).partition("/")[0]
            named = next((word for word in command if f"/{FOLDER_PREFIX}" in word), "")
            if not run and named:
                run = named.split(f"/{FOLDER_PREFIX}", 1)[1].partition("/")[0].rpartition(".")[0]
        state, _parent, start = _status(pid)
        if not run or not state or state in "ZX":
            continue
        entry = found.setdefault(
            run,
            {
                "run": run,
                "user": _owner(pid),
                "since": start,
                "script": "",
                "steered": False,
                "pids": [],
                "own": os.stat(f"/proc/{pid}").st_uid == os.getuid() if os.path.exists(f"/proc/{pid}") else False,
            },
        )
        entry["since"] = min(entry["since"], start)
        entry["script"] = entry["script"] or script
        entry["steered"] = entry["steered"] or steered
        if not steered:
            entry["pids"].append(pid)
    return sorted((entry for entry in found.values() if entry["pids"]), key=lambda entry: str(entry["run"]))


def settled_runs() -> list[Found]:
    """L(runs_here), where the end of a run that was just killed has had its time."""
    deadline = time.monotonic() + _SETTLING
    runs = runs_here()
    while time.monotonic() < deadline and any(run["own"] and not run["steered"] for run in runs):
        time.sleep(0.2)
        runs = runs_here()
    return runs


# --- GPUs and ports ----------------------------------------------------------------------------------------------


def _nvidia_smi(*query: str) -> list[list[str]]:
    program = shutil.which("nvidia-smi", path=f"{os.environ.get('PATH', '')}:/usr/bin:/usr/lib/wsl/lib")
    if program is None:
        return []
    try:
        done = subprocess.run(
            [program, *query, "--format=csv,noheader,nounits"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode:
        return []
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return [[part.strip() for part in line.split(",")] for line in lines if line.strip()]


def gpus_in_use(slots: Iterable[int]) -> list[Found]:
    """The processes that compute on these GPUs, each with its account and start where the node shows them."""
    wanted = set(slots)
    apps = [line for line in _nvidia_smi("--query-compute-apps=gpu_uuid,pid,used_memory") if len(line) >= 3]
    if not apps:
        return []
    numbers = {line[1]: int(line[0]) for line in _nvidia_smi("--query-gpu=index,uuid") if line[0].isdigit()}
    found = []
    for uuid, pid, memory in (line[:3] for line in apps):
        gpu = numbers.get(uuid, -1)
        if gpu in wanted and pid.isdigit():
            start = _status(int(pid))[2]
            found.append(
                {
                    "gpu": gpu,
                    "pid": int(pid),
                    "user": _owner(int(pid)),
                    "since": start,
                    "command": " ".join(_command(int(pid)))[:120],
                    "memory_mib": int(memory) if memory.isdigit() else 0,
                }
            )
    return found


def _sockets_on(port: int) -> list[tuple[str, int, str]]:
    """State, uid and inode of each TCP socket of this host whose own port is this one."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in _read(table).decode().splitlines()[1:]:
            fields = line.split()
            if int(fields[1].rpartition(":")[2], 16) == port:
                found.append((fields[3], int(fields[7]), fields[9]))
    return found


def port_holder(port: int) -> Found:
    """Who has a port: the account, and where this account may see the process, its id, its command and its start.

    One that listens comes before a connection that was given the port. A port that is only kept, as that of a launch
    which has just begun, is in no table; its process is not known then.
    """
    entries = [entry for entry in _sockets_on(port) if entry[2] != _NO_INODE]
    entries.sort(key=lambda entry: entry[0] != _LISTEN)
    if not entries:
        return {}
    uid, inode = entries[0][1:]
    for pid in _pids():
        if f"socket:[{inode}]" in _descriptors(pid):
            command = " ".join(_command(pid))[:120]
            return {"user": user_name(uid), "pid": pid, "command": command, "since": _status(pid)[2]}
    return {"user": user_name(uid)}


def _descriptors(pid: int) -> set[str]:
    """What a process has open; nothing for those of other accounts."""
    found = set()
    with contextlib.suppress(OSError):
        for descriptor in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
    return found


def reserve_port(port: int) -> socket.socket | None:
    """A socket that keeps a port for the first rank, or None where somebody has it.

    It is bound alone, so that of two launches at once only one gets the port. Then it is marked as reusable, which lets
    the store of rank 0 listen there, since this one never does.
    """
    holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        holder.bind(("", port))
    except OSError:
        # Connections of an earlier run that still wait for their end keep nobody from listening.
        states = {state for state, _uid, _inode in _sockets_on(port)}
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            if not states or _LISTEN in states:
                raise OSError
            holder.bind(("", port))
        except OSError:
            holder.close()
            return None
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return holder


# --- a folder that is brought here -------------------------------------------------------------------------------


def _state_folder() -> str:
    return os.path.join(os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state"), "ds-launch")


def identity() -> str:
    """What tells this machine from others: its name and its boot."""
    return f"{socket.gethostname()} {_read('/proc/sys/kernel/random/boot_id').decode().strip()}"


def _manifest_path(folder: str) -> str:
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:32]
    return os.path.join(_state_folder(), "synced", f"{name}.json")


def _manifest(folder: str) -> dict[str, list[int]]:
    try:
        content = json.loads(_read(_manifest_path(folder)))
        return dict(content["files"])
    except (ValueError, KeyError, TypeError):
        return {}


def _mark(path: str) -> list[int] | None:
    """Size and time of change of a file or link; None where there is none, a size of -1 for anything else."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
        return [found.st_size, found.st_mtime_ns]
    return [-1, 0]


def _alike(one: list[int] | None, other: list[int] | None) -> bool:
    """Whether two marks are of one content; a file system without fractions of a second shows none."""
    if one is None or other is None or one[0] != other[0]:
        return False
    fractions = [mark[1] % 10**9 for mark in (one, other)]
    return one[1] == other[1] or (0 in fractions and one[1] // 10**9 == other[1] // 10**9)


def _put_aside(path: str, kept: str) -> None:
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    try:
        os.link(path, kept, follow_symlinks=False)
    except OSError:
        shutil.copy2(path, kept, follow_symlinks=False)


class Folder:
    """A folder of the head that is brought to this node: what has to come, what goes, what is kept."""

    def __init__(self, request: Found) -> None:
        self.folder = str(request["folder"])
        self.run = str(request["run"])
        self.files: dict[str, list[int]] = dict(request["files"])
        self.folders: list[str] = list(request["folders"])
        self.kept: dict[str, str] = {}

    def compare(self, token: str) -> Found:
        """What this node lacks. Files that somebody else changed here are put aside before they are replaced.

        :raises OSError: the folder cannot be written.
        """
        if token and os.path.lexists(os.path.join(self.folder, token)):
            return {"shared": True, "missing": [], "removed": 0}
        brought = _manifest(self.folder)
        os.makedirs(self.folder, exist_ok=True)
        missing, problems = [], []
        for name, mark in self.files.items():
            path = os.path.join(self.folder, name)
            here = _mark(path)
            if _alike(here, mark):
                continue
            if here is not None and here[0] < 0:
                problems.append(path)
                continue
            missing.append(name)
            if here is not None and not _alike(here, brought.get(name)):
                self.kept[name] = os.path.join(_state_folder(), "replaced", self.run, self.folder.lstrip("/"), name)
                _put_aside(path, self.kept[name])
        removed = self._remove({name: mark for name, mark in brought.items() if name not in self.files})
        for name in self.folders:
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        return {"shared": False, "missing": missing, "removed": removed, "problems": problems}

    def _remove(self, gone: dict[str, list[int]]) -> int:
        """Take away what was brought earlier, is no longer there on the head, and was not changed here."""
        removed = 0
        for name, mark in gone.items():
            path = os.path.join(self.folder, name)
            if _alike(_mark(path), mark):
                with contextlib.suppress(OSError):
                    os.unlink(path)
                    removed += 1
                    parent = os.path.dirname(path)
                    while parent != self.folder and parent.startswith(self.folder):
                        os.rmdir(parent)
                        parent = os.path.dirname(parent)
        return removed

    def others(self) -> list[str]:
        """The files here that ds-launch would not bring."""
        found = []
        for root, _folders, names in os.walk(self.folder):
            for name in names:
                relative = os.path.relpath(os.path.join(root, name), self.folder)
                if relative not in self.files:
                    found.append(relative)
        return found

    def delete(self, names: Iterable[str]) -> int:
        """Remove these files, which the user asked for."""
        removed = 0
        for name in names:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.folder, name))
                removed += 1
        return removed

    def finish(self) -> Found:
        """Remember what was brought; forget the copies of files that turned out to be the same."""
        kept = []
        for name, copy in self.kept.items():
            path = os.path.join(self.folder, name)
            with contextlib.suppress(OSError):
                if os.path.islink(copy) or os.path.islink(path):
                    same = os.path.islink(copy) and os.path.islink(path) and os.readlink(copy) == os.readlink(path)
                else:
                    same = fingerprint(copy) == fingerprint(path)
                if same:
                    os.unlink(copy)
                    continue
            kept.append(copy)
        path = _manifest_path(self.folder)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump({"folder": self.folder, "files": self.files}, file)
        os.replace(f"{path}.new", path)
        return {"kept": kept}


# --- a rank ------------------------------------------------------------------------------------------------------


def _adopt_orphans() -> None:
    """Become the parent of what the own processes leave behind (PR_SET_CHILD_SUBREAPER), so that it can be ended."""
    ctypes.CDLL(None).prctl(36, 1)


def _die_with_parent() -> None:
    """Get SIGKILL when the parent dies (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def rank_main(address: str) -> None:
    """Run one rank as a child, give its output and its end to the agent, and end it when the agent is gone.

    The launcher of the node (DeepSpeed's, torchrun, accelerate) starts this in the place of the user's script.
    """
    run = os.environ.get(RUN_VARIABLE, "")
    _adopt_orphans()
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.connect(address)
    (out, out_end), (err, err_end) = os.pipe(), os.pipe()
    about = {"rank": int(os.environ.get("RANK", "0")), "local_rank": int(os.environ.get("LOCAL_RANK", "0"))}
    handles = array.array("i", [out, err])
    line.sendmsg([json.dumps(about).encode() + b"\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handles)])
    os.close(out)
    os.close(err)
    reader = line.makefile("rb")
    order = json.loads(reader.readline())
    command = [word.replace(order["mark"], str(about["local_rank"])) for word in order["command"]]
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out_end,
            stderr=err_end,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 (no thread has been started yet)
        )
    except OSError as error:
        os.write(err_end, f"{command[0]}: {error.strerror}\n".encode())
        line.sendall(b'{"exit": 127}\n')
        os._exit(127)
    os.close(out_end)
    os.close(err_end)
    # Older launchers signal their own children only.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _frame: _signal([child.pid], caught))

    def watch() -> None:
        while reader.readline():
            pass
        _signal(processes_of(run, os.getpid()), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    with contextlib.suppress(OSError):
        line.sendall(json.dumps({"exit": status}).encode() + b"\n")
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    os._exit(status if status >= 0 else 128 - status)


# --- the agent ---------------------------------------------------------------------------------------------------


def expand(value: str, variables: Mapping[str, str]) -> str:
    """A value with C($NAME) and C(${NAME}) replaced by the variables of this node; what is not set is empty."""
    return re.sub(r"\$(?:(\w+)|\{(\w+)\})", lambda match: variables.get(match.group(1) or match.group(2), ""), value)


class Agent:
    """Answers requests until its input ends; one run at a time."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._selector = selectors.DefaultSelector()
        self._input = b""
        self._folder: Folder | None = None
        self._port: socket.socket | None = None
        self._launcher: subprocess.Popen[bytes] | None = None
        self._run = ""
        self._place = ""
        self._order = b""
        self._open: set[int] = set()
        self._pipes: dict[int, list[int]] = {}
        self._ended_at = 0.0
        self._alive = True
        self._spoke = time.monotonic()

    # answers

    def _send(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(1, data) :]
            self._spoke = time.monotonic()
        except OSError:
            self._alive = False

    def answer(self, **content: Any) -> None:
        """Send one JSON object."""
        self._send(frame(b"J", json.dumps(content).encode()))

    def _output(self, descriptor: int, rank: int, stream: int) -> None:
        data = os.read(descriptor, 65536)
        if data:
            self._send(frame(b"O", _OUTPUT.pack(rank, stream) + data))
        else:
            self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        self._selector.unregister(descriptor)
        self._open.discard(descriptor)
        os.close(descriptor)

    def _listen(self, descriptor: int, rank: int, stream: int) -> None:
        self._open.add(descriptor)
        self._selector.register(descriptor, selectors.EVENT_READ, lambda: self._output(descriptor, rank, stream))

    # requests

    def look(self, request: Found) -> None:
        """Compare this node with the head, and say what else runs here."""
        versions = {}
        for name in request["packages"]:
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                versions[name] = importlib.metadata.version(name)
        port, holder = request.get("port"), {}
        if port:
            self._port = reserve_port(int(port))
            holder = {} if self._port else port_holder(int(port)) or {"user": ""}
        elif request.get("ports"):
            for port in request["ports"]:
                self._port = reserve_port(int(port))
                if self._port:
                    break
        self.answer(
            answer="look",
            host=socket.gethostname(),
            time=time.time(),
            python="{}.{}".format(*sys.version_info[:2]),
            versions=versions,
            folder=_state(request["folder"], "folder", ""),
            states=[_state(path, kind, content) for path, kind, content in request["paths"]],
            modules={name: _has_module(name) for name in request["modules"]},
            port=self._port.getsockname()[1] if self._port else 0,
            holder=holder,
            runs=settled_runs(),
            gpus=gpus_in_use(request["gpus"]),
        )

    def compare(self, request: Found) -> None:
        """Say which files of a folder this node lacks."""
        self._folder = Folder(request)
        try:
            found = self._folder.compare(request["token"])
            if request["delete"] and not found["shared"]:
                found["others"] = self._folder.others()
            here = identity() == request["head"]
            self.answer(answer="compare", rsync=bool(shutil.which("rsync")), error="", head=here, **found)
        except OSError as error:
            reason = f"{error.filename or request['folder']}: {error.strerror}"
            self.answer(answer="compare", rsync=True, shared=False, missing=[], removed=0, error=reason, head=False)

    def finish(self, request: Found) -> None:
        """Remember what was brought."""
        assert self._folder is not None
        removed = self._folder.delete(request["delete"])
        try:
            self.answer(answer="finish", removed=removed, error="", **self._folder.finish())
        except OSError as error:
            self.answer(answer="finish", removed=removed, kept=[], error=f"{error.filename}: {error.strerror}")

    def runs(self, _request: Found) -> None:
        """Say which runs are here."""
        self.answer(answer="runs", runs=runs_here())

    def end(self, request: Found) -> None:
        """End runs that an earlier ds-launch left behind, or that another one steers."""
        left = [run for run in request["runs"] if not end_run(run, float(request["grace"]))]
        self.answer(answer="end", left=left)

    def start(self, request: Found) -> None:
        """Start the launcher of this node; its ranks come back through L(rank_main)."""
        self._run = f"{request['run']}/{request['node']}"
        self._place = tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{request['run']}.")
        source = os.path.join(self._place, "agent.py")
        with open(source, "wb") as file:
            file.write(self._source)
        address = os.path.join(self._place, "agent.sock")
        self._order = json.dumps({"command": request["command"], "mark": request["mark"]}).encode() + b"\n"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(address)
        listener.listen(256)
        self._selector.register(listener, selectors.EVENT_READ, lambda: self._welcome(listener))
        rank = [sys.executable, "-I", source, "rank", address]
        command = [word for part in request["launcher"] for word in (rank if part == "{rank}" else [part])]
        environment = {**os.environ, **request["environment"], RUN_VARIABLE: self._run}
        # As the shell of the node does where DeepSpeed exports them.
        environment.update((name, expand(value, os.environ)) for name, value in request["expanded"].items())
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        try:
            self._launcher = subprocess.Popen(
                command,
                cwd=request["folder"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out_end,
                stderr=err_end,
                start_new_session=True,
            )
        except OSError as error:
            self.answer(answer="launcher", status=127, reason=f"{error.filename or command[0]}: {error.strerror}")
            self.answer(answer="done")
            return
        finally:
            os.close(out_end)
            os.close(err_end)
        self._listen(out, -1, _OUT)
        self._listen(err, -1, _ERR)
        self.answer(answer="start", pid=self._launcher.pid)

    def _welcome(self, listener: socket.socket) -> None:
        line = listener.accept()[0]
        size = array.array("i").itemsize * 2
        data, ancillary, _flags, _address = line.recvmsg(4096, socket.CMSG_SPACE(size))
        handles = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                handles.frombytes(content[:size])
        if not data or len(handles) != 2:
            line.close()
            return
        about = json.loads(data)
        rank = int(about["rank"])
        self._pipes[rank] = list(handles)
        self._listen(handles[0], rank, _OUT)
        self._listen(handles[1], rank, _ERR)
        line.sendall(self._order)
        self._selector.register(line, selectors.EVENT_READ, lambda: self._hear(line, rank))
        self.answer(answer="rank", rank=rank, local_rank=about["local_rank"])

    def _drain(self, rank: int) -> None:
        """Pass on what a rank wrote before its end, so that its last words arrive before the news of it."""
        while True:
            ready = [key for key, _events in self._selector.select(0) if key.fd in self._pipes.get(rank, ())]
            for key in ready:
                key.data()
            if not ready:
                return

    def _hear(self, line: socket.socket, rank: int) -> None:
        try:
            data = line.recv(4096)
        except OSError:
            data = b""
        for said in data.splitlines():
            self._drain(rank)
            self.answer(answer="exit", rank=rank, status=json.loads(said)["exit"])
        if not data:
            self._selector.unregister(line)
            line.close()

    def stop(self, request: Found) -> None:
        """End the run; the ranks get this long to end by themselves."""
        left = not end_run(self._run, float(request["grace"]), os.getpid()) if self._run else False
        self.answer(answer="stopped", left=left)

    # the loop

    def _requests(self) -> None:
        data = os.read(0, 65536)
        if not data:
            self._alive = False
            return
        *lines, self._input = (self._input + data).split(b"\n")
        handlers: dict[str, Callable[[Found], None]] = {
            "look": self.look,
            "compare": self.compare,
            "finish": self.finish,
            "runs": self.runs,
            "end": self.end,
            "start": self.start,
            "stop": self.stop,
        }
        for line in lines:
            request = json.loads(line)
            handlers[request["do"]](request)

    def _reap(self) -> None:
        """Once the launcher has ended and its output is read, say so; what it left behind is ended."""
        if self._launcher is None or self._launcher.poll() is None:
            return
        if not self._ended_at:
            self._ended_at = time.monotonic()
            self.answer(answer="launcher", status=self._launcher.returncode, reason="")
        if self._open and time.monotonic() - self._ended_at < 2:
            return
        self._launcher = None
        end_run(self._run, 5, os.getpid())
        self.answer(answer="done")

    def serve(self) -> None:
        """Answer until the input ends; then end what runs."""
        self._selector.register(0, selectors.EVENT_READ, self._requests)
        self._send(HELLO)
        try:
            while self._alive:
                for key, _events in self._selector.select(0.1 if self._launcher else 5):
                    key.data()
                self._reap()
                # TCP notices a peer that is gone only when something is sent to it.
                if time.monotonic() - self._spoke > 30:
                    self.answer(answer="alive")
        finally:
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)
            if self._run:
                end_run(self._run, 2, os.getpid())
            if self._place:
                shutil.rmtree(self._place, ignore_errors=True)


def _stop_serving(_number: int, _frame: Any) -> None:
    raise SystemExit(0)


def main(source: bytes) -> None:
    """Serve one ds-launch."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _stop_serving)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _adopt_orphans()
    Agent(source).serve()


if __name__ == "__main__":
    if sys.argv[1:2] == ["rank"]:
        rank_main(sys.argv[2])
