# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an installer was cut off in is installed again: a real environment, a real pip, wheels of our own."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import run
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.indexes import Sources
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.install_mark import (
    InstallerAtWork,
    installing,
    is_marked,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.packages import PackagesError, Wish, apply
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.probe import INSTALLING
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import parse

VARIABLES = {"PATH": "/usr/bin:/bin", "PIP_CONFIG_FILE": "/dev/null", "HOME": "/nonexistent"}


def wheel(folder, name, needs=()):
    """A wheel with one module, whose content is checked by its RECORD."""
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": f"VALUE = '{name}'\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        + "".join(f"Requires-Dist: {need}\n" for need in needs),
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
        rows.append(f"{path},sha256={digest},{len(text)}\n")
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        for path, text in {**files, f"{about}/RECORD": f"{''.join(rows)}{about}/RECORD,,\n"}.items():
            archive.writestr(path, text)


@pytest.fixture(scope="module")
def wish(tmp_path_factory):
    """An environment with outer, which needs inner, and alone; asked for is outer."""
    folder = tmp_path_factory.mktemp("cut")
    wheel(folder, "inner")
    wheel(folder, "outer", ["inner"])
    wheel(folder, "alone")
    subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)
    sources = Sources(find_links=(str(folder),), no_index=True)
    asked = Wish(str(folder / "env"), [parse("outer==1.0")], sources, installer="pip", cache=False)
    apply(run, replace(asked, requirements=[parse("outer==1.0"), parse("alone==1.0")]), VARIABLES)
    return asked


@pytest.fixture
def site(wish):
    [found] = Path(wish.prefix).glob("lib/python*/site-packages")
    return found


def imports(wish, name):
    code = f"import {name}; print({name}.VALUE)"
    return subprocess.run([f"{wish.prefix}/bin/python", "-c", code], capture_output=True, check=False).returncode == 0


def no_calls(argv, stdin, environment, timeout):
    assert stdin, f"an installer was called: {argv}"
    return run(argv, stdin, environment, timeout)


def lose_installer(site, name):
    """As uv leaves it, which writes INSTALLER last."""
    (site / f"{name}-1.0.dist-info" / "INSTALLER").unlink()
    (site / name / "__init__.py").unlink()


def lose_metadata(site, name):
    (site / f"{name}-1.0.dist-info" / "METADATA").unlink()
    (site / name / "__init__.py").unlink()


def marked(change):
    """As a power loss leaves it: all names are there, under a mark."""

    def cut(site, name):
        mark = site.parents[2] / INSTALLING
        mark.parent.mkdir(exist_ok=True)
        mark.write_text(f"{name}\n")
        change(site / name / "__init__.py")

    return cut


CUTS = {
    "no INSTALLER": lose_installer,
    "no METADATA": lose_metadata,
    "a file is missing": marked(lambda file: file.unlink()),
    "a file is empty": marked(lambda file: file.write_text("")),
    "a file has zeros": marked(lambda file: file.write_bytes(b"\0" * file.stat().st_size)),
}


@pytest.mark.parametrize("name", ["inner", "outer"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_it_is_installed_again_in_one_run(wish, site, cut, name):
    cut(site, name)
    assert not imports(wish, name)
    outcome = apply(run, wish, VARIABLES)
    assert outcome.changes == {name: ("", "1.0")}
    assert outcome.warnings == []
    assert imports(wish, name)
    assert not [*site.glob("*.unfinished")]
    assert not is_marked(wish.prefix)
    assert apply(no_calls, wish, VARIABLES).changes == {}


def test_check_mode_says_so_and_changes_nothing(wish, site):
    lose_installer(site, "outer")
    assert apply(no_calls, wish, VARIABLES, dry=True).changes == {"outer": ("", "1.0")}
    assert (site / "outer-1.0.dist-info").is_dir()
    apply(run, wish, VARIABLES)


def test_a_mark_where_nothing_is_damaged_goes_without_an_installer(wish, site):
    marked(lambda file: None)(site, "inner")
    assert apply(no_calls, wish, VARIABLES).changes == {}
    assert not is_marked(wish.prefix)


def test_what_nothing_needs_is_named_and_healed_by_the_task_that_does(wish, site):
    lose_installer(site, "alone")
    outcome = apply(run, wish, VARIABLES)
    assert outcome.changes == {}
    assert "An installer was cut off in alone==1.0" in outcome.warnings[0]
    assert "-m pip install alone==1.0" in outcome.warnings[0]
    other = replace(wish, requirements=[parse("alone==1.0")])
    assert apply(run, other, VARIABLES).changes == {"alone": ("", "1.0")}
    assert not [*site.glob("*.unfinished")]


def test_a_failed_installer_leaves_its_mark(wish):
    with pytest.raises(PackagesError):
        apply(run, replace(wish, requirements=[parse("outer==2.0")]), VARIABLES)
    assert is_marked(wish.prefix)
    assert apply(no_calls, wish, VARIABLES).changes == {}
    assert not is_marked(wish.prefix)


def test_one_installer_waits_for_another(tmp_path):
    order = []

    def other():
        with installing(str(tmp_path), ["b"], 20) as cut_off:
            order.append(("second", cut_off))

    with installing(str(tmp_path), ["a"], 0):
        waiting = threading.Thread(target=other)
        waiting.start()
        waiting.join(1)
        order.append(("first", False))
    waiting.join()
    assert order == [("first", False), ("second", False)]
    assert not is_marked(str(tmp_path))


def test_an_installer_that_does_not_end_is_named(tmp_path):
    with (
        installing(str(tmp_path), ["a"], 0),
        pytest.raises(InstallerAtWork, match=r"is locked.*or end it"),
        installing(str(tmp_path), ["b"], 0),
    ):
        pass


class BadCache:
    """Installs, and then damages what was installed, as a cache that lost its content in the same power loss."""

    def __init__(self, site, times):
        self.site, self.times, self.calls = site, times, []

    def __call__(self, argv, stdin, environment, timeout):
        finished = run(argv, stdin, environment, timeout)
        if not stdin:
            self.calls.append(argv)
            if len(self.calls) <= self.times:
                (self.site / "inner" / "__init__.py").write_text("")
        return finished


def test_a_damaged_cache_is_not_used_a_second_time(wish, site):
    lose_installer(site, "inner")
    cache = BadCache(site, 1)
    apply(cache, replace(wish, cache=True), VARIABLES)
    assert ["--no-cache-dir" in call for call in cache.calls] == [False, True, True]
    assert imports(wish, "inner")


def test_damage_that_comes_back_is_an_error_that_names_the_package(wish, site):
    lose_installer(site, "inner")
    with pytest.raises(PackagesError, match=r"pip installed inner into .* twice"):
        apply(BadCache(site, 9), wish, VARIABLES)
    apply(run, wish, VARIABLES)
    assert imports(wish, "inner")
