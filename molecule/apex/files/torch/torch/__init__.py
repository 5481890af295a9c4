"""A STAND-IN for torch: what it says of itself. The real one with CUDA has some gigabytes."""

from torch import _C, version

__version__ = version.__version__
__all__ = ["_C", "version"]
