# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""NVIDIA's package repository for a node, or what is set in its place. Pure functions over plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._knowledge.data import rows


def repository(facts: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """What the module cuda_repository takes; its C(url) is empty where NVIDIA has none for the system.

    :param facts: ansible_facts, as far as gather_subset min gathers them.
    :param given: repository_url, keyring_url, keyring_checksum, keyring_fingerprint, as a role's variables have them.
        An empty address is NVIDIA's. The fingerprint C(auto) is that of NVIDIA where no checksum is given.
    """
    own = _own(facts)
    url = str(given["repository_url"] or own.get("url", ""))
    fingerprint = str(given["keyring_fingerprint"])
    if fingerprint == "auto":
        fingerprint = "" if given["keyring_checksum"] else own.get("fingerprint", "")
    return {
        "url": url,
        "keyring": str(given["keyring_url"] or (f"{url}/{own['keyring']}" if url and own else "")),
        "checksum": str(given["keyring_checksum"]),
        "fingerprint": fingerprint,
    }


def _own(facts: Mapping[str, Any]) -> dict[str, str]:
    """NVIDIA's own for the system; empty where it has none."""
    table = rows("cuda_repositories")
    distribution, family = facts.get("distribution"), facts.get("os_family")
    for row in table["repositories"]:
        # Debian is a distribution and the family of others: only the families of others count.
        if distribution in row["distributions"] or (family != "Debian" and family in row["distributions"]):
            release, machine = str(facts["distribution_version"]), str(facts["architecture"])
            folder = row["folder"].format(
                major=release.partition(".")[0],
                release=release.replace(".", ""),
                machine="sbsa" if machine == "aarch64" else machine,
            )
            return {"url": f"{table['url']}/{folder}", "keyring": row["keyring"], "fingerprint": row["fingerprint"]}
    return {}
