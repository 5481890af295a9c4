"""The kernel module of NVIDIA's driver on hosts that are folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._driver.kernel_module import (
    KernelModuleError,
    Wish,
    deny_text,
    ensure,
)
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host
from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.process import Finished

RELEASE = "6.1.0-28-amd64"
DENY = "etc/modprobe.d/fromzero-nvidia-driver.conf"
IMAGE = f"boot/initrd.img-{RELEASE}"
NOUVEAU = f"usr/lib/modules/{RELEASE}/kernel/drivers/gpu/drm/nouveau/nouveau.ko"
WISH = Wish(RELEASE, True, ("nouveau", "nova_core", "nova_drm"), Path("/" + DENY), ("nvidia-persistenced",))
OK = Finished(0)


class Kernel:
    """A host's kernel, its disk and its services, as the programs that are called see and change them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls: list[str] = []
        self.units: dict[str, str] = {}
        self.disabled: set[str] = set()
        self.answers: dict[str, Finished | None] = {}
        self.compiles: str | None = None

    def loaded(self, version: str | None, *others: str) -> Kernel:
        if version:
            self.write(
                "proc/driver/nvidia/version", f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {version}  Fri\n"
            )
            others = (*others, "nvidia", "nvidia_uvm")
        for name in others:
            self.write(f"sys/module/{name}/refcnt", "0\n")
        return self

    def installed(self, library: str, built: str | None = "the same") -> Kernel:
        self.write(f"usr/lib/x86_64-linux-gnu/libnvidia-ml.so.{library}", "")
        if built:
            self.build(library if built == "the same" else built)
        return self

    def build(self, version: str) -> None:
        self.write(f"lib/modules/{RELEASE}/updates/dkms/nvidia.ko", f"version: {version}\nlicense: NVIDIA\n")

    def image(self, *names: str) -> Kernel:
        self.write(IMAGE, "".join(f"{name}\n" for name in names))
        return self

    def user(self, pid: int, command: str) -> Kernel:
        self.write(f"proc/{pid}/comm", command)
        (self.root / f"proc/{pid}/fd").mkdir()
        (self.root / f"proc/{pid}/fd/3").symlink_to("/dev/nvidia0")
        return self

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, command: Sequence[str]) -> Finished | None:
        line = " ".join(command)
        self.calls.append(line)
        for pattern, answer in self.answers.items():
            if re.match(pattern, line):
                return answer
        return getattr(self, f"_{command[0].replace('-', '_')}", lambda *words: None)(*command[1:])

    def _modinfo(self, path: str) -> Finished:
        return Finished(0, Path(path).read_text(encoding="utf-8"))

    def _modprobe(self, *words: str) -> Finished:
        name = words[-1]
        if "-r" in words:
            for path in self.root.glob(f"sys/module/{name}/*"):
                path.unlink()
            (self.root / f"sys/module/{name}").rmdir()
            if name == "nvidia":
                (self.root / "proc/driver/nvidia/version").unlink()
        elif name == "nvidia":
            text = (self.root / f"lib/modules/{RELEASE}/updates/dkms/nvidia.ko").read_text(encoding="utf-8")
            self.loaded(re.findall("version: (.*)", text)[0])
        return OK

    def _lsinitramfs(self, image: str) -> Finished:
        return Finished(0, Path(image).read_text(encoding="utf-8"))

    def _update_initramfs(self, *words: str) -> Finished:
        self.image(*(self.root / IMAGE).read_text(encoding="utf-8").split(), DENY)
        return OK

    def _dkms(self, *words: str) -> Finished:
        if self.compiles:
            self.build(self.compiles)
        return Finished(
            0 if self.compiles else 1, "", "" if self.compiles else "Error! Your kernel headers are missing."
        )

    def _systemctl(self, action: str, unit: str) -> Finished:
        if action == "enable":
            self.disabled.discard(unit)
        if action == "is-enabled" and unit in self.units:
            return Finished(0, "disabled" if unit in self.disabled else "enabled")
        if action == "cat":
            return Finished(0, "[Service]\n") if unit in self.units else Finished(1)
        if action in ("start", "restart", "stop"):
            self.units[unit] = "inactive" if action == "stop" else "active"
            return OK
        return Finished(0, self.units.get(unit, "inactive"))


@pytest.fixture
def kernel(tmp_path):
    return Kernel(tmp_path)


def bring(kernel, wish=WISH, check=False):
    return ensure(Host(kernel.root, kernel.run), wish, check)


