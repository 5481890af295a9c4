# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path

import yaml

from sandbox import typed

ROOT = Path(__file__).parents[3]


def test_a_run_ends_with_the_commands_of_the_readme() -> None:
    lines = yaml.safe_load((ROOT / "roles/verify/vars/main.yml").read_text(encoding="utf-8"))["__verify_next"]
    commands = [line.strip() for line in lines if line.startswith("  ")]
    values = {
        "{{ verify_prefix }}": "/opt/fromzero",
        "{{ __verify_verdict.summary.config }}": "/opt/fromzero/etc/ds_config.json",
    }
    for name, value in values.items():
        commands = [command.replace(name, value) for command in commands]
    assert commands == typed.blocks(ROOT / "README.md")[0].splitlines()
