# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which installations of conda are made, adopted, moved aside and refused, with shell scripts for installers."""

from __future__ import annotations

import fcntl
import hashlib
import io
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.installation import (
    BUSY,
    CUT_OFF,
    PRESENT,
    Outcome,
    Wish,
    ensure,
    look,
    mark_of,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.installer import verified
from ansible_collections.fromzero.deepspeed.plugins.module_utils._conda.program import CondaError, Start, starter

CONDA = "#!/bin/sh\necho conda 26.3.2\n"
INSTALLER = f"""
[ "$1 $2" = "-b -p" ] && [ ! -e "$3" ] || exit 9
mkdir -p "$3/bin" "$3/conda-meta"
printf '{CONDA}' > "$3/bin/conda"
chmod 755 "$3/bin/conda"
touch "$3/conda-meta/history"
"""
SUM = "a" * 64
OTHER = "b" * 64
INSTALLER_URL = "https://mirror.example/Miniforge3.sh"

# Checksum as given, text at its address, the sum; None where there is none.
SUMS = [
    (SUM, "", SUM),
    (f"sha256:{SUM.upper()}", "", SUM),
    ("https://mirror.example/sum", f"{SUM}  Miniforge3.sh\n", SUM),
    ("https://mirror.example/sum", f"{SUM} *./Miniforge3.sh\n", SUM),
    ("https://mirror.example/sum", f"{SUM}\n", SUM),
    ("https://mirror.example/sum", f"{SUM}  another-name.sh\n", SUM),
    ("https://mirror.example/sum", f"{OTHER}  Miniforge3-arm.sh\n{SUM}  Miniforge3.sh\n", SUM),
    ("https://mirror.example/sum", f"{OTHER}  one.sh\n{SUM}  two.sh\n", None),
    ("https://mirror.example/sum", "<html>not found</html>", None),
    ("", "", None),
    ("md5:0123", "", None),
]

# What is wished beside a good installer, what the sentence must hold.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"distribution": "miniconda"}, "conda_accept_anaconda_terms"),
    ({"distribution": "anaconda"}, "conda_accept_anaconda_terms"),
    ({"channels": ("conda-forge", "defaults")}, "The channels defaults are Anaconda's"),
    ({"channels": ("https://repo.anaconda.com/pkgs/main",)}, "conda_accept_anaconda_terms"),
    ({"distribution": "existing"}, "conda_distribution: existing installs none"),
    ({"installer": ""}, "set conda_version or conda_installer_url"),
    ({"checksum": ""}, "set conda_installer_checksum"),
    ({"checksum": "123"}, "'123' is no sha256 sum"),
    ({"checksum": SUM}, f"expected {SUM}, found "),
    ({"installer": "/nowhere/conda.sh"}, "/nowhere/conda.sh is not there"),
]

# A prefix of unknown origin as {path: content}, what the sentence must hold.
NOT_ADOPTED: list[tuple[dict[str, str], str]] = [
    ({"thesis.tex": ""}, "holds no conda"),
    ({"pkgs/python/info": ""}, "it has no bin/conda"),
    ({"bin/conda": CONDA, "pkgs/a": ""}, "it has no conda-meta/history"),
    ({"bin/conda": CONDA, "conda-meta/history": "", "install_tmp/a": ""}, "install_tmp"),
    ({"bin/conda": "#!/bin/sh\nexit 3\n", "conda-meta/history": ""}, "bin/conda does not run"),
    ({"bin/conda": "#!/nowhere/python\n", "conda-meta/history": ""}, "bin/conda does not run"),
]


def start(files: tuple[int, ...]) -> Start:
    return starter({}, files)


def no_network(address: str) -> IO[bytes]:
    raise URLError("no network in a unit test")


def no_backup(path: str) -> str:
    raise AssertionError(f"{path} needs no backup")


def wish(tmp_path: Path, script: str = INSTALLER, **other: Any) -> Wish:
    installer = tmp_path / "installer.sh"
    installer.write_text(script)
    digest = hashlib.sha256(script.encode()).hexdigest()
    return Wish(**{"prefix": tmp_path / "opt" / "conda", "installer": str(installer), "checksum": digest, **other})


