# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.fromzero.deepspeed.plugins.filter.environment_file import environment_file

VARIABLES = {"GLOO_SOCKET_IFNAME": "eth0", "CUDA_HOME": "/usr/local/cuda", "MOTTO": "two words; $HOME", "FLAG": True}

REFUSED: list[tuple[str, Any]] = [
    ("1ST", "x"),
    ("WITH-DASH", "x"),
    ("COMMENT", "a#b"),
    ("QUOTED", '"a"'),
    ("APOSTROPHE", "it's"),
    ("BACKSLASH", "a\\b"),
    ("LINES", "a\nb"),
    ("SPACE", " a"),
    ("LIST", ["a"]),
]


def test_pam_env_gets_values_as_they_are() -> None:
    assert environment_file(VARIABLES) == (
        "GLOO_SOCKET_IFNAME=eth0\nCUDA_HOME=/usr/local/cuda\nMOTTO=two words; $HOME\nFLAG=1\n"
    )


def test_a_shell_reads_the_same_values() -> None:
    script = (
        environment_file(VARIABLES, shell=True) + 'printf "%s|" "$GLOO_SOCKET_IFNAME" "$CUDA_HOME" "$MOTTO" "$FLAG"'
    )
    result = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout == "eth0|/usr/local/cuda|two words; $HOME|1|"


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_the_two_would_read_differently_is_refused(name: str, value: Any) -> None:
    with pytest.raises(AnsibleFilterError, match=name):
        environment_file({name: value})
