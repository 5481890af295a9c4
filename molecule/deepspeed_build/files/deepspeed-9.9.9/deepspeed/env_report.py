"""The table of ops, and their builders, in the form of DeepSpeed 0.19.8."""

import importlib
import subprocess
from types import SimpleNamespace

from deepspeed.git_version_info import installed_ops

GREEN, YELLOW, END = "\033[92m", "\033[93m", "\033[0m"


class Builder:
    """Loads an op that is installed, and compiles another one. async_io loads pin_memory first."""

    def __init__(self, name, switch):
        self.name, self.BUILD_VAR = name, switch

    def load(self):
        if self.name == "async_io":
            ALL_OPS["pin_memory"].load()
        return (
            importlib.import_module(f"deepspeed.ops.{self.name}") if installed_ops.get(self.name) else self.jit_load()
        )

    def jit_load(self):
        raise AssertionError("compiled at a run")

    def is_compatible(self):
        """async_io links a program with libaio; cpu_lion is never compatible."""
        if self.name == "async_io":
            command = ["cc", "-x", "c", "-", "-o", "/dev/null", "-laio"]
            program = "void io_submit(void); int main(void) { io_submit(); return 0; }"
            try:
                return (
                    subprocess.run(command, input=program, text=True, capture_output=True, check=False).returncode == 0
                )
            except OSError:
                return False
        return self.name != "cpu_lion"


ALL_OPS = {
    name: Builder(name, switch)
    for name, switch in {
        "async_io": "DS_BUILD_AIO",
        "cpu_lion": "DS_BUILD_CPU_LION",
        "pin_memory": "DS_BUILD_PIN_MEMORY",
        "deepspeed_shm_comm": "DS_BUILD_SHM_COMM",
        "cpu_adam": "DS_BUILD_CPU_ADAM",
    }.items()
}
NEEDS = {"async_io": "please install the libaio-dev package with apt", "cpu_lion": "please install a lion"}


def get_accelerator():
    return SimpleNamespace(_name="cpu")


def main():
    for name, builder in ALL_OPS.items():
        compatible = builder.is_compatible()
        if not compatible:
            print(f"{YELLOW} [WARNING] {END} {name}: {NEEDS[name]}")
        installed = f"{GREEN}[YES]{END}" if installed_ops.get(name) else f"{YELLOW}[NO]{END}"
        print(
            name,
            "." * (23 - len(name)),
            installed,
            "." * 7,
            f"{GREEN}[OKAY]{END}" if compatible else f"{YELLOW}[NO]{END}",
        )
