# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nvidia-smi says, of whichever driver it came with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ansible_collections.fromzero.deepspeed.plugins.module_utils._host.host import Host, Run

# Drivers before 510 do not know compute_cap, those before 450 nothing of MIG; a field that is refused is left out.
FIELDS = (
    "index", "name", "uuid", "pci.bus_id", "pci.device_id", "memory.total", "driver_version", "compute_cap",
    "mig.mode.current",
)  # fmt: skip
_REFUSED = re.compile(r'Field "([^"]+)" is not a valid field')
_ADDRESS = re.compile(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.[0-7]")
_LOST = re.compile(r"unable to determine the device handle|is lost|has fallen off the bus", re.IGNORECASE)
# "[N/A]", "[Not Supported]", "[Unknown Error]", "[GPU is lost]", and what older ones write without brackets.
_NO_VALUE = re.compile(r"\[.*\]|N/A|ERR!|Unknown Error|GPU is lost|", re.IGNORECASE)
_CUDA = re.compile(r"\bCUDA (?:UMD )?Version\s*:\s*(\d+\.\d+)")


@dataclass(frozen=True)
class Answer:
    """What nvidia-smi answered.

    :ivar rows: one for each GPU that works: its fields, without those that have no value.
    :ivar error: what went wrong, None where nothing did.
    :ivar lost: addresses of GPUs that it names as lost. Some drivers then list no other GPU either.
    """

    rows: Sequence[Mapping[str, str]] = field(default_factory=list)
    error: str | None = None
    lost: Sequence[str] = ()


def parse_rows(text: str, fields: Sequence[str] = FIELDS) -> list[dict[str, str]]:
    """The lines of an answer in CSV without a header; warnings among them, and GPUs that are lost, are passed over."""
    found = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.split(",")]
        # A name may hold a comma, the other fields cannot.
        after = len(fields) - 2
        parts = [*parts[:1], ", ".join(parts[1 : len(parts) - after]), *parts[len(parts) - after :]]
        if len(parts) != len(fields):
            continue
        row = {name: part for name, part in zip(fields, parts) if not _NO_VALUE.fullmatch(part)}
        if re.fullmatch(r"[0-9]+", row.get("index", "")) and row.get("uuid", "").startswith("GPU-"):
            found.append(row)
    return found


def _first_line(*texts: str) -> str:
    return next((line.strip() for text in texts for line in text.splitlines() if line.strip()), "it said nothing")


def ask(run: Run) -> Answer | None:
    """The GPUs as nvidia-smi knows them; None where there is no nvidia-smi."""
    fields = list(FIELDS)
    while True:
        done = run(["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"])
        if done is None:
            return None
        refused = _REFUSED.search(done.stdout + done.stderr)
        if refused is None or refused[1] not in fields:
            break
        fields.remove(refused[1])
    if done.rc is None:
        return Answer(error="nvidia-smi does not answer.")
    rows = parse_rows(done.stdout, fields)
    complaints = [line.strip() for line in (done.stdout + done.stderr).splitlines() if _LOST.search(line)]
    lost = [address for line in complaints for address in _ADDRESS.findall(line)]
    if done.rc != 0:
        said = complaints[0] if complaints else _first_line(done.stdout, done.stderr)
        return Answer(rows, f"nvidia-smi ended with {done.rc}: {said}", lost)
    return Answer(rows, f"nvidia-smi says: {complaints[0]}" if complaints else None, lost)


def highest_cuda(host: Host) -> str | None:
    """The highest CUDA that the driver carries, from the head of its report; the rest of the report is kept short."""
    match = _CUDA.search(host.said("nvidia-smi", "-q", "-d", "COMPUTE"))
    return match[1] if match else None