def run(wanted: Wish, check: bool = False) -> Outcome:
    return ensure(wanted, start, no_network, no_backup, check)


def fill(prefix: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        path = prefix / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(0o755)


def snapshot(folder: Path) -> dict[str, str]:
    return {str(path): path.read_text() if path.is_file() else "" for path in folder.rglob("*")}


def test_an_installation_is_made_once(tmp_path: Path) -> None:
    wanted = wish(tmp_path, condarc="channels: [conda-forge]\n")
    made = run(wanted)
    assert (made.action, made.after.version, made.after.ours) == ("install", "26.3.2", True)
    assert (wanted.prefix / ".condarc").read_text() == wanted.condarc
    assert not mark_of(wanted.prefix).exists()
    before = snapshot(tmp_path)
    assert run(wanted).action == "none"
    assert snapshot(tmp_path) == before


def test_an_empty_folder_does_not_stand_in_the_way(tmp_path: Path) -> None:
    wanted = wish(tmp_path)
    wanted.prefix.mkdir(parents=True)
    assert run(wanted).action == "install"


def test_check_mode_changes_nothing(tmp_path: Path) -> None:
    wanted = wish(tmp_path, condarc="a: 1\n")
    before = snapshot(tmp_path)
    assert run(wanted, check=True).changed
    assert snapshot(tmp_path) == before


def test_a_new_configuration_replaces_the_old_one_which_is_kept(tmp_path: Path) -> None:
    run(wish(tmp_path, condarc="channels: [a]\n"))
    kept: list[str] = []
    wanted = wish(tmp_path, condarc="channels: [b]\n")
    outcome = ensure(wanted, start, no_network, lambda path: kept.append(path) or "copy")
    assert (outcome.action, outcome.backup) == ("configure", "copy")
    assert kept == [str(wanted.prefix / ".condarc")]
    assert (wanted.prefix / ".condarc").read_text() == "channels: [b]\n"


@pytest.mark.parametrize("distribution", ["miniforge", "existing"])
def test_a_working_conda_is_adopted_and_left_exactly_as_it_is(tmp_path: Path, distribution: str) -> None:
    wanted = wish(tmp_path, distribution=distribution, installer="", checksum="", condarc="channels: [b]\n")
    fill(wanted.prefix, {"bin/conda": CONDA, "conda-meta/history": "", ".condarc": "channels: [mine]\n"})
    before = snapshot(tmp_path)
    outcome = run(wanted)
    assert (outcome.action, outcome.after.state, outcome.after.ours) == ("none", PRESENT, False)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(("files", "sentence"), NOT_ADOPTED)
def test_what_does_not_work_is_reported_and_neither_adopted_nor_changed(
    tmp_path: Path, files: dict[str, str], sentence: str
) -> None:
    wanted = wish(tmp_path)
    fill(wanted.prefix, files)
    before = snapshot(tmp_path)
    with pytest.raises(CondaError) as refused:
        run(wanted)
    assert sentence in str(refused.value)
    assert str(wanted.prefix) in str(refused.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(("other", "sentence"), REFUSED)
def test_what_cannot_work_is_refused_before_anything_changes(
    tmp_path: Path, other: dict[str, Any], sentence: str
) -> None:
    wanted = wish(tmp_path, **other)
    before = snapshot(tmp_path)
    with pytest.raises(CondaError) as refused:
        run(wanted)
    assert sentence in str(refused.value)
    assert snapshot(tmp_path) == before


def test_terms_that_were_accepted_are_no_obstacle(tmp_path: Path) -> None:
    wanted = wish(tmp_path, distribution="miniconda", channels=("defaults",), accept_anaconda_terms=True)
    assert run(wanted).action == "install"


def test_an_installer_that_fails_leaves_nothing_and_its_words(tmp_path: Path) -> None:
    wanted = wish(tmp_path, f"{INSTALLER}\necho 'no space left' >&2; exit 5")
    with pytest.raises(CondaError, match="ended with 5 and said: no space left"):
        run(wanted)
    assert not wanted.prefix.exists()
    assert not mark_of(wanted.prefix).exists()


def test_the_end_of_what_an_installer_said_is_kept_and_a_full_disk_is_named(tmp_path: Path) -> None:
    words = f"echo '{'Traceback ' * 200}' >&2; echo '[Errno 28] No space left on device' >&2"
    with pytest.raises(CondaError, match=r"\.\.\..*No space left on device\. The disk is full"):
        run(wish(tmp_path, f"{INSTALLER}\n{words}; exit 1"))


def test_an_installer_that_takes_too_long_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    wanted = wish(tmp_path, f"{INSTALLER}\nsleep 60", timeout=0.2)
    with pytest.raises(CondaError, match="time was up"):
        run(wanted)
    assert not wanted.prefix.exists()


def test_an_installer_that_ends_well_without_conda_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(CondaError, match="ended well, but"):
        run(wish(tmp_path, "exit 0"))


def test_an_installation_that_was_cut_off_is_moved_aside_and_made_again(tmp_path: Path) -> None:
    wanted = wish(tmp_path)
    # Even one whose conda runs already: other packages may be missing.
    fill(wanted.prefix, {"bin/conda": CONDA, "conda-meta/history": "", "envs/mine/witness": "kept"})
    mark_of(wanted.prefix).write_text("4711\n")
    assert look(wanted.prefix, start(())).state == CUT_OFF
    outcome = run(wanted)
    assert outcome.action == "install"
    assert (Path(outcome.moved_to) / "envs/mine/witness").read_text() == "kept"
    assert not (wanted.prefix / "envs/mine").exists()
    assert run(wanted).action == "none"


def test_what_was_cut_off_is_removed_once_an_installer_succeeds(tmp_path: Path) -> None:
    wanted = wish(tmp_path)
    fill(wanted.prefix, {"pkgs/half": "", "envs/.conda_envs_dir_test": ""})
    before, theirs = (
        wanted.prefix.with_name(f"{wanted.prefix.name}.cut-off-{end}") for end in ("20261121T021500", "x")
    )
    before.mkdir()
    theirs.mkdir()
    mark_of(wanted.prefix).write_text("4711\n")
    assert run(wanted).moved_to == ""
    assert sorted(entry.name for entry in wanted.prefix.parent.iterdir() if "cut-off" in entry.name) == [theirs.name]


def test_an_installer_at_work_is_seen_and_waited_for_with_a_bound(tmp_path: Path) -> None:
    wanted = wish(tmp_path, timeout=0.1)
    wanted.prefix.parent.mkdir()
    with mark_of(wanted.prefix).open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        assert look(wanted.prefix, start(())).state == BUSY
        with pytest.raises(CondaError, match="Another installer has been at work"):
            run(wanted)


@pytest.mark.parametrize(("checksum", "listing", "digest"), SUMS)
def test_the_sum_is_read_in_every_form_that_is_published(checksum: str, listing: str, digest: str | None) -> None:
    def fetch(address: str) -> IO[bytes]:
        return io.BytesIO(listing.encode() if address == checksum else b"another file")

    if digest:
        with pytest.raises(CondaError, match=f"expected {digest}"), verified(INSTALLER_URL, checksum, fetch):
            pass
    else:
        with pytest.raises(CondaError, match="conda_installer_checksum"), verified(INSTALLER_URL, checksum, fetch):
            pass


def test_a_download_lies_in_the_cache_of_the_account_until_it_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    digest = hashlib.sha256(b"installer").hexdigest()
    with verified(INSTALLER_URL, digest, lambda address: io.BytesIO(b"installer")) as path:
        assert path.is_relative_to(tmp_path / "fromzero")
        assert path.suffix == ".sh"
        assert path.read_bytes() == b"installer"
    assert not path.parent.exists()


def test_an_address_that_does_not_answer_is_named_with_the_remedy() -> None:
    def fetch(address: str) -> IO[bytes]:
        raise HTTPError(address, 404, "Not Found", None, None)  # type: ignore[arg-type]

    with (
        pytest.raises(CondaError, match=r"sum answers 404 Not Found; set conda_installer_checksum"),
        verified(INSTALLER_URL, "https://mirror.example/sum", fetch),
    ):
        pass
    with (
        pytest.raises(CondaError, match=r"Miniforge3\.sh answers 404 Not Found; correct the address"),
        verified(INSTALLER_URL, SUM, fetch),
    ):
        pass
