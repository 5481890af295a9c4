# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.environment import EnvironmentMissing
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.indexes import Sources
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.packages import (
    PackagesError,
    Wish,
    apply,
    wanted_of,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._python.requirements import parse

DONE = Finished(0)


class Node:
    """A node with one environment: answers the probe from a table of packages, and installers from a list of endings.

    packages: name -> version, or (version in the metadata, version with the build).
    """

    def __init__(self, prefix: Path, packages: Mapping[str, str | tuple[str, str]]) -> None:
        self.packages = dict(packages)
        self.gains: dict[str, str] = {}
        self.endings: list[Finished] = []
        self.calls: list[list[str]] = []
        self.variables: list[Mapping[str, str]] = []
        (prefix / "bin").mkdir(parents=True)
        for program in ("python", "uv"):
            (prefix / "bin" / program).touch()

    def __call__(self, argv: Sequence[str], stdin: str, variables: Mapping[str, str], timeout: float) -> Finished:
        if stdin:
            pairs = {name: [v, v] if isinstance(v, str) else list(v) for name, v in self.packages.items()}
            facts = {"packages": pairs, "unfinished": {}}
            return Finished(0, json.dumps({"section": "packages", "facts": facts}) + "\n")
        self.calls.append([Path(argv[0]).name, *argv[1:]])
        self.variables.append(variables)
        ending = self.endings.pop(0) if self.endings else DONE
        if ending.rc == 0:
            self.packages.update(self.gains)
        return ending


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "env"


def _wish(prefix: Path, *packages: str) -> Wish:
    return Wish(str(prefix), [parse(text) for text in packages], installer="auto", uv_version="0.13.8")


def _variables(prefix: Path) -> dict[str, str]:
    return {"HOME": str(prefix), "XDG_CONFIG_DIRS": str(prefix), "PIP_CONFIG_FILE": "/dev/null", "PATH": "/usr/bin"}


MATCHING = [
    ({"torch": "2.13.0+cpu"}, ["torch==2.13.0+cpu"]),
    ({"torch": "2.13.0+cpu"}, ["torch==2.13.0"]),
    ({"torch": ("2.13.0", "2.13.0+cu130")}, ["torch==2.13.0+cu130"]),
    ({"torch": ("2.13.0", "2.13.0+cu130")}, ["/srv/torch-2.13.0-cp311-cp311-linux_x86_64.whl"]),
    ({"torch": "2.13.0+cpu", "ninja": "1.13.2"}, ["torch==2.13.0+cpu", "ninja"]),
]


@pytest.mark.parametrize(("packages", "wanted"), MATCHING)
def test_matching_installation_is_left_alone(
    prefix: Path, packages: Mapping[str, str | tuple[str, str]], wanted: list[str]
) -> None:
    node = Node(prefix, packages)
    outcome = apply(node, _wish(prefix, *wanted), _variables(prefix))
    assert (outcome.changes, node.calls) == ({}, [])


REPLACED = [
    ({"torch": "2.13.0+cpu"}, "torch==2.13.0+cu130"),
    ({"torch": "2.12.0+cpu"}, "torch==2.13.0+cpu"),
    ({"torch": ("2.13.0", "2.13.0+cu130")}, "torch==2.13.0+cu126"),
    ({}, "torch==2.13.0+cpu"),
]


@pytest.mark.parametrize(("packages", "wanted"), REPLACED)
def test_other_version_or_build_is_replaced(
    prefix: Path, packages: Mapping[str, str | tuple[str, str]], wanted: str
) -> None:
    node = Node(prefix, packages)
    node.gains = {"torch": parse(wanted).version}
    outcome = apply(node, _wish(prefix, wanted), _variables(prefix))
    assert outcome.changes["torch"][1] == parse(wanted).version
    assert wanted in node.calls[0]


def test_what_matches_is_pinned_while_the_rest_is_installed(prefix: Path) -> None:
    node = Node(prefix, {"torch": ("2.13.0", "2.13.0+cu130")})
    node.gains = {"torchvision": "0.28.0+cu130"}
    apply(node, _wish(prefix, "torch==2.13.0+cu130", "torchvision==0.28.0+cu130"), _variables(prefix))
    assert node.calls[0][-2:] == ["torchvision==0.28.0+cu130", "torch==2.13.0"]


def test_check_mode_says_what_would_change_and_changes_nothing(prefix: Path) -> None:
    node = Node(prefix, {"torch": "2.12.0+cpu"})
    outcome = apply(node, _wish(prefix, "torch==2.13.0+cpu", "ninja"), _variables(prefix), dry=True)
    assert outcome.changes == {"torch": ("2.12.0+cpu", "2.13.0+cpu"), "ninja": ("", "some version")}
    assert node.calls == []


def test_missing_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentMissing, match="no Python environment at"):
        apply(lambda *_arguments: DONE, _wish(tmp_path / "none", "ninja"), {})


