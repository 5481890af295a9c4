"""How a folder is compared on a node, what is kept, and what stays on the head."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ds_launch import agent, sync
from ds_launch.words import Refusal


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    return tmp_path / "home"


def tree(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, ns=(10**18, 10**18))
    return folder


def marks(folder):
    return {
        str(path.relative_to(folder)): agent._mark(str(path)) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def brought(node, head, token=""):
    """One whole synchronisation, with a copy in the place of rsync."""
    folder = agent.Folder({"folder": str(node), "files": marks(head), "folders": ["empty"], "run": "r1"})
    answer = folder.compare(token)
    for name in answer["missing"]:
        (node / name).parent.mkdir(parents=True, exist_ok=True)
        (node / name).unlink(missing_ok=True)
        (node / name).write_text((head / name).read_text())
        os.utime(node / name, ns=(10**18, marks(head)[name][1]))
    return {**answer, **({} if answer["shared"] else folder.finish())}


def test_a_node_says_what_it_lacks_and_nothing_the_second_time(tmp_path):
    head, node = tree(tmp_path / "head", {"a.py": "1", "lib/b.py": "2"}), tmp_path / "node"
    first = brought(node, head)
    assert (first["missing"], first["removed"], first["kept"]) == (["a.py", "lib/b.py"], 0, [])
    assert (node / "empty").is_dir()
    again = brought(node, head)
    assert (again["missing"], again["removed"], again["kept"]) == ([], 0, [])


def test_what_was_brought_and_is_gone_here_goes_there_too(tmp_path):
    head, node = tree(tmp_path / "head", {"a.py": "1", "old/b.py": "2", "old/c.py": "3"}), tmp_path / "node"
    brought(node, head)
    (node / "old" / "c.py").write_text("changed on the node")
    (head / "old" / "b.py").unlink()
    (head / "old" / "c.py").unlink()
    assert brought(node, head)["removed"] == 1
    assert not (node / "old" / "b.py").exists()
    assert (node / "old" / "c.py").read_text() == "changed on the node"


def test_what_was_not_brought_stays(tmp_path):
    head, node = tree(tmp_path / "head", {"a.py": "1"}), tree(tmp_path / "node", {"checkpoint/state": "x"})
    assert brought(node, head)["removed"] == 0
    assert (node / "checkpoint" / "state").read_text() == "x"


def test_a_file_that_somebody_else_wrote_is_kept_as_a_copy(tmp_path):
    head, node = tree(tmp_path / "head", {"a.py": "1"}), tree(tmp_path / "node", {"a.py": "mine, longer"})
    [copy] = brought(node, head)["kept"]
    assert (node / "a.py").read_text() == "1"
    assert Path(copy).read_text() == "mine, longer"


def test_no_copy_is_kept_of_a_file_with_the_same_content_or_that_was_brought(tmp_path):
    head, node = tree(tmp_path / "head", {"a.py": "1"}), tree(tmp_path / "node", {"a.py": "1"})
    os.utime(node / "a.py", ns=(5 * 10**17, 5 * 10**17))
    assert brought(node, head)["kept"] == []
    (head / "a.py").write_text("2, edited here")
    assert brought(node, head)["kept"] == []
    assert (node / "a.py").read_text() == "2, edited here"


def test_a_shared_folder_is_left_alone(tmp_path):
    head = tree(tmp_path / "head", {"a.py": "1", ".token": ""})
    answer = brought(head, head, ".token")
    assert answer["shared"]
    assert not (tmp_path / "home" / ".local").exists()


def test_a_folder_in_the_place_of_a_file_is_a_problem(tmp_path):
    head, node = tree(tmp_path / "head", {"a.py": "1"}), tree(tmp_path / "node", {"a.py/x": "1"})
    folder = agent.Folder({"folder": str(node), "files": marks(head), "folders": [], "run": "r1"})
    assert folder.compare("")["problems"] == [str(node / "a.py")]


def test_a_file_system_without_fractions_of_a_second_is_no_difference():
    assert agent._alike([1, 5 * 10**9 + 7], [1, 5 * 10**9])
    assert not agent._alike([1, 5 * 10**9 + 7], [1, 5 * 10**9 + 8])
    assert not agent._alike([1, 5 * 10**9], [2, 5 * 10**9])


# --- rules

FILES = {
    "train.py": "",
    "data/big.bin": "",
    "out/run.log": "",
    "out/keep.txt": "",
    "lib/cache/x": "",
    "lib/.gitignore": "cache/\n",
}
# rules, the files that are brought
RULES = [
    ({}, {*FILES} - {"lib/cache/x"}),
    ({".gitignore": "data/\n*.log\n"}, {"train.py", "out/keep.txt", "lib/.gitignore", ".gitignore"}),
    (
        {".gitignore": "out/*\n!out/keep.txt\n"},
        {"train.py", "data/big.bin", "out/keep.txt", "lib/.gitignore", ".gitignore"},
    ),
    # .dsignore is in the place of all .gitignore files: data that git ignores is needed on the nodes.
    ({".gitignore": "data/\n", ".dsignore": "*.log\n"}, {*FILES, ".gitignore", ".dsignore"} - {"out/run.log"}),
]


@pytest.mark.parametrize(("rules", "files"), RULES)
def test_rules_say_what_stays_here(tmp_path, rules, files):
    folder = tree(tmp_path / "job", {**FILES, **rules})
    assert {*sync.Rules(str(folder)).files()} == files


def test_a_repository_brings_what_it_tracks_and_never_its_history(tmp_path):
    folder = tree(tmp_path / "job", {"train.py": "", "kept.log": "", "other.log": "", ".gitignore": "*.log\n"})
    for command in (["init", "--quiet"], ["add", "-f", "train.py", "kept.log"]):
        sync._git(["-c", "init.defaultBranch=main", *command], str(folder))
    tree(folder / "inner", {"x.py": "", "y.log": "", ".gitignore": "y.log\n"})
    sync._git(["-c", "init.defaultBranch=main", "init", "--quiet"], str(folder / "inner"))
    found = {*sync.Rules(str(folder)).files()}
    assert found == {"train.py", "kept.log", ".gitignore", "inner/x.py", "inner/.gitignore"}


def test_without_rules_everything_but_the_history_is_brought(tmp_path):
    folder = tree(tmp_path / "job", {"a": "", "b/c": "", ".git/config": ""})
    (folder / "link").symlink_to("b")
    assert {*sync.Rules(str(folder)).files()} == {"a", "b/c", "link"}


def test_what_the_rules_leave_here_is_not_deleted_there(tmp_path):
    folder = tree(tmp_path / "job", {"a": "", ".dsignore": "runs/\n"})
    assert sync.Rules(str(folder)).ignored({"runs/1", "old.py", ".git/x"}) == {"runs/1", ".git/x"}
    other = tree(tmp_path / "other", {"a": "", ".gitignore": "*.pt\n"})
    assert sync.Rules(str(other)).ignored({"m.pt", "old.py"}) == {"m.pt"}


def test_rules_without_git_are_refused(tmp_path, monkeypatch):
    folder = tree(tmp_path / "job", {".gitignore": "x"})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refusal, match=r"git is missing here, which reads the \.gitignore"):
        sync.Rules(str(folder))


# --- the rest of the agent


def test_of_a_large_file_samples_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(agent, "WHOLE_FILE", 1000)
    path = tmp_path / "big"
    content = bytearray(range(256)) * 100000
    path.write_bytes(content)
    before = agent.fingerprint(str(path))
    content[-1] ^= 1
    path.write_bytes(content)
    assert agent.fingerprint(str(path)) != before
    assert before.startswith("25600000:")


STATES = [("file", "folder", "unlike"), ("nothing", "file", "missing"), ("folder", "folder", "same")]


@pytest.mark.parametrize(("path", "kind", "state"), STATES)
def test_a_path_has_a_state(tmp_path, path, kind, state):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    assert agent._state(str(tmp_path / path), kind, "") == state


def test_content_decides_whether_a_file_is_the_same(tmp_path):
    for name, text in {"a": "one", "b": "two", "c": "three"}.items():
        (tmp_path / name).write_text(text)
    wanted = agent.fingerprint(str(tmp_path / "a"))
    assert [agent._state(str(tmp_path / name), "file", wanted) for name in "abc"] == ["same", "differs", "differs"]


def test_two_launches_do_not_get_one_port_and_a_rank_may_listen_on_it():
    with socket.socket() as probe:
        probe.bind(("", 0))
        port = probe.getsockname()[1]
    first = agent.reserve_port(port)
    assert first is not None
    assert agent.reserve_port(port) is None
    with socket.socket() as rank:
        rank.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        rank.bind(("", port))
        rank.listen()
        first.close()
        assert agent.reserve_port(port) is None
        holder = agent.port_holder(port)
    assert holder["pid"] == os.getpid()
    assert holder["user"] == agent.user_name(os.getuid())


def test_a_port_that_a_connection_was_given_has_a_holder_too_and_one_that_is_only_kept_has_none():
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        server.listen()
        client.connect(server.getsockname())
        assert agent.port_holder(client.getsockname()[1])["pid"] == os.getpid()
    with socket.socket() as kept:
        kept.bind(("", 0))
        assert agent.port_holder(kept.getsockname()[1]) == {}


def test_variables_of_the_node_are_put_into_values():
    assert agent.expand("/x:$PATH:${HOME}/b:$NONE:50%", {"PATH": "/bin", "HOME": "/h"}) == "/x:/bin:/h/b::50%"


def test_modules_are_found_without_being_imported():
    assert agent._has_module("json.tool")
    assert agent._has_module("os")
    assert not agent._has_module("json.nothing")
    assert not agent._has_module("no_such_package.x")
