"""What a site may offer its nodes beside packages: a conda installer with its channel, and wheels built beforehand."""

from __future__ import annotations

from dataclasses import replace

from sandbox.nodes import Cluster
from sandbox.shell import BUILD


def conda(cluster: Cluster) -> Cluster:
    """The nodes find the stand-in installer and its channel on disk; the inventory names them."""
    from sandbox import conda as standin

    made = standin.build(BUILD / "conda")
    variables = {
        "conda_installer_url": made.installer.as_uri(),
        "conda_installer_checksum": made.sha256,
        "conda_channels": [made.channel.as_uri()],
    }
    return replace(cluster, mounts=[*cluster.mounts, BUILD / "conda"], variables={**cluster.variables, **variables})


def wheels(cluster: Cluster) -> Cluster:
    """pip on the nodes finds DeepSpeed with its shared-memory op already compiled."""
    from sandbox import wheelhouse

    return replace(cluster, find_links=[*cluster.find_links, wheelhouse.build(BUILD / "wheelhouse", cluster.image)])
