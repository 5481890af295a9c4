"""Debian's Python becomes one that an environment has to itself, and a change in Debian's files is noticed."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from sandbox.conda import interpreter
from sandbox.shell import SandboxError

DATA = """\
build_time_vars = {'BINDIR': '/usr/bin', 'CONFINCLUDEDIR': '/usr/include', 'CONFINCLUDEPY': '/usr/include/python3.11',
 'DESTSHARED': '/usr/lib/python3.11/lib-dynload', 'INCLUDEDIR': '/usr/include', 'INCLUDEPY': '/usr/include/python3.11',
 'INSTALL': '/usr/bin/install -c', 'LIBDEST': '/usr/lib/python3.11'}
"""


@pytest.fixture
def usr(tmp_path: Path) -> Path:
    """What the packages have below /usr, as far as something is done with it."""
    files = {
        "bin/python3.11": "a program",
        "include/python3.11/Python.h": "",
        "include/python3.11/pyconfig.h": "#include <x86_64-linux-gnu/python3.11/pyconfig.h>",
        "include/x86_64-linux-gnu/python3.11/pyconfig.h": "#define SIZEOF_LONG 8",
        "lib/python3.11/EXTERNALLY-MANAGED": "",
        "lib/python3.11/config-3.11-x86_64-linux-gnu/libpython3.11.a": "",
        "lib/python3.11/os.py": "",
        "lib/python3.11/sysconfig.py": f"    if {interpreter.DEBIANS}:\n",
        "lib/python3.11/_sysconfigdata__x86_64-linux-gnu.py": DATA,
    }
    for name, text in files.items():
        file = tmp_path / "usr" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    library = tmp_path / "usr" / "lib" / "python3.11"
    (library / "sitecustomize.py").symlink_to("/etc/python3.11/sitecustomize.py")
    (library / "_sysconfigdata__linux_x86_64-linux-gnu.py").symlink_to("_sysconfigdata__x86_64-linux-gnu.py")
    return tmp_path / "usr"


def test_headers_and_packages_are_those_of_the_prefix(usr: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    interpreter.arrange(usr, root, "3.11")
    assert (root / "bin" / "python").resolve() == root / "bin" / "python3.11"
    assert (root / "include" / "python3.11" / "pyconfig.h").read_text() == "#define SIZEOF_LONG 8"
    library = root / "lib" / "python3.11"
    assert (library / "sysconfig.py").read_text() == "    if True:\n"
    assert "lib/python3.11/site-packages" in (library / "sitecustomize.py").read_text()
    assert not (library / "sitecustomize.py").is_symlink()
    assert (library / "os.py").is_file()
    assert not (library / "EXTERNALLY-MANAGED").exists()
    assert not (library / "config-3.11-x86_64-linux-gnu").exists()


def test_builds_are_told_the_headers_of_the_prefix(usr: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter.arrange(usr, tmp_path / "root", "3.11")
    monkeypatch.setattr(sys, "base_prefix", "/opt/env")
    data = tmp_path / "root" / "lib" / "python3.11" / "_sysconfigdata__linux_x86_64-linux-gnu.py"
    names = runpy.run_path(str(data))["build_time_vars"]
    assert names["INCLUDEPY"] == "/opt/env/include/python3.11"
    assert names["INSTALL"] == "/usr/bin/install -c"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("lib/python3.11/sysconfig.py", "sysconfig.py of Debian's Python 3.11 does not ask for"),
        ("include/x86_64-linux-gnu/python3.11/pyconfig.h", "0 files in place of one"),
    ],
)
def test_a_change_in_debians_files_is_a_sentence(usr: Path, tmp_path: Path, name: str, sentence: str) -> None:
    (usr / name).rename(usr / f"{name}.other")
    (usr / "lib" / "python3.11" / "sysconfig.py").touch()
    with pytest.raises(SandboxError, match=sentence):
        interpreter.arrange(usr, tmp_path / "root", "3.11")
