# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.filter.ssh_targets import ssh_targets

# nodes, addresses, own names, the names to try
LISTED = [
    (["a"], ["192.0.2.1"], ["gpu"], ["a", "192.0.2.1", "gpu"]),
    (["a"], ["192.0.2.1"], ["a"], ["a", "192.0.2.1"]),
    (["192.0.2.1"], ["192.0.2.1"], [""], ["192.0.2.1"]),
    (["a"], [None], [None], ["a"]),
    (["a", "b"], ["", ""], ["ubuntu", "ubuntu"], ["a", "b"]),
    (["a"], [""], ["localhost.localdomain"], ["a"]),
]


@pytest.mark.parametrize(("nodes", "addresses", "hostnames", "names"), LISTED)
def test_each_name_is_tried_once_where_it_means_one_node(nodes, addresses, hostnames, names):
    assert [target["name"] for target in ssh_targets(nodes, addresses, hostnames)] == names
