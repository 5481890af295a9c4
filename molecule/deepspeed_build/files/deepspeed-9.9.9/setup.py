"""A package that builds as DeepSpeed does: switches in the environment, ops in C++, what was built written down.

Its ops are one line each, so that a build takes seconds and still needs torch, a compiler and Python's headers.
"""

import os
from pathlib import Path

from setuptools import Extension, setup

OPS = {
    "deepspeed_shm_comm": "DS_BUILD_SHM_COMM",
    "cpu_adam": "DS_BUILD_CPU_ADAM",
    "async_io": "DS_BUILD_AIO",
    "pin_memory": "DS_BUILD_PIN_MEMORY",
}
# As in DeepSpeed 0.19.8 for CPUs, the op uses a library that the build does not link.
USES = {"async_io": 'extern "C" int io_submit(void *, long, void *); void *kept = (void *)&io_submit;'}
SOURCE = """
#include <Python.h>
%(uses)s
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "%(name)s", nullptr, -1, nullptr};
PyMODINIT_FUNC PyInit_%(name)s() { return PyModule_Create(&definition); }
"""

default = os.environ.get("DS_BUILD_OPS", "0")
installed = {name: os.environ.get(switch, default) == "1" for name, switch in OPS.items()}
built_with = {"version": "0.0", "cuda_version": "0.0"}
if any(installed.values()):
    try:
        import torch
    except ImportError:
        raise AssertionError("Unable to pre-compile ops without torch installed.") from None
    built_with["version"] = ".".join(torch.__version__.split(".")[:2])

extensions = []
for name in filter(installed.get, installed):
    source = Path(f"{name}.cpp")
    source.write_text(SOURCE % {"name": name, "uses": USES.get(name, "")})
    extensions.append(Extension(f"deepspeed.ops.{name}", [str(source)], language="c++"))

Path("deepspeed/git_version_info.py").write_text(
    f"version = '9.9.9'\ninstalled_ops = {installed!r}\ntorch_info = {built_with!r}\naccelerator_name = 'cpu'\n"
)
setup(
    name="deepspeed",
    version="9.9.9",
    packages=["deepspeed", "deepspeed.ops"],
    install_requires=["torch>=2"],
    ext_modules=extensions,
)
