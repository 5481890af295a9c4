from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._ssh import sshd_config as sshd

FOLDER = sshd.SSHD_FOLDER

INCLUDES = {
    "Debian": ("\nInclude /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n", True),
    "relative, in small letters": ("include sshd_config.d/*.conf\n", True),
    "one of several": ('Include /etc/a.conf "/etc/ssh/sshd_config.d/*.conf"\n', True),
    "with a sign": ("Include=/etc/ssh/sshd_config.d/*.conf\n", True),
    "commented out": ("#Include /etc/ssh/sshd_config.d/*.conf\n", False),
    "another folder": ("Include /etc/ssh/other.d/*.conf\n", False),
    "other endings": ("Include /etc/ssh/sshd_config.d/*.config\n", False),
    "only for some users": ("Match User bob\nInclude /etc/ssh/sshd_config.d/*.conf\n", False),
    "an old sshd_config": ("Port 22\n", False),
    "nothing": ("", False),
}


@pytest.mark.parametrize(("text", "included"), INCLUDES.values(), ids=INCLUDES.keys())
def test_a_drop_in_is_written_only_where_it_is_read(text: str, included: bool) -> None:
    assert sshd.includes_folder(text, FOLDER) is included


def test_directives_of_included_files_count_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.conf").write_text("HostKey /first\n", encoding="utf-8")
    main = tmp_path / "sshd_config"
    main.write_text(f"Include {tmp_path}/d/*.conf\nHostKey /second # why\n", encoding="utf-8")
    assert list(sshd.all_directives(main)) == [("hostkey", ["/first"]), ("hostkey", ["/second"])]


def test_a_configuration_that_includes_itself_comes_to_an_end(tmp_path: Path) -> None:
    main = tmp_path / "sshd_config"
    main.write_text(f"Include {main}\nPort 22\n", encoding="utf-8")
    assert ("port", ["22"]) in list(sshd.all_directives(main))


def test_host_keys_are_those_that_sshd_is_told_to_show() -> None:
    assert sshd.host_key_files([("hostkey", ["/k/a"])]) == [Path("/k/a.pub")]
    assert Path("/etc/ssh/ssh_host_ed25519_key.pub") in sshd.host_key_files([("port", ["22"])])


PLACES = {
    "the default": ([], False),
    "named": ([("authorizedkeysfile", [".ssh/authorized_keys", ".ssh/authorized_keys2"])], False),
    "by home": ([("authorizedkeysfile", ["%h/.ssh/authorized_keys"])], False),
    "elsewhere": ([("authorizedkeysfile", ["/etc/ssh/keys/%u"])], True),
    "elsewhere for some": ([("match", ["user", "bob"]), ("authorizedkeysfile", ["/etc/ssh/keys/%u"])], False),
}


@pytest.mark.parametrize(("found", "elsewhere"), PLACES.values(), ids=PLACES.keys())
def test_an_sshd_that_looks_elsewhere_for_keys_is_named(found: list[sshd.Directive], elsewhere: bool) -> None:
    assert bool(sshd.authorized_keys_problem(found)) is elsewhere


VERSIONS = {
    "OpenSSH_9.2p1 Debian-2+deb12u6, OpenSSL 3.0.19": (9, 2),
    "OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1": (10, 0),
    "Sun_SSH_1.1": (0, 0),
}


@pytest.mark.parametrize(("banner", "version"), VERSIONS.items())
def test_versions_of_openssh_are_numbers(banner: str, version: tuple[int, int]) -> None:
    assert sshd.openssh_version(banner) == version


LIMITS = {
    "two nodes": (2, (9, 2), "MaxStartups 64:30:128"),
    "two hundred nodes": (200, (9, 2), "MaxStartups 400:30:800"),
}


@pytest.mark.parametrize(("nodes", "version", "line"), LIMITS.values(), ids=LIMITS.keys())
def test_limits_grow_with_the_cluster(nodes: int, version: tuple[int, int], line: str) -> None:
    assert line in sshd.sshd_limits(nodes, ["10.0.0.0/24"], version).splitlines()


@pytest.mark.parametrize(("version", "knows"), [((9, 7), False), ((9, 8), True), ((10, 0), True), ((0, 0), False)])
def test_only_an_sshd_that_knows_penalties_is_told_whom_to_spare(version: tuple[int, int], knows: bool) -> None:
    text = sshd.sshd_limits(2, ["10.0.0.0/24", "fd00::/64"], version)
    assert ("PerSourcePenaltyExemptList 10.0.0.0/24,fd00::/64" in text) is knows
    assert "PerSourcePenaltyExemptList" not in sshd.sshd_limits(2, [], version)
