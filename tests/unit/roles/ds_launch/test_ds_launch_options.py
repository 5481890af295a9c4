"""What ds-launch makes of a command line, a hostfile and the variables of a shell."""

from __future__ import annotations

import re

import pytest
from ds_launch import environment, hosts, launchers, options
from ds_launch.launchers import Launch
from ds_launch.words import Refusal

# what is typed, fields of the options
TYPED = [
    (["train.py"], {"script": "train.py", "arguments": [], "launcher": "deepspeed", "sync": ""}),
    (["train.py", "--include", "x"], {"include": "", "arguments": ["--include", "x"]}),
    (["--include", "node2", "t.py"], {"include": "node2"}),
    (["--include=node2:0,1", "t.py"], {"include": "node2:0,1"}),
    (["-e", "node1", "t.py"], {"exclude": "node1"}),
    (["-H", "/job/h", "t.py"], {"hostfile": "/job/h"}),
    (["--num-gpus", "2", "t.py"], {"num_gpus": 2}),
    (["--num_accelerators=2", "t.py"], {"num_gpus": 2}),
    (["--master_port", "29600", "t.py"], {"master_port": 29600}),
    (["-m", "pkg.train", "-m"], {"module": True, "script": "pkg.train", "arguments": ["-m"]}),
    (["--sync", "t.py"], {"sync": ".", "script": "t.py"}),
    (["--sync", "/", "t.py"], {"sync": "/", "script": "t.py"}),
    (["--sync=/data", "t.py"], {"sync": "/data"}),
    (["--sync"], {"sync": ".", "script": ""}),
    (["--logs"], {"action": "logs", "run": ""}),
    (["--logs", "a-run"], {"action": "logs", "run": "a-run"}),
    (["--stop", "all"], {"action": "stop", "run": "all"}),
    (["--launcher", "TORCHRUN", "t.py"], {"launcher": "torchrun", "is_foreign": False}),
    (["--launcher", "pdsh", "t.py"], {"is_foreign": True}),
    (["--autotuning", "run", "t.py"], {"is_foreign": True}),
    (["--share", "-i", "a", "-m", "t"], {"for_deepspeed": ["--include=a", "--module"]}),
    (
        ["--bind_cores_to_rank", "--bind_core_list=0-3", "t.py"],
        {"for_node_launcher": ["--bind_cores_to_rank", "--bind_core_list=0-3"]},
    ),
    (["--", "-odd.py"], {"script": "-odd.py"}),
]
# what is typed, words of the sentence
REFUSED = [
    ([], "The script to run is missing"),
    (["--num_nodes", "1"], "The script to run is missing"),
    (["--hostfile"], "--hostfile needs a value"),
    (["--incldue", "x", "t.py"], "did you mean --include?"),
    (["--epochs", "3", "t.py"], "Options of your script go after the script"),
    (["--launcher", "ray", "t.py"], "The launcher 'ray' is not known"),
    (["-i", "a", "-e", "b", "t.py"], "exclude each other"),
    (["--num_nodes", "1", "-i", "a", "t.py"], "do not go with --include"),
    (["--num_nodes", "many", "t.py"], "--num_nodes is 'many'"),
    (["--master_port", "0", "t.py"], "--master_port is '0'"),
    (["--master_port", "70000", "t.py"], "from 1 to 65535"),
    (["-m", "--no_python", "t.py"], "--module and --no_python exclude each other"),
    (["--sync_delete", "t.py"], "--sync_delete goes with --sync"),
    (["--launcher", "torchrun", "--bind_cores_to_rank", "t.py"], "belongs to the launcher deepspeed"),
]


@pytest.mark.parametrize(("typed", "fields"), TYPED)
def test_options_are_read(typed, fields):
    read = options.parse(typed)
    assert {name: getattr(read, name) for name in fields} == fields


@pytest.mark.parametrize(("typed", "words"), REFUSED)
def test_a_command_line_that_cannot_be_is_refused_in_a_sentence(typed, words):
    with pytest.raises(Refusal) as caught:
        options.parse(typed)
    assert words in str(caught.value)


# text, slots
HOSTFILES = [
    ("node1 slots=2\nnode2 slots=1\n", {"node1": [0, 1], "node2": [0]}),
    ("\r\nnode1 slots=2\r\n\r\n# more\r\nnode2\tslots=1\r\n", {"node1": [0, 1], "node2": [0]}),
    ("node1 slots=1 # the head", {"node1": [0]}),
]
BAD_HOSTFILES = [
    ("node1 slots = 2", ["The line 'node1 slots = 2'"]),
    ("node1 slots=0\nnode2", ["The line 'node1 slots=0'", "The line 'node2'"]),
    ("node1 slots=1\nnode1 slots=2", ["names node1 more than once"]),
    ("# none", ["names no host"]),
]