def changes(kernel):
    reading = ("modinfo", "lsinitramfs", "systemctl is-", "systemctl cat", "ldconfig", "journalctl")
    return [call for call in kernel.calls if not call.startswith(reading)]


def test_what_is_loaded_and_denied_is_left_alone(kernel):
    kernel.loaded("580.95.05").installed("580.95.05").units["nvidia-persistenced"] = "active"
    kernel.write(DENY, deny_text(WISH.denied))
    outcome = bring(kernel)
    assert (outcome.changed, outcome.reboot, outcome.loaded, changes(kernel)) == (False, "", "580.95.05", [])


def test_a_driver_that_is_installed_gets_loaded(kernel):
    outcome = bring(kernel.installed("580.95.05"))
    assert (outcome.changed, outcome.loaded) == (True, "580.95.05")
    assert (kernel.root / DENY).read_text(encoding="utf-8") == deny_text(WISH.denied)


def test_module_and_library_that_differ_are_brought_together(kernel):
    kernel.loaded("550.54.14").installed("580.95.05").units["nvidia-persistenced"] = "active"
    outcome = bring(kernel)
    assert (outcome.loaded, outcome.reboot) == ("580.95.05", "")
    assert changes(kernel) == [
        "systemctl stop nvidia-persistenced",
        "modprobe -r nvidia_uvm",
        "modprobe -r nvidia",
        "modprobe nvidia",
        "modprobe nvidia_uvm",
        "systemctl start nvidia-persistenced",
    ]


def test_the_other_kind_of_module_is_loaded_too(kernel):
    kernel.loaded("580.95.05").installed("580.95.05")
    kernel.write(f"lib/modules/{RELEASE}/updates/dkms/nvidia.ko", "version: 580.95.05\nlicense: Dual MIT/GPL\n")
    assert bring(kernel).done[-1] == "reloaded the module"
    assert "modprobe -r nvidia" in changes(kernel)


@pytest.mark.parametrize("check", [True, False])
def test_who_uses_the_gpus_is_not_disturbed(kernel, check):
    kernel.loaded("550.54.14").installed("580.95.05").user(4242, "python").units["nvidia-persistenced"] = "active"
    kernel.write(DENY, deny_text(WISH.denied))
    outcome = bring(kernel, check=check)
    assert "python (4242)" in outcome.reboot and outcome.reboot.endswith(".")
    assert (outcome.changed, outcome.loaded, changes(kernel)) == (False, "550.54.14", [])


def test_a_module_that_stays_leaves_everything_as_it_was(kernel):
    kernel.loaded("550.54.14").installed("580.95.05").units["nvidia-persistenced"] = "active"
    kernel.answers["modprobe -r nvidia$"] = Finished(1, "", "modprobe: FATAL: Module nvidia is in use.")
    outcome = bring(kernel)
    assert outcome.reboot.endswith("Module nvidia is in use.")
    assert "modprobe nvidia_uvm" in changes(kernel)
    assert kernel.units["nvidia-persistenced"] == "active"
    assert outcome.loaded == "550.54.14"


def test_an_initramfs_that_loads_nouveau_is_rebuilt_and_read_again(kernel):
    outcome = bring(kernel.installed("580.95.05").image(NOUVEAU))
    assert "rebuilt the initramfs" in outcome.done
    assert DENY in (kernel.root / IMAGE).read_text(encoding="utf-8")
    assert kernel.calls.count(f"lsinitramfs {kernel.root / IMAGE}") == 2


def test_an_initramfs_without_nouveau_is_left_alone(kernel):
    bring(kernel.installed("580.95.05").image("usr/bin/busybox"))
    assert "update-initramfs -u -k all" not in kernel.calls


def test_an_initramfs_that_stays_as_it_was_is_a_failure(kernel):
    kernel.installed("580.95.05").image(NOUVEAU).answers["update-initramfs"] = OK
    with pytest.raises(KernelModuleError, match="still loads nouveau"):
        bring(kernel)


def test_an_initramfs_that_cannot_be_rebuilt_is_a_failure(kernel):
    kernel.installed("580.95.05").image(NOUVEAU).answers["update-initramfs"] = Finished(
        1, "", "No space left on device"
    )
    with pytest.raises(KernelModuleError, match="No space left on device"):
        bring(kernel)


def test_nouveau_that_lets_go_makes_room(kernel):
    outcome = bring(kernel.loaded(None, "nouveau").installed("580.95.05"))
    assert (outcome.reboot, outcome.loaded) == ("", "580.95.05")


