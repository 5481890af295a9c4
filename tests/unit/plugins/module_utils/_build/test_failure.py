# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import pytest

from ansible_collections.fromzero.deepspeed.plugins.module_utils._build.failure import explain

# What compilers, pip and the build scripts print, each as it stands in a log among other lines.
LOGS = [
    (
        "sum.cpp:1:10: fatal error: Python.h: No such file or directory\ncompilation terminated.",
        "The header Python.h is missing: install the headers of the environment's Python",
    ),
    (
        "csrc/x.cpp:5:10: fatal error: libaio.h: No such file or directory",
        "The header libaio.h is missing: install libaio",
    ),
    (
        "x.cu:1:10: fatal error: cuda_profiler_api.h: No such file or directory",
        "The header cuda_profiler_api.h is missing: install the whole CUDA toolkit",
    ),
    ("x.cu:1:10: fatal error: cusparse.h: No such file or directory", "install the whole CUDA toolkit"),
    ("x.cu:1:10: fatal error: cudnn.h: No such file or directory", "install cuDNN"),
    ("x.cu:1:10: fatal error: cudnn_frontend.h: No such file or directory", "install the source's submodules"),
    ("x.cu:1:10: fatal error: cutlass/gemm/gemm.h: No such file or directory", "install CUTLASS"),
    (
        "x.cpp:1:10: fatal error: own.h: No such file or directory",
        "The header own.h is missing: install what brings it.",
    ),
    ("g++: fatal error: Killed signal terminated program cc1plus", "The compiler ran out of memory"),
    ("virtual memory exhausted: Cannot allocate memory", "The compiler ran out of memory"),
    ("/tmp/x.s: fatal error: No space left on device", "A disk is full"),
    (
        "/usr/include/crt/host_config.h:139:2: error: #error -- unsupported GNU version! gcc versions later than "
        "11 are not",
        "This nvcc takes gcc up to 11",
    ),
    ("nvcc fatal   : Unsupported gpu architecture 'compute_70'", "This nvcc does not compile for compute_70"),
    (
        "RuntimeError: Cuda extensions are being compiled with a version of Cuda that does not match the version "
        "used to "
        "compile Pytorch binaries.",
        "The toolkit and torch are of different CUDA versions",
    ),
    ("op_builder.builder.CUDAMismatchException: >- DeepSpeed Op Builder", "of different CUDA versions"),
    ("RuntimeError:\nThe detected CUDA version (12.4) mismatches the version that", "of different CUDA versions"),
    (
        "ModuleNotFoundError: No module named 'packaging'",
        "The build imports packaging, which the environment does not have",
    ),
    ("RuntimeError: Ninja is required to load C++ extensions", "The build needs ninja"),
    ("error: command 'g++' failed: No such file or directory: 'g++'", "There is no C++ compiler"),
    ("sh: 1: c++: not found", "There is no C++ compiler"),
    ("OSError: CUDA_HOME environment variable is not set. Please set it", "The build needs nvcc and found none"),
    ("/usr/bin/ld: cannot find -laio: No such file or directory", "The library aio is missing"),
    (
        "ERROR: No matching distribution found for deepspeed==99",
        "No index or folder that this node uses has the source",
    ),
    ("ConnectionError: [Errno 111] Connection refused", "An index cannot be reached from this node"),
    ("error: option --fast not recognized", "It does not know an option of the build"),
    (
        " [WARNING]  async_io requires the dev libaio .so object and headers but these were not found.\n"
        " [WARNING]  fused_lamb: something else\n"
        " \x1b[93m [WARNING] \x1b[0m async_io: please install the libaio-dev package with apt\n"
        "AssertionError: Unable to pre-compile async_io\n",
        "DeepSpeed refuses to build the op async_io: async_io requires the dev libaio .so object and headers but "
        "these were "
        "not found. async_io: please install the libaio-dev package with apt.",
    ),
    ("AssertionError: Unable to pre-compile gds", "DeepSpeed refuses to build the op gds: it gives no reason."),
]


@pytest.mark.parametrize(("log", "sentence"), LOGS)
def test_cause_is_named_with_what_to_do(log, sentence):
    found = explain(f"[1/3] c++ -c sum.cpp\n{log}\nerror: subprocess-exited-with-error\n")
    assert sentence in found
    assert found.endswith(".")


def test_cause_counts_before_its_consequences():
    log = "fatal error: Python.h: No such file or directory\nninja: build stopped: subcommand failed.\n"
    assert explain(log).startswith("The header Python.h")


def test_log_without_a_known_cause_gives_its_last_lines():
    found = explain("\n".join(f"line {number}" for number in range(50)))
    assert "line 49" in found
    assert "line 30" not in found


def test_password_of_an_index_is_in_no_sentence():
    assert "secret" not in explain("Looking in indexes: https://ann:secret@host/simple\nbad end\n")


def test_log_without_a_word_is_told():
    assert explain("") == "it said nothing."
