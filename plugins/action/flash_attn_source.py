# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.fetch import open_address
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.verified import Words, reading, sum_of, verified
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._ansible.decision import DecisionAction
from ansible_collections.fromzero.deepspeed.plugins.plugin_utils._environment import flash_attn

_LONGEST_LISTING = 4 << 20
_SUMS_SECONDS = 20


class _Unanswered(Exception):
    """An address does not answer."""


_WORDS = Words(
    what="wheel",
    checksum="training_libs_flash_attn_checksums",
    elsewhere="it is built instead",
    fail=_Unanswered,
    name="flash_attn.whl",
)


class ActionModule(DecisionAction):
    """Finds out where flash-attn comes from; the documentation is that of the module."""

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        environment = arguments["environment"]
        offer = flash_attn.wheel(environment, arguments["version"]) if arguments["prebuilt"] else {}
        digits = self._sum(offer, arguments) if offer else ""
        wheel = self._fetched(offer, digits, arguments) if digits else {}
        if wheel:
            return {"wheel": wheel, "build": {}}
        torch = environment["packages"].get("torch", "")
        build = flash_attn.build(torch, arguments["architectures"] or self._capabilities(), arguments["version"])
        if not build or not build["architectures"]:
            lacks = "no GPU tells what to compile for; set training_libs_architectures"
            raise ValueError(
                f"flash-attn has no finished wheel that could be verified for torch {torch} with Python "
                f"{environment['python']}, and none can be built: "
                f"{lacks if build else 'no release is known for this torch'}."
            )
        return {"wheel": {}, "build": build}

    @staticmethod
    def _sum(offer: dict[str, str], arguments: dict[str, Any]) -> str:
        """The sum that somebody says; an address that does not answer says nothing."""
        told = ""
        if offer["filename"] not in arguments["checksums"] and arguments["sums_url"]:
            try:
                address = flash_attn.sums_address(arguments["sums_url"], offer["release"])
                with reading(address, lambda name: open_address(name, _SUMS_SECONDS), "", _WORDS) as page:
                    told = page.read(_LONGEST_LISTING).decode("utf-8", "replace")
            except _Unanswered:
                told = ""
        return flash_attn.sum_of_wheel(offer["filename"], arguments["checksums"], told)

    def _fetched(self, offer: dict[str, str], digits: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The wheel on the control node; empty where its address does not answer, since it can be built.

        :raises ValueError: it has another sum.
        """
        folder = Path(arguments["artifacts"]).expanduser() / f"flash-attn-{digits[:16]}"
        path = folder / offer["installed_name"]
        if not (path.is_file() and sum_of(path) == digits):
            if self._task.check_mode:
                return {}
            folder.mkdir(parents=True, exist_ok=True)
            address = f"{arguments['wheels_url']}/v{offer['release']}/{quote(offer['filename'])}"
            try:
                with verified(address, digits, open_address, _WORDS, folder=folder) as file:
                    file.replace(path)
            except _Unanswered as error:
                # An address that does not answer is the cause of another error; anything else is a refusal.
                if error.__cause__ is None:
                    raise ValueError(str(error)) from error
                self._display.warning(str(error))
                return {}
        return flash_attn.manifest(offer, digits, path)

    def _capabilities(self) -> list[str]:
        """The compute capabilities of the GPUs of all nodes of the play."""
        hostvars = self._task_vars["hostvars"]
        found: dict[str, None] = {}
        for host in self._task_vars["ansible_play_hosts"]:
            report = hostvars[host].get("ansible_facts", {}).get("fromzero_gpus", {})
            found.update(
                dict.fromkeys(
                    str(gpu["compute_capability"]) for gpu in report.get("gpus", ()) if gpu.get("compute_capability")
                )
            )
        return list(found)
