# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import errno
import os

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import about, complaint

REMEDIES = [
    (errno.EROFS, "mount it for writing"),
    (errno.ENOSPC, "make room there"),
    (errno.EDQUOT, "make room there"),
    (errno.EISDIR, "move it away"),
]


@pytest.mark.parametrize(("number", "remedy"), REMEDIES)
def test_each_common_fault_names_its_file_and_a_remedy(number, remedy):
    said = complaint(OSError(number, os.strerror(number), "/etc/hosts"))
    assert said.startswith("/etc/hosts ")
    assert remedy in said


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "job").write_text("")
    with pytest.raises(OSError) as caught:
        (tmp_path / "job" / "deep" / "hostfile").write_text("")
    assert complaint(caught.value).startswith(f"{tmp_path / 'job'} is a file where a folder is needed")


def test_an_error_without_a_path_is_told_of_the_file_that_was_at_work(tmp_path):
    with pytest.raises(OSError) as caught, about(tmp_path / "hostfile"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(tmp_path / "hostfile") in complaint(caught.value)
    assert caught.value.errno == errno.ENOSPC


def test_another_error_keeps_the_words_of_the_system():
    said = complaint(OSError(errno.EACCES, "Permission denied", "/job/hostfile"))
    assert said == "/job/hostfile cannot be read or written: Permission denied."
