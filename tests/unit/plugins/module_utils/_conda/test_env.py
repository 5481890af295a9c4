# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What conda is told to do with an environment, and how its failures read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.env import Wish, apply, packages
from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.program import CondaError, answer
from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.spec import parse_spec
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

CHANNEL = "https://mirror.example/conda-forge"

# Name of the error in conda's JSON, further keys of it, what the sentence must hold.
FAILURES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("PackagesNotFoundInChannelsError", {"packages": ["pythom=3.11"]}, ["'pythom=3.11'", CHANNEL, "correct the name"]),
    ("PackagesNotFoundError", {}, ["'python=3.12'", CHANNEL]),
    ("ResolvePackageNotFound", {}, ["'python=3.12'"]),
    ("LibMambaUnsatisfiableError", {}, ["'python=3.12'", "loosen", "the reason"]),
    ("UnsatisfiableError", {}, ["'python=3.12'"]),
    ("CondaHTTPError", {}, [CHANNEL, "mirror", "the reason"]),
    ("CondaSSLError", {}, [CHANNEL]),
    ("UnavailableInvalidChannel", {}, [CHANNEL]),
    ("CondaToSNonInteractiveError", {}, ["terms of service", "conda_accept_anaconda_terms"]),
    ("CondaToSRejectedError", {}, ["terms of service"]),
    ("EnvironmentNotWritableError", {}, ["may not write", "ENVIRONMENT"]),
    ("NoWritablePkgsDirError", {}, ["may not write"]),
    ("NoSpaceLeftError", {}, ["disk is full"]),
    ("InvalidMatchSpec", {}, ["cannot read", "'python=3.12'"]),
    ("SomethingNew", {}, ["conda install", "ENVIRONMENT", "exit code 1", "the reason"]),
]

ANSWERS = [
    ('{"success": true}', {"success": True}),
    ('{"fetch": "a", "progress": 0.5}\x00{"success": true}', {"success": True}),
    ('warning: {not json}\n{\n "a": {"b": 1}\n}\n', {"a": {"b": 1}}),
    ("no json at all", {}),
    ("", {}),
]


class Conda:
    """Stands where conda would be started: notes the command lines, and does to the prefix what it is told."""

    def __init__(self, prefix: Path, installs: Sequence[str] = (), finished: Finished | None = None) -> None:
        self.prefix = prefix
        self.installs = installs
        self.finished = finished or Finished(0, '{"success": true}')
        self.lines: list[list[str]] = []

    def __call__(self, argv: Sequence[str], timeout: float) -> Finished:
        self.lines.append(list(argv))
        if "--dry-run" not in argv and self.finished.rc == 0:
            environment(self.prefix, *self.installs)
        return self.finished


def environment(prefix: Path, *installed: str) -> None:
    meta = prefix / "conda-meta"
    meta.mkdir(parents=True, exist_ok=True)
    (meta / "history").touch()
    for package in installed:
        name, version, build = package.split()
        record = {"name": name, "version": version, "build": build, "channel": CHANNEL}
        (meta / f"{name}-{version}-{build}.json").write_text(json.dumps(record))
        if name == "python":
            (prefix / "bin").mkdir(exist_ok=True)
            (prefix / "bin" / "python").touch()


def wish(tmp_path: Path, *specs: str, **other: Any) -> Wish:
    conda = tmp_path / "conda" / "bin" / "conda"
    conda.parent.mkdir(parents=True, exist_ok=True)
    conda.touch(mode=0o755)
    wished = {"channels": (CHANNEL,), "specs": tuple(map(parse_spec, specs)), **other}
    return Wish(conda=conda, prefix=tmp_path / "ENVIRONMENT", **wished)


