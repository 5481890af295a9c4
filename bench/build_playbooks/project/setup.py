"""A C++ extension that keeps a compiler busy, with nothing to install before."""

from setuptools import Extension, setup

setup(
    name="fromzero-heavy",
    version="1.0",
    ext_modules=[Extension("fromzero_heavy", ["heavy.cpp"], extra_compile_args=["-O2", "-std=c++17"])],
)
