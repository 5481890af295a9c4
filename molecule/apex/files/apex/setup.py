"""A STAND-IN for NVIDIA's apex: the switches, the imports and the test of nvcc of three generations of its setup.py.

What it compiles is one kernel for each extension, by the real nvcc, for the real list of architectures.
"""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import torch
from packaging.version import parse
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

GENERATION = "environment"
CUDA_HOME = os.environ.get("CUDA_HOME")
CUDA_MODULES = [
    *("amp_C", "fused_dense_cuda", "fused_layer_norm_cuda", "mlp_cuda"),
    *("scaled_upper_triang_masked_softmax_cuda", "syncbn"),
]

if GENERATION == "environment":
    for flag in ("--cpp_ext", "--cuda_ext", "--xentropy", "--fused_conv_bias_relu"):
        if os.environ.get(f"APEX_{flag[2:].upper()}") == "1" and flag not in sys.argv:
            sys.argv.append(flag)


def asked_for(flag):
    found = flag in sys.argv
    if found:
        sys.argv.remove(flag)
    return found


def bare_metal():
    said = subprocess.check_output([f"{CUDA_HOME}/bin/nvcc", "-V"], text=True).split()
    return parse(said[said.index("release") + 1].rstrip(","))


def compare_nvcc_with_torch():
    bare_metal_version, torch_binary_version = BARE_METAL, parse(torch.version.cuda)
    # Of the oldest generation, whose test has them.
    bare_metal_major, bare_metal_minor = str(bare_metal_version).split(".")  # noqa: RUF059
    torch_binary_major, torch_binary_minor = str(torch_binary_version).split(".")  # noqa: RUF059
    # The line that the role may replace; each generation has its own.
    if bare_metal_version != torch_binary_version:
        raise RuntimeError(
            "Cuda extensions are being compiled with a version of Cuda that does not match the version used to compile "
            "Pytorch binaries."
        )


class Compile(build_ext):
    """By nvcc, for the architectures in TORCH_CUDA_ARCH_LIST."""

    def build_extension(self, extension):
        if not extension.sources[0].endswith(".cu"):
            return super().build_extension(extension)
        numbers = [name.replace(".", "") for name in os.environ["TORCH_CUDA_ARCH_LIST"].split(";")]
        target = Path(self.get_ext_fullpath(extension.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        nvcc = [f"{CUDA_HOME}/bin/nvcc", "-shared", "-Xcompiler", "-fPIC", f"-DNAME={extension.name}"]
        nvcc += [word for number in numbers for word in ("-gencode", f"arch=compute_{number},code=sm_{number}")]
        nvcc += [f"-I{folder}" for folder in self.include_dirs]
        return self.spawn([*nvcc, "-o", str(target), extension.sources[0]])


# As in apex, whatever is built.
BARE_METAL = bare_metal()
extensions = []
if asked_for("--cpp_ext"):
    extensions.append(Extension("apex_C", ["csrc/plain.cpp"], define_macros=[("NAME", "apex_C")]))
modules = []
if asked_for("--cuda_ext"):
    compare_nvcc_with_torch()
    modules += CUDA_MODULES
if asked_for("--xentropy"):
    modules.append("xentropy_cuda")
if asked_for("--fused_conv_bias_relu"):
    # As apex does where cuDNN is too old: the build goes on without it.
    warnings.warn("Skip `--fused_conv_bias_relu` as it requires cuDNN 8400 or later", stacklevel=1)
for name in modules:
    extensions.append(Extension(name, [f"csrc/{name}.cu"]))
    Path(f"csrc/{name}.cu").write_text('#include "kernel.h"\n', encoding="utf-8")

setup(
    name="apex",
    version="0.1",
    packages=["apex"],
    install_requires=["packaging>20.6"],
    ext_modules=extensions,
    cmdclass={"build_ext": Compile},
)
