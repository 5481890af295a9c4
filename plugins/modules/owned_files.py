#!/usr/bin/python
# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: owned_files
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Writes generated files and keeps what a hand has changed in them
description:
  - Writes a set of files in one task and remembers a checksum of each in a record on the host.
  - A file that is about to change and does not match its record was edited by hand. It is kept beside the new one as a
    copy with a timestamp, and a warning shows the copy and the difference.
  - A file without O(files[].content) is only read.
  - Folders that are missing are made, for the owner of the file.
  - A file that must not be there any more is removed, and kept as a copy where it was edited by hand.
options:
  files:
    description: The files, by their paths.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where the file lies. A leading C(~user) is the home of that user.
        type: path
        required: true
      content:
        description: What the file should hold. Without it the file is left as it is and its content returned.
        type: str
      state:
        description: Whether the file should be there. V(absent) removes it.
        type: str
        choices: [present, absent]
        default: present
      mode:
        description: The permissions of the file.
        type: str
        default: "0644"
      owner:
        description: The account that this file belongs to, where it differs from O(owner).
        type: str
      merge:
        description:
          - The file has lines of the form C(NAME=VALUE), and those that others have added for other names stay.
          - What counts as added is known from O(record).
        type: bool
        default: false
      secret:
        description:
          - Values of C(NAME=VALUE) lines may be secrets. They are in no message, no difference and no result, and
            permissions that are there already are not widened.
        type: bool
        default: false
  owner:
    description: The account that the files and new folders belong to. By default the one that runs the module.
    type: str
  record:
    description: The file that holds the checksums. Without it no file counts as edited by hand.
    type: path
  whole_folders:
    description:
      - Folders whose files are all named in O(files), or paths of single files. A file there that O(record) says was
        written once, and that O(files) does not name any more, is removed. One that was edited by hand is kept as a
        copy.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Says what would change, and changes nothing.
    support: full
  diff_mode:
    description: Shows the difference of each file that changes.
    support: full
"""

EXAMPLES = r"""
- name: Write two files that people may have edited
  fromzero.deepspeed.owned_files:
    record: /opt/fromzero/etc/hostfile.record.json
    owner: trainer
    files:
      - path: /job/hostfile
        content: |
          node1 slots=2
          node2 slots=2
      - path: ~trainer/.deepspeed_env
        content: |
          DS_ACCELERATOR=cpu

- name: Write a program, without the files that an older release of it had
  fromzero.deepspeed.owned_files:
    record: /opt/fromzero/etc/hostfile.record.json
    whole_folders: [/opt/fromzero/lib/ds_launch]
    files:
      - path: /opt/fromzero/lib/ds_launch/__main__.py
        content: "{{ lookup('ansible.builtin.file', 'ds_launch/__main__.py', rstrip=false) }}"
"""

RETURN = r"""
files:
  description:
    - What was found, and done, for each file in the order of the task. What O(whole_folders) has removed comes last.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where the file lies.
      type: str
      sample: /job/hostfile
    content:
      description: What the file held before the task; empty where there was none, and for a secret one.
      type: str
      sample: "node1 slots=2\n"
    exists:
      description: Whether there was a file before the task.
      type: bool
    by_hand:
      description: Whether the file was edited since it was written last.
      type: bool
    backup:
      description: The copy of the edited file; empty where none was made.
      type: str
      sample: /job/hostfile.4242.2026-11-21@02:15:00~
