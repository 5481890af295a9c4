"""Stand-ins for torchvision and torchaudio, as wheels: names, versions, needs and one operator as the real ones have.

    PYTHONPATH=. python molecule/torch/files/trio.py FOLDER

writes FOLDER/fitting, whose torchvision brings its operator, and FOLDER/broken, whose torchvision has lost it, as one
from the Python index has beside a torch of another build.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import yaml

from sandbox.shell import ROOT
from sandbox.wheelhouse import versions

OPERATOR = """\
library = torch.library.Library("torchvision", "DEF")
library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
# The line that ends the import of a torchvision that was built for another torch.
FAKE = """\
@torch.library.register_fake("torchvision::nms")
def _nms(dets, scores, iou_threshold):
    return dets.new_empty(0)
"""


def trio() -> tuple[str, str, str]:
    """The torch that the role installs where nothing is planned, and the torchvision and torchaudio of its row."""
    rows = yaml.safe_load((ROOT / "data" / "torch.yml").read_text(encoding="utf-8"))["releases"]
    row = next(row for row in rows if row["torch"] == versions().torch)
    return row["torch"], row["torchvision"], row["torchaudio"]


def write(folder: Path, name: str, version: str, needs: str, source: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    members = {
        f"{name}/__init__.py": f"import torch\n\nfrom .version import __version__\n\n{source}",
        f"{name}/version.py": f"__version__ = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {needs}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: stand-in\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for member, text in members.items():
            archive.writestr(member, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{member},,\n" for member in [*members, f"{info}/RECORD"]))


def main(folder: Path) -> None:
    torch, torchvision, torchaudio = trio()
    write(folder / "fitting", "torchvision", f"{torchvision}+cpu", f"torch=={torch}", OPERATOR + FAKE)
    write(folder / "fitting", "torchaudio", f"{torchaudio}+cpu", "torch", "")
    write(folder / "broken", "torchvision", torchvision, f"torch=={torch}", FAKE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