def test_an_environment_that_is_not_there_is_created_by_prefix_from_the_named_channels(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python=3.11", "pip", override_channels=True, offline=True)
    conda = Conda(wanted.prefix, ["python 3.11.2 0", "pip 26.3 py_0"])
    outcome = apply(wanted, conda)
    line = f"{wanted.conda} create --yes --quiet --json --prefix {wanted.prefix} --offline --channel {CHANNEL}"
    assert [" ".join(line) for line in conda.lines] == [f"{line} --override-channels python=3.11 pip"]
    assert outcome.changed
    assert (list(outcome.before), sorted(outcome.after)) == ([], ["pip", "python"])


def test_nothing_is_started_when_every_spec_is_satisfied(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python=3.11", "pip")
    environment(wanted.prefix, "python 3.11.2 0", "pip 26.3 py_0")
    conda = Conda(wanted.prefix)
    assert not apply(wanted, conda).changed
    assert conda.lines == []


def test_what_is_lacking_is_installed_with_all_specs_named_so_that_the_others_hold(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python=3.11", "libaio")
    environment(wanted.prefix, "python 3.11.2 0")
    conda = Conda(wanted.prefix, ["libaio 0.3 0"])
    outcome = apply(wanted, conda)
    assert conda.lines[0][1] == "install"
    assert conda.lines[0][-2:] == ["python=3.11", "libaio"]
    assert [spec.text for spec in outcome.step.specs] == ["libaio"]


def test_python_whose_interpreter_is_gone_is_installed_again(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python=3.11")
    environment(wanted.prefix, "python 3.11.2 0")
    (wanted.prefix / "bin" / "python").unlink()
    conda = Conda(wanted.prefix, ["python 3.11.2 0"])
    assert apply(wanted, conda).changed
    assert conda.lines[0][-2:] == ["--force-reinstall", "python=3.11"]


def test_check_mode_without_conda_predicts_from_the_specs(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python=3.11", "pip")
    wanted.conda.unlink()
    outcome = apply(wanted, Conda(wanted.prefix), check=True)
    assert outcome.changed
    assert [str(package) for package in outcome.after.values()] == ["python =3.11", "pip"]
    assert not wanted.prefix.exists()


def test_check_mode_with_conda_shows_what_its_dry_run_says(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python=3.12")
    environment(wanted.prefix, "python 3.11.2 0", "pip 26.3 py_0")
    new = {"name": "python", "version": "3.12.1", "build_string": "1", "channel": CHANNEL}
    report = {"success": True, "actions": {"LINK": [new], "UNLINK": [{"name": "python", "version": "3.11.2"}]}}
    conda = Conda(wanted.prefix, finished=Finished(0, json.dumps(report)))
    outcome = apply(wanted, conda, check=True)
    assert "--dry-run" in conda.lines[0]
    assert sorted(map(str, outcome.after.values())) == ["pip 26.3 py_0", "python 3.12.1 1"]
    assert packages(wanted.prefix)["python"].version == "3.11.2"


def test_an_environment_is_removed_whole_and_only_once(tmp_path: Path) -> None:
    wanted = wish(tmp_path, present=False)
    environment(wanted.prefix, "python 3.11.2 0")

    def conda(argv: Sequence[str], timeout: float) -> Finished:
        assert argv[-1] == "--all"
        for path in sorted(wanted.prefix.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        wanted.prefix.rmdir()
        return Finished(0, "{}")

    assert apply(wanted, conda).step.command == "remove"
    assert not apply(wanted, conda).changed


def test_a_folder_that_is_no_environment_is_never_touched(tmp_path: Path) -> None:
    for present in (True, False):
        wanted = wish(tmp_path, present=present)
        wanted.prefix.mkdir(exist_ok=True)
        (wanted.prefix / "thesis.tex").touch()
        conda = Conda(wanted.prefix)
        with pytest.raises(CondaError, match="not an environment of conda"):
            apply(wanted, conda)
        assert conda.lines == []


def test_the_installation_of_conda_itself_is_never_an_environment(tmp_path: Path) -> None:
    wanted = wish(tmp_path, present=False)
    with pytest.raises(CondaError, match="installation of conda itself"):
        apply(Wish(wanted.conda, wanted.conda.parent.parent, present=False), Conda(wanted.prefix))


def test_conda_that_is_missing_is_named_with_the_remedy(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python")
    wanted.conda.unlink()
    with pytest.raises(CondaError, match="run the role conda first") as failure:
        apply(wanted, Conda(wanted.prefix))
    assert str(wanted.conda) in str(failure.value)


def test_success_that_did_not_bring_the_package_is_not_believed(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python=3.12")
    with pytest.raises(CondaError, match=r"conda reported success, but 'python=3.12'"):
        apply(wanted, Conda(wanted.prefix, ["python 3.11.2 0"]))


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python")
    environment(wanted.prefix)
    (wanted.prefix / "conda-meta" / "python-3.11.2-0.json").write_text('{"name": "pyth')
    with pytest.raises(CondaError, match=r"python-3\.11\.2-0\.json cannot be read"):
        apply(wanted, Conda(wanted.prefix))


def test_conda_that_takes_too_long_is_named_with_its_bound(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python", timeout=5)
    with pytest.raises(CondaError, match="stopped after 5 s"):
        apply(wanted, Conda(wanted.prefix, finished=Finished(None)))


@pytest.mark.parametrize(("name", "keys", "expected"), FAILURES)
def test_a_failure_of_conda_becomes_a_sentence_by_the_name_of_its_error(
    tmp_path: Path, name: str, keys: dict[str, Any], expected: list[str]
) -> None:
    wanted = wish(tmp_path, "python=3.12")
    environment(wanted.prefix, "python 3.11.2 0")
    report = {"exception_name": name, "message": "the\n reason", **keys}
    with pytest.raises(CondaError) as failure:
        apply(wanted, Conda(wanted.prefix, finished=Finished(1, json.dumps(report))))
    assert [part for part in expected if part not in str(failure.value)] == []


def test_a_failure_without_json_quotes_the_last_words(tmp_path: Path) -> None:
    wanted = wish(tmp_path, "python")
    with pytest.raises(CondaError, match="exit code 127: bad interpreter"):
        apply(wanted, Conda(wanted.prefix, finished=Finished(127, "", "conda:\nbad interpreter\n")))


@pytest.mark.parametrize(("text", "value"), ANSWERS)
def test_the_answer_is_found_behind_whatever_conda_prints_before_it(text: str, value: dict[str, Any]) -> None:
    assert answer(text) == value
