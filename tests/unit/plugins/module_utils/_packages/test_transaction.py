# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._packages.transaction import (
    Package,
    Plan,
    Spec,
    TransactionError,
    Wish,
    bring,
    chosen,
    missing,
    parse,
)

# What a task names -> name and version.
SPECS = {
    "nvidia-open": Spec("nvidia-open"),
    " nvidia-open=580.95.05-1 ": Spec("nvidia-open", "580.95.05-1"),
    "nvidia-open=580*": Spec("nvidia-open", "580*"),
    "libc6:i386": Spec("libc6:i386"),
    "dkms=1:3.2.1-1": Spec("dkms", "1:3.2.1-1"),
}
NO_SPECS = ["", "=1", "name=", "nvidia-*", "two words", "./file.deb", "!name"]

# A wanted version, one that is there, and whether that will do.
VERSIONS = [
    ("", "1.0", True),
    ("1.0", "1.0", True),
    ("1.0", "1.0-1", False),
    ("580*", "580.95.05-1", True),
    ("580*", "590.48.01-1", False),
    ("3.2.1-1", "1:3.2.1-1", True),
    ("2:3.2.1-1", "1:3.2.1-1", False),
    ("580*", "3:580.95.05-1.el9", True),
]

INSTALLED = ["libc6", "libnvidia-compute-450", "libnvidia-compute-450:i386", "libnvidia-container1", "nvidia-dkms-450"]
PATTERNS = [
    (["*nvidia*-450"], ["libnvidia-compute-450", "libnvidia-compute-450:i386", "nvidia-dkms-450"]),
    (["*nvidia*", "!*container*"], ["libnvidia-compute-450", "libnvidia-compute-450:i386", "nvidia-dkms-450"]),
    (["libnvidia-compute-450:i386"], ["libnvidia-compute-450:i386"]),
    (["nvidia-driver-450"], []),
    (["!*"], []),
    ([], []),
]


class Node:
    """A manager whose plan is what a test says, and which remembers what it was told."""

    def __init__(self, installed: dict[str, Package], plan: Plan | None = None) -> None:
        self.packages, self.planned = dict(installed), plan or Plan()
        self.told: list[str] = []
        self.damage, self.fails, self.mending = "", "", "dpkg --configure -a"
        self.beyond: Sequence[str] = ()
        self.lists_fetched, self.warnings = False, list[str]()

    def installed(self) -> dict[str, Package]:
        return dict(self.packages)

    def damaged(self) -> str:
        return self.damage

    def repair(self) -> Sequence[str]:
        self.told.append("repair")
        self.damage = ""
        if not self.beyond:
            self.packages = {name: replace(package, whole=True) for name, package in self.packages.items()}
        return self.beyond

    def switch(self, streams: Sequence[str], *, dry: bool) -> list[str]:
        self.told += [] if dry or not streams else [f"enable {' '.join(streams)}"]
        return list(streams)

    def undo(self) -> None:
        self.told.append("undo")

    def plan(self, install: Sequence[Spec], remove: Sequence[str], unhold: Sequence[str], *, dry: bool) -> Plan:
        self.told.append(f"plan +{' '.join(map(str, install))} -{' '.join(remove)} ~{' '.join(unhold)}")
        return self.planned

    def carry_out(self, plan: Plan) -> None:
        self.told.append("carry out")
        if self.fails:
            raise TransactionError(self.fails)
        for name, (_before, after) in plan.changes.items():
            if after:
                self.packages[name] = replace(self.packages.get(name, Package("")), version=after, whole=True)
            else:
                del self.packages[name]

    def mark(self, hold: Sequence[str], unhold: Sequence[str]) -> None:
        self.told.append(f"mark +{' '.join(hold)} -{' '.join(unhold)}")
        for name in (*hold, *unhold):
            self.packages[name] = replace(self.packages[name], held=name in hold)


OLD = {"nvidia-driver-450": Package("450.80"), "libnvidia-450": Package("450.80"), "bash": Package("5.2")}
EXCHANGE = Plan(
    {"nvidia-driver-450": ("450.80", ""), "libnvidia-450": ("450.80", ""), "nvidia-open": ("", "580.95")},
    command=["apt-get", "install"],
)
WISH = Wish(install=[Spec("nvidia-open", "580*")], remove=["*nvidia*-450"], hold=["nvidia-*"])


@pytest.mark.parametrize(("text", "spec"), SPECS.items())
def test_a_package_is_named_with_or_without_its_version(text: str, spec: Spec) -> None:
    assert parse(text) == spec


