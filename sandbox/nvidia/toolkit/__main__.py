"""`python -m sandbox.nvidia.toolkit OUTDIR` builds the toolkit and says where it is."""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox import engine, image
from sandbox.nvidia.toolkit import build
from sandbox.shell import SandboxError


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m sandbox.nvidia.toolkit OUTDIR", file=sys.stderr)
        return 2
    try:
        engine.ensure()
        made = build(Path(arguments[0]).resolve(), image.ensure())
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"runfile: {made.runfile}\nsha256:  {made.sha256}\ntree:    {made.tree}")
    return 0


sys.exit(main(sys.argv[1:]))
