"""`python -m sandbox.conda OUTDIR` builds the stand-in and says where it is."""

from __future__ import annotations

import sys
from pathlib import Path

from sandbox.conda import build
from sandbox.shell import SandboxError


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m sandbox.conda OUTDIR", file=sys.stderr)
        return 2
    try:
        made = build(Path(arguments[0]).resolve())
    except SandboxError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"installer: {made.installer}\nsha256:    {made.sha256}\nchannel:   {made.channel.as_uri()}")
    return 0


sys.exit(main(sys.argv[1:]))
