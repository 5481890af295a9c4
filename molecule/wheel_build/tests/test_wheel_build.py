"""What wheel_build and wheel_delivery promise: one build for all nodes, and a sentence where there can be none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest
import testinfra

SCENARIO = Path(__file__).parents[1]
PROJECT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
INVENTORY = PROJECT / "build" / "clusters" / SCENARIO.name / "hosts.yml"
ARTIFACTS = INVENTORY.parent / "artifacts" / "wheels"
ENVIRONMENT = "/opt/fromzero/envs/train"
BUILDS = f"{ENVIRONMENT}/.fromzero/builds"
PLAIN = str(SCENARIO / "files" / "fromzero_plain")


@pytest.fixture(scope="module")
def builder():
    return testinfra.get_host("ansible://node1", ansible_inventory=str(INVENTORY), sudo=True)


@pytest.fixture(scope="module")
def other():
    return testinfra.get_host("ansible://node2", ansible_inventory=str(INVENTORY), sudo=True)


def command(program, *words, variables=None):
    extra = ["--extra-vars", json.dumps(variables)] if variables else []
    return [program, "--inventory", str(INVENTORY), *words, *extra]


def ran(argv):
    settings = {**os.environ, "ANSIBLE_FORCE_COLOR": "false", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    return subprocess.run(argv, cwd=PROJECT, env=settings, capture_output=True, text=True, check=False)


def play(variables, *options):
    """Run the scenario's play once more, as a user who wishes for something else."""
    return ran(command("ansible-playbook", *options, str(SCENARIO / "converge.yml"), variables=variables))


def plain(build=None, **more):
    """The play for the package that compiles in a second."""
    return {"distribution": "fromzero-plain", "source": PLAIN, "build": build or {}, **more}


def delivery(wheel, **more):
    """Only the delivery of a wheel to node2."""
    arguments = {"wheel": wheel, "prefix": ENVIRONMENT, "dest": "/tmp/wheels", **more}
    module = ["-m", "fromzero.deepspeed.wheel_delivery", "-a", json.dumps(arguments)]
    return ran(command("ansible", "node2", "--become", "--become-user", "trainer", *module))


def sentence(run):
    """The output in one line, since YAML folds long messages, with its quotes as they were."""
    return " ".join((run.stdout + run.stderr).split()).replace("''", "'")


def succeeds(run):
    assert run.returncode == 0, run.stdout + run.stderr
    return run


def refusal(run):
    assert run.returncode != 0, run.stdout
    return sentence(run)


def kept(name):
    """What the control node knows of the wheels of a distribution that it keeps."""
    return [json.loads(path.read_text()) for path in sorted(ARTIFACTS.glob(f"{name}-*/wheel.json"))]


def said(host):
    return host.check_output(f"{ENVIRONMENT}/bin/python -B -c 'import fromzero_plain.said as s; print(s.words())'")


def test_extension_computes_on_every_node(host):
    program = "import torch, fromzero_sum; print(fromzero_sum.total(torch.ones(3)))"
    assert host.check_output(f"{ENVIRONMENT}/bin/python -c '{program}'") == "3.0"


def test_only_one_node_has_compiled(builder, other):
    assert builder.check_output(f"ls {BUILDS}/fromzero-sum/*/log.txt")
    assert not other.file(BUILDS).exists
    assert not other.exists("c++")
    [wheel] = kept("fromzero-sum")
    assert wheel["built_on"] == "node1"


def test_files_of_a_build_belong_to_the_user_and_its_sources_are_gone(builder):
    folder = builder.check_output(f"ls -d {BUILDS}/fromzero-sum/*")
    names = set(builder.check_output(f"ls {folder}").split())
    assert {"log.txt", "wheel.json"} < names
    assert "scratch" not in names
    assert builder.check_output(f"find {ENVIRONMENT} -not -user trainer -print -quit") == ""


def test_wheel_is_found_on_the_control_node_when_the_builder_has_lost_it(builder):
    builder.check_output(f"rm -rf {BUILDS}")
    run = succeeds(play({}))
    assert not re.search(r"changed=[1-9]", run.stdout)
    assert not builder.file(BUILDS).exists


def test_wheel_that_was_changed_on_the_control_node_is_not_handed_out():
    [wheel] = kept("fromzero-sum")
    path = ARTIFACTS / f"fromzero-sum-{wheel['key']}" / wheel["filename"]
    path.write_bytes(path.read_bytes() + b"x")
    succeeds(play({}))
    assert path.stat().st_size == kept("fromzero-sum")[0]["size"]


@pytest.mark.parametrize(
    ("build", "words"),
    [
        ({}, "plain"),
        ({"environment": {"FROMZERO_WORD": "switched"}}, "switched"),
        ({"options": ["--with_word"]}, "plain with_word"),
        ({"options": ["--with_word", "--with_other_word"], "scope": "global"}, "plain with_word with_other_word"),
        ({"substitutions": [{"file": "setup.py", "text": '"plain"', "by": '"replaced"'}]}, "replaced"),
    ],
)
def test_what_decides_the_build_decides_the_wheel(host, build, words):
    succeeds(play(plain(build)))
    assert said(host) == words


