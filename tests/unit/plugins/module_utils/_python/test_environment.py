# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished, run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python import environment, probe

# Lines as ds_report of DeepSpeed 0.19.8 prints them, colours included.
REPORT = """\
--------------------------------------------------
JIT compiled ops requires ninja
ninja .................. \x1b[92m[OKAY]\x1b[0m
--------------------------------------------------
op name ................ installed .. compatible
--------------------------------------------------
deepspeed_not_implemented  \x1b[93m[NO]\x1b[0m ....... \x1b[92m[OKAY]\x1b[0m
\x1b[93m [WARNING] \x1b[0m async_io requires the dev libaio .so object and headers but these were not found.
\x1b[93m [WARNING] \x1b[0m async_io: please install the libaio-dev package with apt
async_io ............... \x1b[93m[NO]\x1b[0m ....... \x1b[93m[NO]\x1b[0m
deepspeed_shm_comm ..... \x1b[92m[YES]\x1b[0m ...... \x1b[92m[OKAY]\x1b[0m
cpu_adam ............... \x1b[93m[NO]\x1b[0m ....... \x1b[92m[OKAY]\x1b[0m
--------------------------------------------------
DeepSpeed general environment info:
torch version .................... 2.13.0+cpu
shared memory (/dev/shm) size .... 64.00 MB
"""

OPS = [
    ("deepspeed_not_implemented", False, True, 0),
    ("async_io", False, False, 2),
    ("deepspeed_shm_comm", True, True, 0),
    ("cpu_adam", False, True, 0),
]


@pytest.mark.parametrize(("name", "installed", "compatible", "remarks"), OPS)
def test_each_row_of_ds_report_is_read(name: str, installed: bool, compatible: bool, remarks: int) -> None:
    op = environment.parse_ds_report(REPORT)[name]
    assert (op["installed"], op["compatible"], len(op["remarks"])) == (installed, compatible, remarks)


def test_only_ops_are_read_from_ds_report() -> None:
    assert set(environment.parse_ds_report(REPORT)) == {row[0] for row in OPS}


def test_remark_of_an_op_loses_its_colours() -> None:
    remarks = environment.parse_ds_report(REPORT)["async_io"]["remarks"]
    assert remarks[1] == "async_io: please install the libaio-dev package with apt"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    return tmp_path


def _describe(prefix: Path, answer: Any, gather: Sequence[str] = ("packages",), accelerator: str = "auto") -> Any:
    return environment.describe(answer, str(prefix), gather=gather, accelerator=accelerator, environment={}, timeout=1)


def _line(section: str, facts: Mapping[str, Any]) -> str:
    return json.dumps({"section": section, "facts": facts}) + "\n"


def _basic(**packages: str) -> str:
    pairs = {name: [version, version] for name, version in packages.items()}
    return _line("packages", {"python": "3.11.2", "machine": "x86_64", "headers": True, "packages": pairs})


class Interpreter:
    """Answers as a node's interpreter would, and keeps the variables that it was started with."""

    def __init__(self, packages: str, more: Finished) -> None:
        self._packages, self._more = packages, more
        self.variables: Mapping[str, str] = {}
        self.asked: list[str] = []

    def __call__(self, argv: Sequence[str], stdin: str, variables: Mapping[str, str], timeout: float) -> Finished:
        self.variables = variables
        self.asked += argv[3:]
        return Finished(0, self._packages) if list(argv[3:]) == ["packages"] else self._more


def test_missing_environment_is_a_sentence_and_not_a_failure(tmp_path: Path) -> None:
    facts = _describe(tmp_path / "none", run)
    assert facts["exists"] is False
    assert f"no Python environment at {tmp_path}/none" in facts["errors"][0]


def test_interpreter_that_does_not_start_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("not a program")
    facts = _describe(tmp_path, run)
    assert facts["exists"] is False
    assert "does not start" in facts["errors"][0]


def test_interpreter_that_dies_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\necho 'libpython3.11.so.1.0: cannot open shared object file' >&2\nexit 127\n")
    python.chmod(0o755)
    facts = _describe(tmp_path, run)
    assert facts["exists"] is False
    assert "libpython3.11.so.1.0" in facts["errors"][0]


ENDINGS = [
    (Finished(-11, "", "Fatal Python error: Segmentation fault"), "signal 11"),
    (Finished(None, "", ""), "took longer than 1 s"),
    (Finished(3, "", "out of memory"), "exit status 3"),
]


@pytest.mark.parametrize(("ending", "words"), ENDINGS)
def test_library_that_ends_the_interpreter_leaves_the_other_facts(prefix: Path, ending: Finished, words: str) -> None:
    answer = Finished(ending.rc, _line("torch", {"version": "2.13.0+cpu"}), ending.stderr)
    facts = _describe(prefix, Interpreter(_basic(torch="2.13.0", deepspeed="0.19.8"), answer), ["torch", "deepspeed"])
    assert facts["exists"] is True
    assert facts["torch"]["version"] == "2.13.0+cpu"
    assert facts["deepspeed"] == {}
    assert words in facts["errors"][0]
    assert facts["errors"][0].startswith("deepspeed")


