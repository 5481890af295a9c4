# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts ds-launch: C(python -I <prefix>/lib/ds_launch <settings> [arguments])."""

from __future__ import annotations

import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ds_launch.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