def test_uv_receives_what_pip_is_configured_with(prefix: Path) -> None:
    node = Node(prefix, {})
    node.gains = {"ninja": "1.13.2"}
    variables = {**_variables(prefix), "PIP_FIND_LINKS": "/wheels /opt/wheelhouse", "PIP_CERT": "/ca.pem"}
    apply(node, _wish(prefix, "ninja"), variables)
    assert [part for part in node.calls[0] if part.startswith("--find-links")] == [
        "--find-links=/wheels",
        "--find-links=/opt/wheelhouse",
    ]
    assert node.variables[0]["SSL_CERT_FILE"] == "/ca.pem"


BUILDS = [
    ("uv", ["--no-build-isolation", "--no-cache", "--no-binary=deepspeed"]),
    ("pip", ["--no-build-isolation", "--no-cache-dir", "--no-binary=deepspeed"]),
]


@pytest.mark.parametrize(("installer", "options"), BUILDS)
def test_build_with_switches_sees_the_environment_and_no_cache(
    prefix: Path, installer: str, options: list[str]
) -> None:
    node = Node(prefix, {})
    node.gains = {"deepspeed": "0.19.8"}
    wish = replace(
        _wish(prefix, "deepspeed==0.19.8"),
        installer=installer,
        build_isolation=False,
        from_source=["deepspeed"],
        cache=False,
        environment={"DS_BUILD_SHM_COMM": "1"},
    )
    apply(node, wish, _variables(prefix))
    assert set(options) <= set(node.calls[0])
    assert node.variables[0]["DS_BUILD_SHM_COMM"] == "1"
    assert node.variables[0]["PATH"].startswith(f"{prefix}/bin:")
    assert int(node.variables[0]["MAX_JOBS"]) >= 1


def test_older_pip_does_not_fall_back_to_setup_py(prefix: Path) -> None:
    node = Node(prefix, {})
    node.gains = {"hjson": "3.1.0"}
    apply(node, replace(_wish(prefix, "hjson==3.1.0"), installer="pip"), _variables(prefix))
    assert node.variables[0]["PIP_USE_PEP517"] == "1"


REINSTALLS = [
    ("uv", [["--reinstall-package=deepspeed"]]),
    ("pip", [["--force-reinstall", "--no-deps"], []]),
]


@pytest.mark.parametrize(("installer", "calls"), REINSTALLS)
def test_matching_installation_is_built_again_on_request(prefix: Path, installer: str, calls: list[list[str]]) -> None:
    node = Node(prefix, {"deepspeed": "0.19.8"})
    wish = replace(_wish(prefix, "deepspeed==0.19.8"), installer=installer, reinstall=True)
    outcome = apply(node, wish, _variables(prefix))
    assert outcome.changes == {"deepspeed": ("0.19.8", "0.19.8")}
    assert len(node.calls) == len(calls)
    for call, options in zip(node.calls, calls):
        assert set(options) <= set(call)


def test_uv_is_brought_in_by_pip_where_it_is_missing(prefix: Path) -> None:
    node = Node(prefix, {})
    (prefix / "bin" / "uv").unlink()
    node.gains = {"uv": "0.13.8", "ninja": "1.13.2"}
    outcome = apply(node, _wish(prefix, "ninja"), _variables(prefix))
    assert [call[0] for call in node.calls] == ["python", "uv"]
    assert node.calls[0][-1] == "uv==0.13.8"
    assert outcome.installer == "uv"


def test_pip_takes_over_with_a_warning_where_uv_cannot_be_had(prefix: Path) -> None:
    node = Node(prefix, {})
    (prefix / "bin" / "uv").unlink()
    node.gains = {"ninja": "1.13.2"}
    node.endings = [Finished(1, "", "ERROR: No matching distribution found for uv==0.13.8")]
    outcome = apply(node, _wish(prefix, "ninja"), _variables(prefix))
    assert outcome.installer == "pip"
    assert "No matching distribution found for uv==0.13.8; pip is used" in outcome.warnings[0]


def test_uv_that_is_demanded_and_cannot_be_had_is_an_error(prefix: Path) -> None:
    node = Node(prefix, {})
    (prefix / "bin" / "uv").unlink()
    node.endings = [Finished(1, "", "No module named pip")]
    with pytest.raises(PackagesError, match=r"uv 0\.13\.8 cannot be installed .* No module named pip"):
        apply(node, replace(_wish(prefix, "ninja"), installer="uv"), _variables(prefix))