"""

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.atomic import write
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.errors import about, complaint
from ansible_collections.fromzero.deepspeed.plugins.module_utils._files.owned import (
    Judgement,
    Record,
    digest,
    is_lossless,
    judge,
    judge_removal,
    left_over,
    lines_record,
    merged,
    values,
    without_values,
)


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else None


def _read_record(path: str) -> Record:
    text = _read(Path(path))
    try:
        return dict(json.loads(text)) if text else {}
    except ValueError:
        # A record that cannot be read vouches for nothing, so every file counts as edited and is kept.
        return {}


def _make_folder(module: AnsibleModule, folder: Path, owner: str | None) -> None:
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o755)
        module.set_owner_if_different(str(each), owner, False)


def _write(module: AnsibleModule, path: Path, content: str, owner: str | None) -> None:
    _make_folder(module, path.parent, owner)
    write(path.resolve(), content)


def _lines_key(path: str) -> str:
    return f"{path} lines"


def _written_lines(path: str, present: str | None, record: Record | None) -> str | None:
    """The sums of the lines that were written last; an earlier release has recorded the whole file only."""
    if record is None:
        return None
    if _lines_key(path) not in record and present is not None and record.get(path) == digest(present):
        return lines_record(present)
    return record.get(_lines_key(path))


def _judge(entry: dict[str, Any], present: str | None, record: Record | None) -> Judgement:
    if entry["state"] == "absent":
        return judge_removal(entry["path"], present, record)
    judgement = judge(entry["path"], present, entry["content"], record)
    # A file that was there before us is kept whatever happens to it.
    ours = entry["path"] in (record or {})
    if (
        entry["merge"]
        and ours
        and is_lossless(present, entry["content"], _written_lines(entry["path"], present, record))
    ):
        return replace(judgement, by_hand=False)
    return judgement


def _mode(entry: dict[str, Any], path: Path) -> str:
    """The permissions to set; those of a secret file are not widened."""
    if not entry["secret"] or not path.exists():
        return str(entry["mode"])
    return f"{int(entry['mode'], 8) & stat.S_IMODE(path.stat().st_mode):04o}"


def _apply(module: AnsibleModule, entry: dict[str, Any], record: Record | None) -> tuple[dict[str, Any], bool, Any]:
    """Write or remove one file: the result that RETURN names, whether the file changed, and the difference."""
    path, gone = Path(entry["path"]), entry["state"] == "absent"
    wanted = None if gone else entry["content"]
    owner = entry["owner"] or module.params["owner"]
    present, mode = _read(path), _mode(entry, path)
    judgement = _judge(entry, present, record)
    changed, backup = judgement.write, ""
    if judgement.write and not module.check_mode:
        if not path.is_absolute():
            module.fail_json(msg=f"{path} cannot be written: its account has no home here; make the account first.")
        if judgement.by_hand:
            backup = module.backup_local(str(path))
        if gone:
            path.unlink()
        else:
            _write(module, path, entry["content"], owner)
    shown = without_values if entry["secret"] else str
    if judgement.write and judgement.by_hand:
        keeping = f"it is kept as {backup}" if backup else "it would be kept as a copy"
        module.warn(f"{path} was edited by hand; {keeping}. The difference:\n{shown(judgement.difference)}")
    if wanted is not None and path.exists():
        changed = module.set_owner_if_different(str(path), owner, changed)
        changed = module.set_mode_if_different(str(path), mode, changed)
    after = wanted if judgement.write else present
    difference = {
        "before_header": str(path),
        "after_header": str(path),
        "before": shown(present or ""),
        "after": shown(after or ""),
    }
    result = {"path": str(path), "content": "" if entry["secret"] else present or "", "exists": present is not None}
    return {**result, "by_hand": judgement.by_hand, "backup": backup}, changed, difference


def _completed(module: AnsibleModule, entry: dict[str, Any], record: Record | None) -> dict[str, Any]:
    """A file with what others have added, and its secrets kept out of what Ansible prints."""
    entry = {"merge": False, "secret": False, "owner": None, "mode": "0644", **entry}
    path = Path(entry["path"])
    if entry["secret"]:
        module.no_log_values.update(values(f"{_read(path) or ''}\n{entry['content'] or ''}"))
    if not entry["merge"] or entry["content"] is None:
        return entry
    present = _read(path)
    added = merged(present, entry["content"], _written_lines(entry["path"], present, record))
    return {**entry, "content": added, "own": entry["content"]}


def _renewed(entries: list[dict[str, Any]], record: Record) -> Record:
    """The record after the task: what is written and what was already right is vouched for from now on."""
    gone = {entry["path"] for entry in entries if entry["state"] == "absent"}
    kept = {path: summed for path, summed in record.items() if path not in gone}
    written = {entry["path"]: entry["content"] for entry in entries if entry["path"] not in gone}
    lines = {_lines_key(entry["path"]): lines_record(entry["own"]) for entry in entries if "own" in entry}
    return {**kept, **{path: digest(content) for path, content in written.items() if content is not None}, **lines}


def _remember(module: AnsibleModule, path: Path, record: Record, renewed: Record) -> bool:
    """Write the record anew where it says something else now."""
    if renewed == record:
        return False
    if not module.check_mode:
        _write(module, path, json.dumps(renewed, indent=2, sort_keys=True) + "\n", module.params["owner"])
        module.set_owner_if_different(str(path), module.params["owner"], False)
    return True


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str"},
                    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
                    "mode": {"type": "str", "default": "0644"},
                    "owner": {"type": "str"},
                    "merge": {"type": "bool", "default": False},
                    "secret": {"type": "bool", "default": False},
                },
            },
            "owner": {"type": "str"},
            "record": {"type": "path"},
            "whole_folders": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    recorded = module.params["record"]
    record = _read_record(recorded) if recorded else None
    entries = list(module.params["files"])
    obsolete = left_over(record or {}, {entry["path"] for entry in entries}, module.params["whole_folders"])
    entries += [{"path": path, "content": None, "state": "absent"} for path in obsolete]
    try:
        entries = [_completed(module, entry, record) for entry in entries]
        done = []
        for entry in entries:
            with about(Path(entry["path"])):
                done.append(_apply(module, entry, record))
        changed = any(each[1] for each in done)
        if record is not None:
            changed = _remember(module, Path(recorded), record, _renewed(entries, record)) or changed
    except OSError as error:
        module.fail_json(msg=complaint(error))
    differences = [each[2] for each in done if each[2]["before"] != each[2]["after"]]
    module.exit_json(changed=changed, files=[each[0] for each in done], diff=differences)


if __name__ == "__main__":
    main()
