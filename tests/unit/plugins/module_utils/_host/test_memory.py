# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.memory import GIB, available, compilers

CASES = [
    ({"proc/meminfo": "MemTotal: 1 kB\nMemAvailable:    8388608 kB\n"}, 8 * GIB),
    (
        {
            "proc/meminfo": "MemAvailable: 8388608 kB\n",
            "sys/fs/cgroup/memory.max": f"{4 * GIB}\n",
            "sys/fs/cgroup/memory.current": f"{GIB}\n",
        },
        3 * GIB,
    ),
    (
        {
            "proc/meminfo": "MemAvailable: 8388608 kB\n",
            "sys/fs/cgroup/memory.max": "max\n",
            "sys/fs/cgroup/memory.current": "1\n",
        },
        8 * GIB,
    ),
    (
        {
            "proc/meminfo": "MemAvailable: 8388608 kB\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{2 * GIB}\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{3 * GIB}\n",
        },
        0,
    ),
    (
        {
            "proc/meminfo": "MemAvailable: 8388608 kB\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "1\n",
        },
        8 * GIB,
    ),
    ({}, 0),
]


@pytest.mark.parametrize(("files", "free"), CASES)
def test_memory_is_what_kernel_and_control_group_leave(tmp_path, files, free):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert available(tmp_path) == free


@pytest.mark.parametrize(
    ("cores", "free", "each", "count"),
    [(16, 64 * GIB, 2, 16), (16, 8 * GIB, 2, 4), (16, GIB, 2, 1), (16, 0, 2, 1), (16, 8 * GIB, 8, 1), (4, 0, 0, 4)],
)
def test_compilers_have_memory_each_and_one_always_runs(cores, free, each, count):
    assert compilers(cores, free, each) == count