UV_OTHER_PYTHON = """\
  cause: Because torch==2.13.0+cpu has no wheels with a matching Python ABI tag (e.g., `cp313`) and you require it

hint: You require CPython 3.13 (`cp313`), but we only found wheels for `torch` (v2.13.0+cpu) with the following \
Python ABI tags: `cp310`, `cp311`
"""
UV_ABSENT = (
    "  cause: Because there is no version of torch==2.13.0+cpu and you require torch==2.13.0+cpu, we can conclude"
)
PIP_OFFERS = Finished(
    1, "", "ERROR: Could not find a version that satisfies torch==0+x (from versions: 2.12.0, 2.14.0)"
)
PIP_NOTHING = Finished(1, "", "ERROR: Could not find a version that satisfies torch==0+x (from versions: none)")
UV_UNREACHABLE = """\
  cause: Failed to fetch: https://me:secret@mirror.example/simple/torch/
  cause: tcp connect error
"""

UV_NO_VISION = """\
  x No solution found when resolving dependencies:
  `-> Because torchvision was not found in the package registry and you require torchvision==0.28.0+cpu, we can
      conclude that your requirements are unsatisfiable.
"""


def test_package_that_can_be_left_out_is_named_with_how(prefix: Path) -> None:
    optional = {"torchvision": "torch_torchvision_version: none"}
    wish = replace(_wish(prefix, "torch==2.13.0+cpu", "torchvision==0.28.0+cpu"), optional=optional)
    node = Node(prefix, {})
    node.endings = [Finished(1, "", UV_NO_VISION), PIP_NOTHING]
    with pytest.raises(PackagesError) as caught:
        apply(node, wish, _variables(prefix))
    assert "no index or folder that this node uses has torchvision==0.28.0+cpu" in str(caught.value)
    assert "or leave it out (torch_torchvision_version: none)." in str(caught.value)


FAILURES = [
    ([Finished(1, "", UV_OTHER_PYTHON)], ["torch 2.13.0+cpu has no wheel for CPython 3.13", "cp310, cp311"]),
    ([Finished(1, "", UV_ABSENT), PIP_OFFERS], ["the nearest there are 2.12.0, 2.14.0"]),
    ([Finished(1, "", UV_ABSENT), PIP_NOTHING], ["no version of torch at all"]),
    ([Finished(1, "", UV_UNREACHABLE)], ["https://***@mirror.example/simple/torch/ cannot be reached"]),
    (
        [Finished(1, "", "error: failed to copy x\n  Caused by: No space left on device (os error 28)")],
        ["disk is full"],
    ),
    ([Finished(None)], ["within 3600 s"]),
    ([Finished(1, "", "c++: fatal error: Killed signal terminated program cc1plus")], ["Killed signal"]),
    ([DONE], ["reported success, and yet", "torch in no version"]),
]


@pytest.mark.parametrize(("endings", "words"), FAILURES)
def test_failure_is_a_sentence_that_names_package_environment_and_reason(
    prefix: Path, endings: list[Finished], words: list[str]
) -> None:
    node = Node(prefix, {})
    node.endings = list(endings)
    with pytest.raises(PackagesError) as caught:
        apply(node, _wish(prefix, "torch==2.13.0+cpu"), _variables(prefix))
    for part in ["torch", str(prefix), *words]:
        assert part in str(caught.value)
    assert "secret" not in str(caught.value)


# As uv 0.13.8 and pip 26.1 say it.
UV_EXCHANGE = """\
  x No solution found when resolving dependencies:
  `-> Because only greedy==1.0 is available and greedy==1.0 depends on torch==2.12.0, we can conclude that all versions
      of greedy depend on torch==2.12.0.
      And because you require greedy and torch==2.13.0+cpu, we can conclude that your requirements are unsatisfiable.
"""
PIP_EXCHANGE = """\
INFO: pip is looking at multiple versions of greedy to determine which version is compatible
The conflict is caused by:
    The user requested torch==2.13.0+cpu
    greedy 1.0 depends on torch<2.13,>=2.1

To fix this you could try to:
"""
EXCHANGES = [
    ("uv", Finished(1, "", UV_EXCHANGE), "greedy 1.0 wants torch==2.12.0."),
    ("pip", Finished(1, PIP_EXCHANGE, "ERROR: ResolutionImpossible"), "greedy 1.0 wants torch<2.13,>=2.1."),
]