@pytest.mark.parametrize(("text", "slots"), HOSTFILES)
def test_a_hostfile_is_read_as_deepspeed_reads_it(tmp_path, text, slots):
    path = tmp_path / "hostfile"
    path.write_bytes(text.encode())
    assert hosts.read_hostfile(str(path)) == slots


@pytest.mark.parametrize(("text", "sentences"), BAD_HOSTFILES)
def test_all_bad_lines_of_a_hostfile_are_named_at_once(tmp_path, text, sentences):
    path = tmp_path / "hostfile"
    path.write_text(text)
    with pytest.raises(Refusal) as caught:
        hosts.read_hostfile(str(path))
    assert [words in message for words, message in zip(sentences, caught.value.messages)] == [True] * len(sentences)


def test_a_missing_hostfile_is_refused(tmp_path):
    with pytest.raises(Refusal, match="run the playbook 'hostfile'"):
        hosts.read_hostfile(str(tmp_path / "none"))


EVERYONE = {"a": [0, 1], "b": [0, 1, 2], "c": [0]}
# options, slots that take part
CHOSEN = [
    ([], EVERYONE),
    (["--include", "c@a"], {"a": [0, 1], "c": [0]}),
    (["--include", "b:2,0"], {"b": [0, 2]}),
    (["--include", "b:0@b:1"], {"b": [0, 1]}),
    (["--exclude", "a@b:1"], {"b": [0, 2], "c": [0]}),
    (["--exclude", "a:0,1"], {"b": [0, 1, 2], "c": [0]}),
    (["--num_nodes", "2"], {"a": [0, 1], "b": [0, 1, 2]}),
    (["--num_gpus", "1"], {"a": [0], "b": [0], "c": [0]}),
    (["--num_nodes", "2", "--num_gpus", "2"], {"a": [0, 1], "b": [0, 1]}),
]
CHOSEN_BADLY = [
    (["--include", "d"], "names 'd', which is not in /job/hostfile; it has a, b and c"),
    (["--include", "a:7"], "names slot '7' of a, which has 2 slots"),
    (["--exclude", "a@b@c"], "No slot of /job/hostfile is left"),
    (["--num_nodes", "4"], "has 3 nodes"),
    (["--num_gpus", "2"], "more than c has"),
]


@pytest.mark.parametrize(("typed", "slots"), CHOSEN)
def test_the_slots_that_take_part_are_chosen(typed, slots):
    chosen = hosts.choose(EVERYONE, options.parse([*typed, "t.py"]), "/job/hostfile")
    assert chosen == slots
    assert list(chosen) == [name for name in EVERYONE if name in slots]


@pytest.mark.parametrize(("typed", "words"), CHOSEN_BADLY)
def test_a_choice_that_cannot_be_is_refused(typed, words):
    with pytest.raises(Refusal) as caught:
        hosts.choose(EVERYONE, options.parse([*typed, "t.py"]), "/job/hostfile")
    assert words in str(caught.value)


def test_the_master_is_the_first_node_that_is_left(tmp_path):
    path = tmp_path / "addresses"
    path.write_text("a 10.0.0.1\nb 10.0.0.2\n")
    typed = options.parse(["t.py"])
    assert hosts.master_address({"b": [0]}, typed, str(path), "h") == "10.0.0.2"
    assert hosts.master_address({"c": [0]}, options.parse(["--master_addr", "x", "t.py"]), str(path), "h") == "x"
    with pytest.raises(Refusal, match="The address of c is not known"):
        hosts.master_address({"c": [0]}, typed, str(path), "h")


def test_ranks_are_counted_node_by_node():
    assert hosts.ranks(EVERYONE) == {"a": [0, 1], "b": [2, 3, 4], "c": [5]}


# --- the environment


def test_ranks_get_what_deepspeed_exports_and_no_interface_of_this_node():
    shell = {
        "NCCL_DEBUG": "INFO",
        "NCCL_SOCKET_IFNAME": "eth0",
        "PYTHONPATH": "/mine",
        "HOME": "/root",
        "UCX_TLS": "tcp",
    }
    given = environment.exported(shell, "/job", {"NCCL_SOCKET_IFNAME": "eth0"})
    assert given == {"NCCL_DEBUG": "INFO", "PYTHONPATH": "/job:/mine", "UCX_TLS": "tcp"}


def test_an_interface_that_the_user_sets_in_the_shell_is_meant_for_all():
    given = environment.exported({"NCCL_SOCKET_IFNAME": "ib0"}, "/job", {"NCCL_SOCKET_IFNAME": "eth0"})
    assert given["NCCL_SOCKET_IFNAME"] == "ib0"