def test_nouveau_that_holds_on_is_named_and_denied(kernel):
    kernel.loaded(None, "nouveau").installed("580.95.05")
    kernel.answers["modprobe -r nouveau"] = Finished(1, "", "modprobe: FATAL: Module nouveau is in use.")
    outcome = bring(kernel)
    assert outcome.reboot.startswith("nouveau has the GPUs")
    assert "blacklist nouveau" in (kernel.root / DENY).read_text(encoding="utf-8")
    assert "modprobe nvidia" not in kernel.calls
    again = bring(kernel)
    assert (again.changed, again.reboot) == (False, outcome.reboot)


def test_a_module_that_is_missing_for_the_running_kernel_is_compiled(kernel):
    kernel.loaded("550.54.14").installed("580.95.05", built=None).compiles = "580.95.05"
    outcome = bring(kernel)
    assert f"dkms autoinstall -k {RELEASE}" in kernel.calls
    assert outcome.loaded == "580.95.05"


def test_a_compilation_that_fails_is_a_failure_with_its_words(kernel):
    kernel.loaded("550.54.14").installed("580.95.05", built="550.54.14")
    with pytest.raises(KernelModuleError, match="Your kernel headers are missing"):
        bring(kernel)


def test_no_module_and_no_dkms_is_a_failure(kernel):
    kernel.installed("580.95.05", built=None).answers["dkms"] = None
    with pytest.raises(KernelModuleError, match="no dkms to compile it"):
        bring(kernel)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("modprobe: ERROR: could not insert 'nvidia': Key was rejected by service", "Secure Boot keeps the kernel"),
        ("modprobe: ERROR: could not insert 'nvidia': No such device", "dmesg says why"),
    ],
)
def test_a_module_that_the_kernel_refuses_is_a_failure(kernel, words, said):
    kernel.installed("580.95.05").answers["modprobe nvidia$"] = Finished(1, "", words)
    with pytest.raises(KernelModuleError, match=said):
        bring(kernel)


def test_a_service_that_does_not_start_is_a_failure_with_its_log(kernel):
    kernel.loaded("580.95.05").installed("580.95.05").units["nvidia-persistenced"] = "failed"
    kernel.answers["systemctl restart"] = Finished(1, "", "Job failed.")
    kernel.answers["journalctl"] = Finished(0, "Started it\nfailed to open /dev/nvidia0\nMain process exited, code=1\n")
    with pytest.raises(KernelModuleError, match="failed to open /dev/nvidia0"):
        bring(kernel)


def test_services_start_at_every_boot(kernel):
    kernel.installed("580.95.05").units["nvidia-persistenced"] = "inactive"
    kernel.disabled.add("nvidia-persistenced")
    assert {"enabled nvidia-persistenced", "started nvidia-persistenced"} <= set(bring(kernel).done)
    assert (kernel.disabled, bring(kernel).changed) == (set(), False)


def test_a_service_that_is_not_installed_is_passed_over(kernel):
    kernel.loaded("580.95.05").installed("580.95.05")
    kernel.write(DENY, deny_text(WISH.denied))
    assert bring(kernel).changed is False


def test_check_mode_says_and_does_nothing(kernel):
    kernel.loaded("550.54.14").installed("580.95.05").image(NOUVEAU).units["nvidia-persistenced"] = "inactive"
    outcome = bring(kernel, check=True)
    assert outcome.changed
    assert "reloaded the module" in outcome.done and "rebuilt the initramfs" in outcome.done
    assert (changes(kernel), (kernel.root / DENY).exists()) == ([], False)


def test_check_mode_works_where_nothing_is_installed_yet(kernel):
    assert bring(kernel, check=True).changed


def test_a_module_can_be_taken_out(kernel):
    kernel.loaded("550.54.14").units["nvidia-persistenced"] = "active"
    outcome = bring(kernel, replace(WISH, loaded=False, denied=()))
    assert (outcome.changed, outcome.loaded, kernel.units) == (True, None, {"nvidia-persistenced": "inactive"})
    assert bring(kernel, replace(WISH, loaded=False, denied=())).changed is False


def test_a_module_in_use_is_not_taken_out(kernel):
    kernel.loaded("550.54.14").user(4242, "python")
    outcome = bring(kernel, replace(WISH, loaded=False, denied=()))
    assert "python (4242)" in outcome.reboot and not outcome.changed
