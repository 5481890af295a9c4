"""A C++ extension of torch, as small as one can be: a build needs torch's headers and its build_ext."""

from setuptools import setup
from torch.utils.cpp_extension import BuildExtension, CppExtension

setup(
    name="fromzero-sum",
    version="1.0",
    ext_modules=[CppExtension("fromzero_sum", ["sum.cpp"])],
    cmdclass={"build_ext": BuildExtension},
)