@pytest.mark.parametrize("text", NO_SPECS)
def test_what_names_no_package_is_refused(text: str) -> None:
    with pytest.raises(TransactionError, match="is no package to install"):
        parse(text)


@pytest.mark.parametrize(("wanted", "present", "fits"), VERSIONS)
def test_a_version_is_exact_or_a_pattern_and_needs_no_epoch(wanted: str, present: str, fits: bool) -> None:
    assert Spec("name", wanted).accepts(present) is fits


@pytest.mark.parametrize(("patterns", "names"), PATTERNS)
def test_patterns_mean_what_is_installed(patterns: list[str], names: list[str]) -> None:
    assert chosen(INSTALLED, patterns) == names


def test_a_virtual_name_is_satisfied_by_whoever_provides_it() -> None:
    installed = {"real": Package("1", provides=frozenset({"virtual"}))}
    assert missing([Spec("virtual")], installed) == []
    assert missing([Spec("virtual", "1")], installed) == [Spec("virtual", "1")]


def test_a_damaged_package_is_missing() -> None:
    assert missing([Spec("name")], {"name": Package("1", whole=False)}) == [Spec("name")]


def test_everything_happens_at_once() -> None:
    node = Node(OLD, EXCHANGE)
    outcome = bring(node, WISH)
    assert node.told == [
        "plan +nvidia-open=580* -libnvidia-450 nvidia-driver-450 ~",
        "carry out",
        "mark +nvidia-open -",
    ]
    assert outcome.changes == EXCHANGE.changes
    assert outcome.marked(True) == ["nvidia-open"]


def test_a_second_run_does_nothing() -> None:
    node = Node(OLD, EXCHANGE)
    bring(node, WISH)
    node.told.clear()
    outcome = bring(node, WISH)
    assert node.told == []
    assert (outcome.changes, outcome.marked(True), list(outcome.command)) == ({}, [], [])


def test_check_mode_foresees_the_same_and_does_nothing() -> None:
    node = Node(OLD, EXCHANGE)
    outcome = bring(node, WISH, dry=True)
    assert node.told == ["plan +nvidia-open=580* -libnvidia-450 nvidia-driver-450 ~"]
    assert outcome.changes == EXCHANGE.changes
    assert outcome.marked(True) == ["nvidia-open"]


def test_what_is_wanted_stays_though_a_pattern_would_remove_it() -> None:
    node = Node({"nvidia-open": Package("580.95"), **OLD}, Plan({"libnvidia-450": ("450.80", "")}))
    with pytest.raises(TransactionError, match="is still installed"):
        bring(node, replace(WISH, remove=["*nvidia*"]))
    assert node.told[0] == "plan + -libnvidia-450 nvidia-driver-450 ~"


REFUSED = [
    (Plan({"bash": ("5.2", "")}), "would also remove bash, which nobody asked for"),
    (Plan({"bash": ("5.2", "")}, essential=frozenset({"bash"})), "remove bash, without which the system does not work"),
    (Plan({"bash": ("5.2", "5.1")}, downgraded=frozenset({"bash"})), "older version: bash; set allow_downgrade"),
    (Plan({"bash": ("5.2", "5.3")}, held=frozenset({"bash"})), "packages that are held: bash; name them in unhold"),
]


@pytest.mark.parametrize(("plan", "sentence"), REFUSED)
def test_a_plan_that_does_more_than_was_asked_is_refused(plan: Plan, sentence: str) -> None:
    node = Node(OLD, plan)
    with pytest.raises(TransactionError, match=sentence):
        bring(node, WISH)
    assert "carry out" not in node.told


def test_leave_can_be_given_for_each() -> None:
    plan = Plan(
        {"bash": ("5.2", ""), **EXCHANGE.changes}, frozenset({"nvidia-open"}), frozenset({"nvidia-open"}), command=["x"]
    )
    wish = replace(WISH, allow_removing=["ba*"], allow_downgrade=True, allow_held=True)
    assert "bash" not in bring(Node(OLD, plan), wish).after


def test_essential_packages_stay_whatever_is_allowed() -> None:
    plan = Plan({"bash": ("5.2", "")}, essential=frozenset({"bash"}))
    with pytest.raises(TransactionError, match="without which the system does not work"):
        bring(Node(OLD, plan), replace(WISH, allow_removing=["*"], remove=["bash"]))


