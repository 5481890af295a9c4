"""The table of ops in the form of ds_report of DeepSpeed 0.19.8."""

from types import SimpleNamespace

from deepspeed.git_version_info import installed_ops

GREEN, YELLOW, END = "\033[92m", "\033[93m", "\033[0m"
ALL_OPS = {
    name: SimpleNamespace(BUILD_VAR=switch)
    for name, switch in {
        "async_io": "DS_BUILD_AIO",
        "deepspeed_shm_comm": "DS_BUILD_SHM_COMM",
        "cpu_adam": "DS_BUILD_CPU_ADAM",
    }.items()
}


def get_accelerator():
    return SimpleNamespace(_name="cpu")


def main():
    for name in ALL_OPS:
        compatible = name != "async_io"
        if not compatible:
            print(f"{YELLOW} [WARNING] {END} async_io: please install the libaio-dev package with apt")
        installed = f"{GREEN}[YES]{END}" if installed_ops.get(name) else f"{YELLOW}[NO]{END}"
        print(
            name,
            "." * (23 - len(name)),
            installed,
            "." * 7,
            f"{GREEN}[OKAY]{END}" if compatible else f"{YELLOW}[NO]{END}",
        )