@pytest.mark.parametrize(("installer", "ending", "words"), EXCHANGES)
def test_what_would_exchange_a_kept_package_is_named(
    prefix: Path, installer: str, ending: Finished, words: str
) -> None:
    node = Node(prefix, {"torch": "2.13.0+cpu"})
    node.endings = [ending]
    wish = replace(_wish(prefix, "greedy"), installer=installer, keep=["torch"])
    with pytest.raises(PackagesError) as caught:
        apply(node, wish, _variables(prefix))
    for part in ("torch 2.13.0+cpu, which is there and stays", words, "install the torch that is wanted first"):
        assert part in str(caught.value)


WANTED = [
    ("torch", UV_EXCHANGE, [("greedy 1.0", "torch==2.12.0")]),
    ("torch", PIP_EXCHANGE, [("greedy 1.0", "torch<2.13,>=2.1")]),
    ("torch", "a 1 depends on torchvision==0.28.0", []),
    ("torchvision", "a[x]==1 depends on torchvision==0.28.0", [("a[x] 1", "torchvision==0.28.0")]),
    ("flash-attn", "Because fastchat==0.2 depends on flash_attn>=2.0.", [("fastchat 0.2", "flash_attn>=2.0")]),
    ("torch", "nothing of the kind", []),
]


@pytest.mark.parametrize(("kept", "said", "pairs"), WANTED)
def test_who_wants_what_is_read_from_both_installers(kept: str, said: str, pairs: list[tuple[str, str]]) -> None:
    assert wanted_of(kept, said) == pairs


def test_kept_packages_take_part_as_they_are_and_absent_ones_do_not(prefix: Path) -> None:
    node = Node(prefix, {"torch": ("2.13.0", "2.13.0+cu130"), "deepspeed": "0.19.8", "numpy": "2.4.6"})
    node.gains = {"tqdm": "4.70.1"}
    apply(node, replace(_wish(prefix, "tqdm"), keep=["Torch", "deepspeed", "apex"]), _variables(prefix))
    assert node.calls[0][-3:] == ["tqdm", "torch==2.13.0", "deepspeed==0.19.8"]


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_packages_need_can_be_left_out(prefix: Path, installer: str) -> None:
    node = Node(prefix, {})
    node.gains = {"tqdm": "4.70.1"}
    apply(node, replace(_wish(prefix, "tqdm"), installer=installer, dependencies=False), _variables(prefix))
    assert "--no-deps" in node.calls[0]


def test_package_that_is_asked_for_is_not_kept(prefix: Path) -> None:
    node = Node(prefix, {"torch": "2.12.0+cpu"})
    node.gains = {"torch": "2.13.0+cpu"}
    outcome = apply(node, replace(_wish(prefix, "torch==2.13.0+cpu"), keep=["torch"]), _variables(prefix))
    assert outcome.changes == {"torch": ("2.12.0+cpu", "2.13.0+cpu")}


def test_kept_package_that_moved_nevertheless_is_an_error(prefix: Path) -> None:
    node = Node(prefix, {"torch": "2.13.0+cpu"})
    node.gains = {"tqdm": "4.70.1", "torch": "2.12.0"}
    with pytest.raises(PackagesError, match=r"exchanged torch 2\.13\.0\+cpu in .* for 2\.12\.0"):
        apply(node, replace(_wish(prefix, "tqdm"), keep=["torch"]), _variables(prefix))


def test_conflict_that_has_nothing_to_do_with_what_is_kept_stays_what_it_is(prefix: Path) -> None:
    node = Node(prefix, {"torch": "2.13.0+cpu"})
    node.endings = [Finished(1, "", "Because a==1 depends on torch>=2.0 and b==2 does not exist")]
    with pytest.raises(PackagesError) as caught:
        apply(node, replace(_wish(prefix, "a"), keep=["torch"]), _variables(prefix))
    assert "which is there and stays" not in str(caught.value)


def test_file_that_is_not_on_the_node_is_named(prefix: Path) -> None:
    node = Node(prefix, {})
    with pytest.raises(PackagesError, match=r"/srv/none-1\.0-py3-none-any\.whl is not on this node"):
        apply(node, _wish(prefix, "/srv/none-1.0-py3-none-any.whl"), _variables(prefix))


def test_folder_of_wheels_that_is_not_on_the_node_is_named(prefix: Path) -> None:
    node = Node(prefix, {})
    with pytest.raises(PackagesError, match="/srv/nowhere is not on this node"):
        wish = replace(_wish(prefix, "ninja"), sources=Sources(find_links=("/srv/nowhere",)))
        apply(node, wish, _variables(prefix))