def test_what_was_held_is_held_again_where_it_fails() -> None:
    node = Node({name: replace(package, held=name != "bash") for name, package in OLD.items()}, EXCHANGE)
    node.fails = "no space"
    with pytest.raises(TransactionError, match="no space"):
        bring(node, replace(WISH, unhold=["*nvidia*"]))
    assert node.told[1:] == [
        "mark + -libnvidia-450 nvidia-driver-450",
        "carry out",
        "mark +libnvidia-450 nvidia-driver-450 -",
        "undo",
    ]


def test_holding_what_is_released_at_once_changes_nothing() -> None:
    node = Node({"nvidia-open": Package("580.95", held=True)})
    outcome = bring(node, replace(WISH, unhold=["*nvidia*"]))
    assert node.told == []
    assert (outcome.marked(True), outcome.marked(False)) == ([], [])


def test_streams_come_before_the_plan_and_go_where_it_is_refused() -> None:
    node = Node(OLD, Plan({"bash": ("5.2", "")}))
    with pytest.raises(TransactionError):
        bring(node, replace(WISH, streams=["nvidia-driver:580-open"]))
    assert (node.told[0], node.told[-1]) == ("enable nvidia-driver:580-open", "undo")


BROKEN = {**OLD, "other": Package("1", whole=False)}


def test_what_keeps_the_manager_from_working_is_named() -> None:
    with pytest.raises(TransactionError, match=r"^other is not fully installed, and no package can be installed"):
        bring(Node(BROKEN, EXCHANGE), replace(WISH, repair=False))
    node = Node(OLD, EXCHANGE)
    node.damage = "dpkg was interrupted on this node"
    with pytest.raises(TransactionError, match=r"^dpkg was interrupted on this node, and no package"):
        bring(node, replace(WISH, repair=False))


def test_it_is_mended_where_that_is_wanted() -> None:
    node = Node(BROKEN, EXCHANGE)
    assert bring(node, WISH).repaired == ["other"]
    assert node.told[0] == "repair"
    interrupted = Node(OLD, EXCHANGE)
    interrupted.damage = "dpkg was interrupted on this node"
    assert bring(interrupted, WISH).repaired == ["dpkg was interrupted on this node"]


def test_check_mode_says_what_it_would_mend_and_mends_nothing() -> None:
    node = Node(BROKEN, EXCHANGE)
    assert bring(node, WISH, dry=True).repaired == ["other"]
    assert "repair" not in node.told


def test_what_cannot_be_mended_is_named_before_anything_else_changes() -> None:
    node = Node(BROKEN, EXCHANGE)
    node.beyond = ["other"]
    with pytest.raises(TransactionError, match="other could not be brought to a whole state by 'dpkg --configure -a'"):
        bring(node, WISH)
    assert node.told == ["repair"]


def test_a_damaged_package_that_goes_anyway_needs_no_repair() -> None:
    broken = {**OLD, "libnvidia-450": Package("450.80", whole=False)}
    node = Node(broken, EXCHANGE)
    assert bring(node, WISH).repaired == []
    assert "libnvidia-450" not in node.packages


def test_a_damaged_node_is_left_alone_where_nothing_is_to_do() -> None:
    node = Node({"nvidia-open": Package("580.95", held=True), "other": Package("1", whole=False)})
    assert bring(node, WISH).changes == {}


def test_a_manager_that_says_it_did_is_not_believed() -> None:
    node = Node(OLD, replace(EXCHANGE, changes={}))
    with pytest.raises(
        TransactionError, match="reported success, and yet nvidia-open=580\\* is not installed that way"
    ):
        bring(node, WISH)


@pytest.mark.parametrize(
    ("named", "advised"),
    [
        pytest.param("No package python3.11-dev is in the sources of this node (none).", True, id="apt"),
        pytest.param("No package python3.11-dev, g++ is in the repositories of this node.", True, id="several"),
        pytest.param("No package libpython3.11-dev-extra is in the sources of this node.", False, id="another name"),
        pytest.param("No package g++ is in the sources of this node (none).", False, id="another package"),
    ],
)
def test_package_that_cannot_be_had_comes_with_advice(monkeypatch, named, advised):
    def plan(*_specs, dry):
        raise TransactionError(named)

    node = Node({})
    monkeypatch.setattr(node, "plan", plan)
    wish = Wish(install=[Spec("g++"), Spec("python3.11-dev")], advice={"python3.11-dev": "Take another Python."})
    with pytest.raises(TransactionError) as caught:
        bring(node, wish)
    assert str(caught.value) == (f"{named} Take another Python." if advised else named)
