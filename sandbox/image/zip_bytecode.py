"""Keep the bytecode of what Ansible sends to a node, so that the next task does not compile the same libraries again.

Ansible sends each module in a zip file with all of its libraries, and Python keeps no bytecode of what is in one:
compiling them is more than half of what a task costs a node. Each account has a folder, which all nodes share.
"""

from __future__ import annotations

import _imp
import marshal
import os
import sys
import types
import zipimport

FOLDER = f"/var/cache/zip-bytecode/{os.getuid()}"
_compile = vars(zipimport)["_compile_source"]


def compile_once(path: str, source: bytes) -> types.CodeType:
    """What zipimport makes of a source, from the folder where it was made before."""
    kept = f"{FOLDER}/{sys.implementation.cache_tag}-{_imp.source_hash(len(source), source).hex()}"
    try:
        with open(kept, "rb") as file:
            code: types.CodeType = marshal.loads(file.read())
            return code
    except (OSError, EOFError, ValueError, TypeError):
        pass
    code = _compile(path, source)
    draft = f"{kept}.{os.urandom(8).hex()}"
    try:
        with open(draft, "wb") as file:
            file.write(marshal.dumps(code))
        os.rename(draft, kept)
    except OSError:
        pass
    return code


if os.access(FOLDER, os.W_OK):
    vars(zipimport)["_compile_source"] = compile_once