def test_the_environment_file_of_the_folder_wins_over_that_of_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "job"
    folder.mkdir()
    (tmp_path / ".deepspeed_env").write_text("A=1\n\n# mine\nB=two words = x\n")
    (folder / ".deepspeed_env").write_text("A=2\n")
    assert environment.from_files(str(folder), {}) == {"A": "2", "B": "two words = x"}
    (folder / "other").write_text("C=3\n")
    assert environment.from_files(str(folder), {"DS_ENV_FILE": "other"}) == {"C": "3"}


def test_a_line_of_the_environment_file_that_is_none_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".deepspeed_env").write_text("export A=1\nnonsense\n")
    with pytest.raises(Refusal) as caught:
        environment.from_files(str(tmp_path), {})
    assert "'export A=1'" in str(caught.value)
    assert "'nonsense'" in str(caught.value)


# --- the commands


def launch_of(*typed, slots=None, accelerator=""):
    settings = {"environment": "/env", "accelerate_config": "/etc/accelerate.yaml", "accelerator": accelerator}
    return Launch(options.parse([*typed]), settings, slots or {"a": [0, 1], "b": [0, 1]}, "10.0.0.1", 29501)


# what is typed, what a rank runs
RANKS = [
    (["t.py", "a b", "$x"], ["/env/bin/python", "-u", "t.py", "--local_rank=@", "a b", "$x"]),
    (["--no_local_rank", "t.py"], ["/env/bin/python", "-u", "t.py"]),
    (["-m", "pkg.t", "x"], ["/env/bin/python", "-u", "-m", "pkg.t", "--local_rank=@", "x"]),
    (["--no_python", "prog", "x"], ["prog", "--local_rank=@", "x"]),
    (["--launcher", "torchrun", "t.py"], ["/env/bin/python", "-u", "t.py"]),
]


@pytest.mark.parametrize(("typed", "command"), RANKS)
def test_a_rank_runs_what_was_typed(typed, command):
    assert launchers.rank_command(options.parse(typed), "/env/bin/python", "@") == command


def test_deepspeed_starts_the_ranks_of_a_node():
    command = launchers.node_command(launch_of("--bind_cores_to_rank", "t.py"), 1)
    assert command[:4] == ["/env/bin/python", "-u", "-m", "deepspeed.launcher.launch"]
    assert {"--node_rank=1", "--master_addr=10.0.0.1", "--master_port=29501", "--bind_cores_to_rank"} <= {*command}
    assert command[-3:] == ["--no_python", "--no_local_rank", launchers.RANK]


def test_torchrun_gets_the_slots_of_its_node_and_its_gpus():
    launch = launch_of("--launcher", "torchrun", "t.py", slots={"a": [1], "b": [0, 2]})
    assert "--nproc_per_node=2" in launchers.node_command(launch, 1)
    assert launchers.node_environment(launch, 1) == {"CUDA_VISIBLE_DEVICES": "0,2"}


def test_no_gpu_is_named_where_cpus_train():
    launch = launch_of("--launcher", "torchrun", "t.py", accelerator="cpu")
    assert launchers.node_environment(launch, 0) == {}


def test_accelerate_refuses_unequal_nodes():
    with pytest.raises(Refusal, match="equal numbers of ranks"):
        launchers.node_command(launch_of("--launcher", "accelerate", "t.py", slots={"a": [0], "b": [0, 1]}), 0)


def test_what_is_typed_on_a_node_needs_no_agent():
    command = launchers.typed_command(launch_of("--no_ssh", "-m", "pkg.t", "a b"), 0)
    assert command[-3:] == ["--module", "pkg.t", "a b"]


def test_plain_deepspeed_gets_no_option_of_ours():
    command = launchers.foreign_command(launch_of("--sync", "--share", "--launcher", "openmpi", "-i", "a", "t.py", "x"))
    assert command[-4:] == ["--launcher=openmpi", "--include=a", "t.py", "x"]
    assert not {"--sync", "--share", "."} & {*command}


# what is typed with pdsh, the folder, what the shells of the nodes would read otherwise
REREAD = [
    (["t.py", "plain", "--lr=1e-4", "a/b.txt"], "/job", ""),
    (["t.py", "two words", 'say "a"'], "/job", ""),
    (["t.py", "two $words"], "/job", "two $words"),
    (["t.py", "*.txt", "--name=it's"], "/job", "*.txt and --name=it's"),
    (["t.py", "50%"], "/job", "50%"),
    (["t.py"], "/my job", "/my job"),
]


@pytest.mark.parametrize(("typed", "folder", "words"), REREAD)
def test_what_pdsh_would_not_carry_is_refused(typed, folder, words):
    def check(launcher):
        launchers.check_words(options.parse(["--launcher", launcher, *typed]), folder)

    check("openmpi")
    if words:
        with pytest.raises(Refusal, match=re.escape(f"and {words} would become something else")):
            check("pdsh")
    else:
        check("pdsh")