def test_each_set_of_inputs_is_a_wheel_of_its_own():
    wheels = kept("fromzero-plain")
    assert len({wheel["key"] for wheel in wheels}) == len(wheels) >= 5


def test_repository_is_known_by_its_commit(builder):
    arguments = json.dumps({"src": f"{PLAIN}/", "dest": "/srv/plain/", "mode": "0755"})
    succeeds(ran(command("ansible", "node1", "--become", "-m", "ansible.builtin.copy", "-a", arguments)))
    git = "git -C /srv/plain -c user.name=ada -c user.email=ada@example.org"
    builder.check_output("git config --system --add safe.directory '*'")
    builder.check_output(f"git init --quiet /srv/plain && {git} add . && {git} commit --quiet -m one && {git} tag v1")
    commit = builder.check_output("git -C /srv/plain rev-parse HEAD")
    succeeds(play(plain(source="git+file:///srv/plain@v1")))
    before = len(kept("fromzero-plain"))
    run = succeeds(play(plain(source=f"git+file:///srv/plain/@{commit}")))
    assert len(kept("fromzero-plain")) == before
    assert not re.search(r"changed=[1-9]", run.stdout)
    assert [wheel for wheel in kept("fromzero-plain") if wheel["inputs"]["source"] == f"commit {commit}"]


def test_ref_that_does_not_exist_is_a_sentence():
    assert "file:///srv/plain has no branch or tag 'v9'" in refusal(play(plain(source="git+file:///srv/plain@v9")))


def test_git_host_that_does_not_answer_is_a_sentence(builder):
    listen = 'import socket, time; s = socket.create_server(("127.0.0.1", 9418)); time.sleep(600)'
    builder.check_output(f"systemd-run --unit silent-host python3 -c '{listen}'")
    source = "git+http://127.0.0.1:9418/apex.git@main"
    found = refusal(play(plain({"source_timeout": 4}, source=source)))
    builder.check_output("systemctl stop silent-host")
    assert "The git host of http://127.0.0.1:9418/apex.git did not answer within 4 s" in found
    assert "Name a mirror that this node reaches" in found


def test_archive_with_another_sum_is_refused(builder):
    builder.check_output("tar --create --gzip --file /srv/plain.tar.gz --directory /srv plain")
    found = refusal(play(plain({"source_on_node": True, "checksum": "0" * 64}, source="/srv/plain.tar.gz")))
    assert "The checksum of /srv/plain.tar.gz is wrong" in found


def test_archive_of_the_node_is_built():
    succeeds(play(plain({"source_on_node": True}, source="/srv/plain.tar.gz")))
    assert [wheel for wheel in kept("fromzero-plain") if wheel["inputs"]["source"].startswith("archive ")]


def test_text_that_is_not_there_is_a_sentence():
    build = {"substitutions": [{"file": "setup.py", "text": "no such text", "by": ""}]}
    assert "setup.py of this source does not say 'no such text'" in refusal(play(plain(build)))


def test_missing_header_is_a_sentence_with_what_brings_it():
    found = refusal(play(plain({"environment": {"FROMZERO_FLAGS": "-DWITH_LIBRARY"}})))
    assert "The header libaio.h is missing: install libaio (Debian: libaio-dev, RHEL: libaio-devel)" in found
    assert "log.txt" in found


def test_too_little_memory_is_a_sentence_before_anything_is_built(builder):
    found = refusal(play(plain({"memory": 100000, "environment": {"FROMZERO_WORD": "memory"}})))
    assert "GiB of memory are free, and one compiler of fromzero-plain takes 100000" in found


def test_compiler_that_runs_out_of_memory_is_a_sentence():
    limited = "prlimit --as=70000000 c++"
    build = {"variables": {"CC": limited, "CXX": limited}, "environment": {"FROMZERO_WORD": "limited"}}
    assert "The compiler ran out of memory" in refusal(play(plain(build)))


def test_node_that_cannot_compile_says_all_that_it_lacks(other):
    found = refusal(play(plain({"environment": {"FROMZERO_WORD": "elsewhere"}}, builder="node2")))
    assert "There is no C++ compiler (c++)" in found
    assert "has no headers (Python.h)" in found


def test_build_that_takes_too_long_is_stopped(builder):
    build = {"environment": {"FROMZERO_SECONDS": "60"}, "timeout": 5}
    assert "The build of fromzero-plain was not done within 5 s and was stopped" in refusal(play(plain(build)))
    assert builder.run("pgrep -f [b]dist_wheel").rc != 0


def begun(builder, variables):
    """A run that waits for its build, which has begun."""
    run = subprocess.Popen(
        command("ansible-playbook", str(SCENARIO / "converge.yml"), variables=variables),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "ANSIBLE_FORCE_COLOR": "false"},
    )
    for _attempt in range(600):
        if builder.run("pgrep -f '[b]dist_wheel|[m] pip wheel'").rc == 0:
            return run
        time.sleep(0.5)
    raise AssertionError("no build began")


