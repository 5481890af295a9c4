"""`python -m sandbox.nvidia OUTDIR` builds the repositories and says where they are."""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox.nvidia import DRIVERS, build
from sandbox.shell import SandboxError


def main(arguments: list[str]) -> int:
    """Build, and print an address for each distribution."""
    if len(arguments) != 1:
        print("usage: python -m sandbox.nvidia OUTDIR", file=sys.stderr)
        return 2
    try:
        made = build(Path(arguments[0]).resolve())
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(f"{distro}: {made.of(distro).as_uri()}" for distro in DRIVERS))
    print(f"distribution: {made.distribution.as_uri()}\nkey: {made.fingerprint}")
    return 0


sys.exit(main(sys.argv[1:]))