def test_library_that_does_not_import_is_a_sentence_with_its_reason(prefix: Path) -> None:
    failure = json.dumps({"section": "torch", "error": "ImportError: libcudart.so.13: cannot open shared object file"})
    facts = _describe(prefix, Interpreter(_basic(torch="2.13.0"), Finished(0, failure)), ["torch"])
    assert facts["torch"] == {}
    assert "libcudart.so.13" in facts["errors"][0]
    assert "remove the folder torch-*.dist-info" in facts["errors"][0]


def test_what_is_not_installed_is_not_imported(prefix: Path) -> None:
    interpreter = Interpreter(_basic(numpy="2.4.6"), Finished(0))
    facts = _describe(prefix, interpreter, environment.SECTIONS)
    assert interpreter.asked == ["packages"]
    assert facts["errors"] == [f"{name} is not installed in {prefix}." for name in environment.SECTIONS[1:]]


def test_packages_are_always_looked_at(prefix: Path) -> None:
    assert _describe(prefix, Interpreter(_basic(numpy="2.4.6"), Finished(0)), [])["packages"] == {"numpy": "2.4.6"}


ACCELERATORS = [("cpu", "cpu"), ("cuda", "cuda"), ("rocm", "cuda"), ("auto", None)]


@pytest.mark.parametrize(("accelerator", "variable"), ACCELERATORS)
def test_accelerator_reaches_deepspeed(prefix: Path, accelerator: str, variable: str | None) -> None:
    interpreter = Interpreter(_basic(), Finished(0))
    _describe(prefix, interpreter, accelerator=accelerator)
    assert interpreter.variables.get("DS_ACCELERATOR") == variable


def test_program_of_an_environment_finds_the_environment_first() -> None:
    variables = environment.search_path("/opt/env", {"PATH": "/usr/bin", "PYTHONPATH": "/elsewhere", "HOME": "/root"})
    assert variables == {"PATH": "/opt/env/bin:/usr/bin", "HOME": "/root"}


def test_ops_carry_the_switch_that_builds_them(prefix: Path) -> None:
    answer = _line(
        "deepspeed",
        {
            "version": "0.19.8",
            "path": "/x",
            "accelerator": "cpu",
            "built_for": "cpu",
            "built_with": {},
            "installed_ops": {"deepspeed_shm_comm": True, "cpu_adam": False},
            "switches": {"deepspeed_shm_comm": "DS_BUILD_SHM_COMM"},
            "report": REPORT,
            "loads": {"deepspeed_shm_comm": None},
        },
    )
    facts = _describe(prefix, Interpreter(_basic(deepspeed="0.19.8"), Finished(0, answer)), ["deepspeed"])
    assert facts["deepspeed"]["ops"]["deepspeed_shm_comm"]["switch"] == "DS_BUILD_SHM_COMM"
    assert facts["deepspeed"]["installed_ops"] == ["deepspeed_shm_comm"]
    assert facts["deepspeed"]["loads"] == {"deepspeed_shm_comm": None}


def _crash() -> str:
    os.kill(os.getpid(), signal.SIGSEGV)
    return ""


def _exit() -> str:
    sys.exit("no license")


def _hang() -> str:
    time.sleep(60)
    return ""


WORKS = [
    (lambda: "", None),
    (lambda: "ImportError: undefined symbol: io_submit", "ImportError: undefined symbol: io_submit"),
    (lambda: "é" * 5000, "é" * 2000),
    (_crash, "it ended the interpreter with signal 11"),
    (_exit, "it ended the interpreter (exit status 1)"),
    (_hang, "it took longer than 1 s"),
]


@pytest.mark.parametrize(("work", "reason"), WORKS)
def test_work_apart_is_answered_whatever_it_does(work: Callable[[], str], reason: str | None) -> None:
    assert probe.apart(work, 1) == reason


# Packages of the shape of DeepSpeed 0.19.8 and 0.7.7: the older has no accelerator, and says not what it was built for.
BUILDERS = """\
import os

class OpBuilder:
    BUILD_VAR = ""

    def __init__(self, name):
        self.name = name

    def load(self, verbose=True):
        if self.name == "crashes":
            os.abort()
        if self.name == "unlinked":
            raise ImportError("x_op.so: undefined symbol: io_submit")
        return self.jit_load(verbose) if self.name == "compiles" else object()

    def jit_load(self, verbose=True):
        raise AssertionError("compiled")

ALL_OPS = {name: OpBuilder(name) for name in ("crashes", "unlinked", "compiles", "loads", "not_installed")}

def main():
    print("loads .................. [YES] ...... [OKAY]")
"""
NEW = "from types import SimpleNamespace\n\ndef get_accelerator():\n    return SimpleNamespace(_name='cpu')\n"
INSTALLED = "{'crashes': True, 'unlinked': True, 'compiles': True, 'loads': 1, 'not_installed': False}"
GENERATIONS = [
    ("0.19.8", NEW, "accelerator_name = 'cpu'", "cpu", True),
    # Built for GPUs, asked about CPUs: not one op counts.
    ("0.19.8", NEW, "accelerator_name = 'cuda'", "cpu", False),
    ("0.7.7", "", "", "cuda", True),
]


