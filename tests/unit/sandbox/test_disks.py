"""Disks of nodes: small file systems that outlive the node's end, and go with the cluster."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sandbox import nodes

CLUSTER = nodes.Cluster("some", 2, "image", disks={"/opt": "1g", "/var/tmp": "64m"})


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that were run; nothing is there yet."""
    ran: list[str] = []

    def run(argv: Sequence[str], **_given: object) -> str:
        ran.append(" ".join(argv))
        return ""

    monkeypatch.setattr(nodes, "run", run)
    monkeypatch.setattr(nodes, "works", lambda _argv: False)
    return ran


def test_each_node_has_its_own_disks_of_the_size_that_was_asked(docker: list[str]) -> None:
    nodes._hold_disks(CLUSTER)
    made = [command for command in docker if command.startswith("docker volume create")]
    assert [command.split()[-1] for command in made] == [
        *("fromzero-some-node1-opt", "fromzero-some-node1-var-tmp"),
        *("fromzero-some-node2-opt", "fromzero-some-node2-var-tmp"),
    ]
    assert "o=size=1g,mode=0755" in made[0]
    assert all("--label fromzero.cluster=some" in command for command in docker)


def test_a_container_that_is_no_node_keeps_them(docker: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    nodes._hold_disks(CLUSTER)
    assert "--volume fromzero-some-node2-opt:/disks/fromzero-some-node2-opt" in docker[-1]
    monkeypatch.setattr(nodes, "_containers", lambda _name: ["fromzero-some-disks"])
    monkeypatch.setattr(nodes, "run", lambda _argv: "image ")
    removed: list[str] = []
    monkeypatch.setattr(nodes, "say", removed.append)
    nodes._remove_others(CLUSTER)
    assert removed == []


def test_a_cluster_without_disks_needs_none(docker: list[str]) -> None:
    nodes._hold_disks(nodes.Cluster("some", 2, "image"))
    assert docker == []
