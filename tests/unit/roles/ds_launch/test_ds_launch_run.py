"""ds-launch as a whole, with two nodes that are this machine: a stand-in for ssh runs the command here.

The launcher of a node is a stand-in too (DeepSpeed and torch are proved by scenario first_job); the agents, the ranks,
their ends and what is left of them are real.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[4] / "roles" / "hostfile" / "files" / "ds_launch"
SSH = """\
#!/bin/sh
# The last word is the command; the one before it is the node.
for word; do node=$last last=$word; done
case $node in
    away) echo "ssh: connect to host away port 22: Connection timed out" >&2; exit 255 ;;
    unknown) echo "Host key verification failed." >&2; exit 255 ;;
    bare) exec sh -c "exec /nowhere/bin/python" ;;
esac
echo "Welcome to $node"
exec sh -c "$last"
"""
LAUNCHER = """\
import base64, json, os, subprocess, sys
given = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--") and "=" in word)
world = json.loads(base64.urlsafe_b64decode(given["world_info"]))
place = sys.argv.index("--no_local_rank") + 1
number = int(given["node_rank"])
first = sum(len(slots) for slots in list(world.values())[:number])
size = sum(map(len, world.values()))
children = []
for local, slot in enumerate(list(world.values())[number]):
    more = {"RANK": str(first + local), "LOCAL_RANK": str(local), "WORLD_SIZE": str(size)}
    children.append(subprocess.Popen(sys.argv[place:], env={**os.environ, **more}))
sys.exit(max(abs(child.wait()) for child in children))
"""
JOB = """\
import os, signal, sys, time
rank, mode = int(os.environ["RANK"]), sys.argv[-1]
print("rank", rank, sys.argv[2:], os.environ.get("FROM_FILE"), flush=True)
if mode == "fail" and rank == 3:
    time.sleep(0.3)
    sys.exit("no more data")
ready = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ready")
if mode == "follow" and rank != 2:
    while not os.path.exists(ready):
        time.sleep(0.01)
    sys.exit("RuntimeError: Connection closed by peer")
if mode == "follow":
    open(ready, "w").close()
    time.sleep(0.2)
    sys.exit("the real reason")
if mode == "killed" and rank == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode == "detach":
    os.system("setsid sleep 4321 & env -i sleep 4321 &")
if mode in ("fail", "killed", "wait", "stubborn", "detach"):
    time.sleep(60)
if mode == "bar":
    for step in range(3):
        sys.stderr.write("\\r%d/3" % step)
    sys.stderr.write("\\rdone\\n")
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A Python without packages, and what its metadata say of DeepSpeed and torch."""
    folder = tmp_path_factory.mktemp("env") / "train"
    venv.create(folder, symlinks=True)
    [site] = folder.glob("lib/python*/site-packages")
    for name, version in {"deepspeed": "0.19.8", "torch": "2.13.0"}.items():
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    launcher = site / "deepspeed" / "launcher"
    launcher.mkdir(parents=True)
    (launcher / "launch.py").write_text(LAUNCHER)
    return folder


@pytest.fixture
def cluster(tmp_path, environment):
    """The folder of a job, and a way to launch in it."""
    job = tmp_path / "job"
    tools = tmp_path / "tools"
    home = tmp_path / "home"
    for folder in (job, tools, home):
        folder.mkdir()
    (tools / "ssh").write_text(SSH)
    (tools / "ssh").chmod(0o755)
    (job / "train.py").write_text(JOB)
    (tmp_path / "hostfile").write_text("one slots=2\ntwo slots=2\n")
    (tmp_path / "addresses").write_text("one 127.0.0.1\ntwo 127.0.0.1\n")
    settings = {
        "environment": str(environment),
        "tools": str(tools),
        "hostfile": str(tmp_path / "hostfile"),
        "addresses": str(tmp_path / "addresses"),
        "accelerator": "cpu",
        "sync": "",
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    variables = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(home), "PWD": str(job)}
    variables.pop("XDG_STATE_HOME", None)
    # As in a terminal: tests that are run by nohup would leave ds-launch without SIGHUP.
    command = ["env", "--default-signal=HUP,INT", sys.executable, "-I", str(PROGRAM), str(tmp_path / "settings.json")]

    class Cluster:
        folder, path = job, tmp_path
        runs = home / ".local" / "state" / "ds-launch" / "runs"

        def start(self, *typed):
            pipe = subprocess.PIPE
            return subprocess.Popen([*command, *typed], cwd=job, env=variables, text=True, stdout=pipe, stderr=pipe)

        def launch(self, *typed):
            process = self.start(*typed)
            out, err = process.communicate(timeout=60)
            return process.returncode, out.splitlines(), err.splitlines()

        def record(self):
            return json.loads((max(self.runs.iterdir()) / "run.json").read_text())

        def left(self):
            """What still runs of the job."""
            return running(str(tmp_path).encode()) + running(b"sleep\x004321")

    return Cluster()


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


def running(*words):
    """The processes whose command has all of these words."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes()
            if all(word in command for word in words):
                found.append(int(entry.name))
    return found