def test_build_that_is_killed_leaves_nothing_that_looks_finished_and_is_made_again(builder):
    wish = plain({"environment": {"FROMZERO_SECONDS": "10", "FROMZERO_WORD": "killed"}})
    before = len(kept("fromzero-plain"))
    run = begun(builder, wish)
    builder.run("pkill -KILL -f '[f]romzero/builds'")
    output, _nothing = run.communicate(timeout=600)
    assert run.returncode != 0
    assert "was cut off, and left no wheel; run again" in " ".join(output.split())
    assert len(kept("fromzero-plain")) == before
    folder = builder.check_output(f"grep -l killed {BUILDS}/fromzero-plain/*/job.json | xargs dirname")
    assert not builder.file(f"{folder}/wheel.json").exists
    assert builder.run(f"ls {folder}/*.whl").rc != 0
    succeeds(play(wish))
    assert said(builder) == "killed"


def test_run_that_is_killed_loses_nothing_since_the_next_one_waits_for_its_build(builder):
    wish = plain({"environment": {"FROMZERO_SECONDS": "25", "FROMZERO_WORD": "awaited"}})
    run = begun(builder, wish)
    os.killpg(run.pid, 9)
    run.wait()
    again = succeeds(play(wish))
    assert "fromzero-plain is being built on node1 already: waiting for it." in again.stdout
    assert said(builder) == "awaited"


def test_wheel_for_another_architecture_is_refused(builder):
    wheel = kept("fromzero-plain")[0]
    found = refusal(delivery({**wheel, "path": "/none", "needs": {**wheel["needs"], "machine": "aarch64"}}))
    assert "was built on node1 for aarch64, and this node is x86_64" in found


def test_wheel_for_a_newer_c_library_is_refused():
    wheel = kept("fromzero-plain")[0]
    found = refusal(delivery({**wheel, "path": "/none", "needs": {**wheel["needs"], "glibc": "9.99"}}))
    assert "was built on node1 with glibc 9.99, and this node has the older" in found


def test_native_wheel_is_for_processors_that_can_all_that_the_builders_can():
    succeeds(play(plain({"native": True})))
    wheel = next(wheel for wheel in kept("fromzero-plain") if wheel["needs"]["instructions"])
    needs = {**wheel["needs"], "instructions": [*wheel["needs"]["instructions"], "avx9000"]}
    assert "the one of this node lacks avx9000" in refusal(delivery({**wheel, "path": "/none", "needs": needs}))


def test_wheel_comes_from_the_depot_where_there_is_one(builder, other):
    serve = "systemd-run --unit depot --working-directory /srv/fromzero python3 -m http.server 8000"
    builder.check_output(f"mkdir -p /srv/fromzero && {serve}")
    other.check_output(f"rm -rf {ENVIRONMENT}/.fromzero/wheels")
    address = builder.ansible.get_variables()["ansible_host"]
    succeeds(play(plain(depot_url=f"http://{address}:8000")))
    served = builder.check_output("journalctl --unit depot --output cat")
    node2 = other.ansible.get_variables()["ansible_host"]
    got = rf'^{re.escape(node2)} .*"GET /wheels/[0-9a-f]+/fromzero_plain-2.0-\S+ HTTP/1.1" 200'
    assert re.search(got, served, re.MULTILINE)


def test_wheel_that_was_changed_on_the_depot_is_refused(builder):
    path = builder.check_output("find /srv/fromzero/wheels -name '*.whl' | head -1")
    key = path.split("/")[-2]
    [wheel] = [wheel for wheel in kept("fromzero-plain") if wheel["key"] == key]
    builder.check_output(f"echo x >> {path}")
    address = builder.ansible.get_variables()["ansible_host"]
    found = refusal(delivery(wheel, depot_url=f"http://{address}:8000"))
    assert f"expected {wheel['sha256']}" in found
    builder.check_output("systemctl stop depot")
    assert "cannot be read" in refusal(delivery(wheel, depot_url=f"http://{address}:8000"))


def test_check_mode_says_whether_a_build_would_be_made(builder):
    wish = plain({"environment": {"FROMZERO_WORD": "never"}})
    run = succeeds(play(wish, "--check", "--verbose"))
    assert "fromzero-plain would be built on node1." in run.stdout
    assert builder.run(f"grep -l never {BUILDS}/fromzero-plain/*/job.json").rc != 0


def test_check_mode_works_before_there_is_an_environment():
    succeeds(play(plain(environment_folder="/opt/fromzero/envs/none"), "--check"))


def test_nothing_is_left_where_files_are_handed_over(host):
    assert host.run("ls -d /tmp/.fromzero-*").rc != 0


def test_control_node_keeps_nothing_but_whole_wheels():
    for folder in ARTIFACTS.iterdir():
        assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".whl"], folder
