"""A C++ extension of nothing but Python, which compiles in a second; what it says is decided by switches of the "
"build."""

import os
import sys
import time

from setuptools import Extension, setup

words = [os.environ.get("FROMZERO_WORD", "plain")]
for option in ("--with_word", "--with_other_word"):
    if option in sys.argv:
        sys.argv.remove(option)
        words.append(option.strip("-"))

if "bdist_wheel" in sys.argv:
    time.sleep(float(os.environ.get("FROMZERO_SECONDS", "0")))

setup(
    name="fromzero-plain",
    version="2.0",
    packages=["fromzero_plain"],
    ext_modules=[
        Extension(
            "fromzero_plain.said",
            ["said.cpp"],
            define_macros=[("WORDS", '"' + " ".join(words) + '"')],
            extra_compile_args=os.environ.get("FROMZERO_FLAGS", "").split(),
        )
    ],
)