def environment_of(pid):
    """The variables of a process; nothing of one that has gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/environ").read_bytes()
    return b""


def begun(process, count):
    """The lines that the ranks print when they start."""
    return [process.stdout.readline() for _rank in range(count)]


def test_every_rank_gets_the_words_that_were_typed(cluster):
    (cluster.folder / ".deepspeed_env").write_text("FROM_FILE=a b\n")
    words = ["a b", "$HOME", "q\"uo'te", "é", "*", "-x", "\\", "go"]
    code, out, err = cluster.launch("train.py", *words)
    # This machine may have containers in which others train.
    assert (code, [line for line in err if "Another run goes on" not in line]) == (0, [])
    expected = [
        f"[{node}:{rank}] rank {rank} {words!r} a b" for node, rank in (("one", 0), ("one", 1), ("two", 2), ("two", 3))
    ]
    assert sorted(out) == expected


def test_what_a_run_was_is_kept(cluster):
    cluster.launch("train.py", "go")
    record = cluster.record()
    assert record["command"] == ["ds-launch", "train.py", "go"]
    assert record["nodes"] == {"one": [0, 1], "two": [0, 1]}
    assert record["versions"]["deepspeed"] == "0.19.8"
    assert (record["exit_code"], record["ended"] >= record["started"]) == (0, True)
    folder = max(cluster.runs.iterdir())
    assert (folder / "two.rank3.log").read_text().startswith("rank 3 ")
    assert folder.stat().st_mode & 0o777 == 0o700
    code, out, _err = cluster.launch("--logs")
    assert code == 0
    assert f"Run      {folder.name}" in out[0]
    assert any(line.startswith("[two:3] rank 3") for line in out)


def test_a_rank_that_fails_ends_the_others_and_is_named(cluster):
    code, _out, err = cluster.launch("train.py", "fail")
    assert code == 1
    assert "[two:3] no more data" in err
    assert any(line.startswith("ds-launch: Rank 3 on two failed first: exit code 1, after") for line in err)
    assert "ds-launch:     no more data" in err
    assert "Rank 3 on two" in cluster.record()["reason"]
    assert cluster.left() == []


def test_the_rank_that_failed_is_named_and_not_those_that_lost_it(cluster):
    code, _out, err = cluster.launch("train.py", "follow")
    assert code == 1
    assert any("Rank 2 on two failed first" in line for line in err), err
    assert "ds-launch:     the real reason" in err


def test_a_rank_that_is_killed_is_named_with_its_signal(cluster):
    code, _out, err = cluster.launch("train.py", "killed")
    assert code == 128 + signal.SIGKILL
    assert any("Rank 1 on one failed first: ended by SIGKILL" in line for line in err)
    assert cluster.left() == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_every_rank(cluster, number, code):
    process = cluster.start("train.py", "wait")
    begun(process, 4)
    process.send_signal(number)
    _out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert f"Stopped by {number.name}" in err
    assert cluster.left() == []


def test_ranks_that_do_not_listen_and_what_they_detached_end_too(cluster):
    process = cluster.start("train.py", "detach")
    begun(process, 4)
    process.terminate()
    process.communicate(timeout=30)
    assert cluster.left() == []
    process = cluster.start("train.py", "stubborn")
    begun(process, 4)
    process.terminate()
    process.communicate(timeout=30)
    assert cluster.left() == []


def test_nothing_is_left_where_ds_launch_itself_is_killed(cluster):
    process = cluster.start("train.py", "wait")
    begun(process, 4)
    process.kill()
    process.communicate(timeout=30)
    wait_for(lambda: cluster.left() == [])


def test_a_closed_pipe_ends_the_run(cluster):
    process = cluster.start("train.py", "wait")
    begun(process, 4)
    process.stdout.close()
    process.wait(timeout=30)
    process.stderr.close()
    assert process.returncode == 129
    assert cluster.left() == []


def test_another_run_is_told_and_stop_ends_it(cluster):
    process = cluster.start("train.py", "wait")
    begun(process, 4)
    code, _out, err = cluster.launch("train.py", "go")
    assert code == 0
    assert any("Another run goes on" in line and "train.py, on one and two" in line for line in err)
    code, _out, err = cluster.launch("--stop")
    assert code == 0
    assert any(line.startswith("ds-launch: Ended: ") for line in err)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert cluster.left() == []


def test_what_an_agent_could_not_end_is_told_and_ended_by_stop(cluster):
    process = cluster.start("train.py", "wait")
    begun(process, 4)
    # Containers of this machine may have some as well.
    ours = {pid for pid in running(b"python") if str(cluster.path).encode() in environment_of(pid)}
    agents = [pid for pid in running(b"ds-launch-agent", b"train.py") if pid in ours]
    watchers = [pid for pid in running(b"agent.py", b"\0rank\0") if pid in ours]
    assert (len(agents), len(watchers)) == (2, 6)  # the launchers name what they start
    # A frozen node: neither the agents nor those that watch the ranks can do anything.
    for pid in (*agents, *watchers):
        os.kill(pid, signal.SIGSTOP)
    process.kill()
    process.communicate(timeout=30)
    for pid in agents:
        os.kill(pid, signal.SIGKILL)
    try:
        code, _out, err = cluster.launch("train.py", "go")
        assert code == 2
        assert any("An earlier run left processes behind" in line and "train" not in line.split(":")[0] for line in err)
        code, _out, err = cluster.launch("--stop")
        assert code == 0
        assert any(line.startswith("ds-launch: Ended: ") for line in err)
        assert cluster.left() == []
    finally:
        for pid in watchers:
            if Path(f"/proc/{pid}").exists():
                os.kill(pid, signal.SIGKILL)


def test_nothing_starts_where_something_is_missing(cluster):
    (cluster.path / "hostfile").write_text("one slots=1\naway slots=1\nunknown slots=1\nbare slots=1\n")
    code, out, err = cluster.launch("train.py", "go")
    assert (code, out) == (2, [])
    assert len(err) == 3
    assert "away cannot be used: it does not answer" in err[0]
    assert "unknown cannot be used: its host key is not known here" in err[1]
    assert "bare lacks the training environment" in err[2]
    assert not cluster.runs.exists()


def test_a_progress_bar_is_one_line_where_there_is_no_terminal(cluster):
    _code, _out, err = cluster.launch("--include", "one:0", "train.py", "bar")
    assert err[-1] == "[one:0] done"
    assert not any("\r" in line for line in err)
    assert (max(cluster.runs.iterdir()) / "one.rank0.log").read_bytes().endswith(b"\r0/3\r1/3\r2/3\rdone\n")


def test_a_module_runs_from_the_working_folder(cluster):
    (cluster.folder / "pkg").mkdir()
    (cluster.folder / "pkg" / "__init__.py").write_text("")
    (cluster.folder / "pkg" / "train.py").write_text("import pkg, sys; print(pkg.__name__, sys.argv[1:])")
    code, out, _err = cluster.launch("-m", "pkg.train", "a b")
    assert code == 0
    assert "[two:3] pkg ['--local_rank=1', 'a b']" in out


def test_without_ssh_rank_0_is_not_started_on_a_port_that_is_taken(cluster):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, _out, err = cluster.launch("--no_ssh", "--node_rank", "0", "--master_port", port, "train.py")
    assert code == 2
    assert f"Port {port} of one is in use by " in err[0]
    assert f"(process {os.getpid()}: " in err[0]
    assert "; give another by --master_port, the same on every node, or wait" in err[0]


def test_a_launch_on_a_port_that_is_taken_starts_nothing_and_without_one_takes_a_free_port(cluster):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, _out, err = cluster.launch("--master_port", port, "train.py")
        assert code == 2
        assert f"Port {port} of one is in use by " in err[0]
        code, _out, _err = cluster.launch("train.py")
        assert code == 0


def test_without_ssh_the_commands_are_printed_and_run_by_hand(cluster):
    code, out, _err = cluster.launch("--no_ssh", "train.py", "a b")
    assert code == 0
    commands = [line for line in out if line.startswith("cd ")]
    assert len(commands) == 2
    assert commands[1].endswith("train.py 'a b'")
    code, out, err = cluster.launch("--no_ssh", "--node_rank", "5", "train.py")
    assert code == 2
    assert "count from 0" in err[0]