@pytest.mark.parametrize(("version", "accelerators", "built", "accelerator", "counts"), GENERATIONS)
def test_each_op_that_is_built_in_is_loaded_and_none_is_compiled(
    tmp_path: Path, *, version: str, accelerators: str, built: str, accelerator: str, counts: bool
) -> None:
    package = tmp_path / "deepspeed"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "env_report.py").write_text(accelerators + BUILDERS)
    (package / "git_version_info.py").write_text(f"version = '{version}'\ninstalled_ops = {INSTALLED}\n{built}\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n{inspect.getsource(probe)}"
    told = run([sys.executable, "-I", "-", "deepspeed"], program.replace("from __future__", "#"), os.environ, 30)
    facts = json.loads(told.stdout)["facts"]
    assert facts["accelerator"] == accelerator
    loads = facts["loads"]
    assert set(loads) == ({"crashes", "unlinked", "compiles", "loads"} if counts else set())
    if counts:
        assert loads["loads"] is None
        assert "signal 6" in loads["crashes"]
        assert loads["unlinked"] == "ImportError: x_op.so: undefined symbol: io_submit"
        assert loads["compiles"] == "RuntimeError: compiles is not built in, so DeepSpeed would compile it at a run"


def test_records_are_read_and_a_broken_one_counts_as_absent(prefix: Path) -> None:
    (prefix / ".fromzero").mkdir()
    (prefix / ".fromzero" / "torch.json").write_text('{"wanted": ["torch==2.13.0"]}')
    (prefix / ".fromzero" / "deepspeed.json").write_text('{"wanted": [')
    assert environment.read_records(str(prefix)) == {"torch": {"wanted": ["torch==2.13.0"]}}


def test_a_real_interpreter_answers(prefix: Path) -> None:
    facts = environment.describe(
        run, str(prefix), gather=["packages"], accelerator="auto", environment=os.environ, timeout=20
    )
    assert facts["exists"] is True
    assert facts["python"] == ".".join(str(part) for part in sys.version_info[:3])


def _distribution(site: Path, folder: str, name: str = "", version_py: str = "") -> None:
    (site / folder).mkdir()
    (site / folder / "METADATA").write_text("Metadata-Version: 2.1\n")
    if name:
        (site / name).mkdir()
        (site / name / "version.py").write_text(version_py)


VERSIONS = [
    # folder, package, its version.py, name, version in the metadata, version with the build
    ("torch-2.13.0+cpu.dist-info", "", "", "torch", "2.13.0+cpu", "2.13.0+cpu"),
    ("torch-2.13.0.dist-info", "torch", "__version__ = '2.13.0+cu130'\n", "torch", "2.13.0", "2.13.0+cu130"),
    ("torch-2.13.0.dist-info", "torch", "__version__: str = '2.13.0+cu130'\n", "torch", "2.13.0", "2.13.0+cu130"),
    ("torch-2.13.0.dist-info", "torch", "__version__ = '2.12.0+cu130'\n", "torch", "2.13.0", "2.13.0"),
    ("torch-2.13.0.dist-info", "", "", "torch", "2.13.0", "2.13.0"),
    ("Typing_Extensions-4.16.0.dist-info", "", "", "typing-extensions", "4.16.0", "4.16.0"),
    ("ruamel.yaml-0.18.0.dist-info", "", "", "ruamel-yaml", "0.18.0", "0.18.0"),
]


@pytest.mark.parametrize(("folder", "package", "version_py", "name", "metadata", "build"), VERSIONS)
def test_version_of_a_distribution(
    tmp_path: Path,
    *,
    folder: str,
    package: str,
    version_py: str,
    name: str,
    metadata: str,
    build: str,
) -> None:
    _distribution(tmp_path, folder, package, version_py)
    assert probe.distributions([str(tmp_path)]) == {name: [metadata, build]}


def test_remains_of_an_uninstalled_distribution_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "torch-2.13.0.dist-info").mkdir()
    assert probe.distributions([str(tmp_path)]) == {}


def test_distribution_installed_by_setup_py_counts(tmp_path: Path) -> None:
    folder = tmp_path / "hjson-3.1.0-py3.11.egg-info"
    folder.mkdir()
    (folder / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: hjson\nVersion: 3.1.0\n")
    assert probe.distributions([str(tmp_path)]) == {"hjson": ["3.1.0", "3.1.0"]}
