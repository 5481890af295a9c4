# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible import python
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.python import FLOOR, problem, read, script

SYSTEMS = {"Debian": ["12", "13"], "Rocky": ["8", "9"], "Ubuntu": ["24.04"]}
ROCKY_8 = "SYSTEM\trocky\t8.10\n"
DEBIAN_12 = "SYSTEM\tdebian\t12\n"

NO_PROBLEM = [
    "PYTHON\tlist\t/usr/bin/python3.9\t3.9.2\n",
    "Welcome!\r\nPYTHON\tlist\t/usr/bin/python3.13\t3.13.1\r\n",
    "PYTHON\tgiven\t~/venv/bin/python\t3.12.0\n",
    # A shell that runs no script is left to Ansible, which says so.
    "This account is not available.\n",
    "",
]
PROBLEMS = [
    (
        "PYTHON\tlist\t/usr/bin/python3\t3.6.8\n" + ROCKY_8,
        "n has Python 3.6.8 at /usr/bin/python3, and 3.9 is the oldest that works; install one: sudo dnf install -y "
        "python3.12.",
    ),
    (
        DEBIAN_12,
        "n has no Python that Ansible finds, and 3.9 is the oldest that works; install one: sudo apt-get install -y "
        "python3.",
    ),
    (
        "SYSTEM\trocky\t9.6\n",
        "n has no Python that Ansible finds, and 3.9 is the oldest that works; install one: sudo dnf install -y "
        "python3.",
    ),
    (
        "PYTHON\tgiven\t/opt/python\t\nPYTHON\tmore\t/usr/bin/python3.11\t3.11.2\n",
        "n has no Python that runs at /opt/python, which ansible_python_interpreter names; set "
        "ansible_python_interpreter: /usr/bin/python3.11, which is 3.11.2.",
    ),
    (
        "PYTHON\tlist\t/usr/bin/python3.8\t3.8.10\nSYSTEM\tubuntu\t20.04\n",
        "n has Python 3.8.10 at /usr/bin/python3.8, and 3.9 is the oldest that works; it runs Ubuntu 20.04, which is "
        "not supported either; supported are Debian 12, 13; Rocky 8, 9; Ubuntu 24.04.",
    ),
    (
        "PYTHON\tlist\t/usr/local/bin/python3.13\t\n" + DEBIAN_12,
        "n has a Python at /usr/local/bin/python3.13 that does not run; install one: sudo apt-get install -y python3.",
    ),
    (
        "PYTHON\tmore\t/usr/bin/python3.15\t3.15.0\n",
        "n has no Python that Ansible finds, and 3.9 is the oldest that works; set ansible_python_interpreter: "
        "/usr/bin/python3.15, which is 3.15.0.",
    ),
    (
        "SYSTEM\t\t\n",
        "n has no Python that Ansible finds, and 3.9 is the oldest that works; nothing says what it runs; supported "
        "are Debian 12, 13; Rocky 8, 9; Ubuntu 24.04.",
    ),
]


@pytest.mark.parametrize("output", NO_PROBLEM)
def test_a_python_that_works_and_a_shell_that_says_nothing_are_no_problem(output: str) -> None:
    assert problem("n", read(output), SYSTEMS) == ""


@pytest.mark.parametrize(("output", "sentence"), PROBLEMS)
def test_one_sentence_has_what_was_found_what_is_needed_and_the_way_out(output: str, sentence: str) -> None:
    assert problem("n", read(output), SYSTEMS) == sentence.replace("3.9 is", f"{'.'.join(map(str, FLOOR))} is")


LOOKS = [
    # pythons of the node, the interpreter that is set, the Python that Ansible would take, whether all is well
    ({}, "", None, False),
    ({"python3.6": "3.6.8"}, "", None, False),
    ({"python3": "3.6.8"}, "", "python3", False),
    ({"python3": "3.9.1"}, "", "python3", True),
    ({"python3.12": "3.12.1", "python3": "3.6.8"}, "", "python3.12", True),
    ({"python3.12": "3.12.1", "other": "3.6.8"}, "{bin}/other", "other", False),
    ({"python3": "3.6.8", "other": "3.11.0"}, "{bin}/other -E", "other -E", True),
    ({"python3": "3.11.0"}, "{bin}/missing", "missing", False),
]


@pytest.mark.parametrize("look", LOOKS)
def test_a_plain_shell_finds_what_ansible_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: tuple[dict[str, str], str, str | None, bool]
) -> None:
    pythons, given, taken, well = look
    monkeypatch.setattr(python, "_MORE", ("python3.14",))
    for name, version in pythons.items():
        works = tuple(map(int, version.split(".")[:2])) >= FLOOR
        (tmp_path / name).write_text(f"#!/bin/sh\necho {version}\nexit {0 if works else 1}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    text = script(given.format(bin=tmp_path), ["python3.12", "python3"])
    done = subprocess.run(
        ["/bin/sh", "-c", text], env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    report = read(done.stdout)
    assert (report.taken and report.taken.path) == (taken and f"{tmp_path}/{taken}")
    assert bool(problem("n", report, SYSTEMS)) != well
    assert done.stderr == ""


def test_a_real_python_answers() -> None:
    done = subprocess.run(["/bin/sh", "-c", script("python3", [])], capture_output=True, text=True, check=True)
    found = read(done.stdout).candidates[0]
    assert found.path == "python3"
    assert re.fullmatch(r"3\.\d+\.\d+", found.version)
