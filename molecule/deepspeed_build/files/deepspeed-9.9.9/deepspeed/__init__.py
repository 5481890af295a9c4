"""Prints while it is imported, as DeepSpeed does."""

import torch  # noqa: F401

print("Setting ds_accelerator to cpu")
