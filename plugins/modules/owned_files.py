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
      mode:
        description: The permissions of the file.
        type: str
        default: "0644"
  owner:
    description: The account that the files and new folders belong to. By default the one that runs the module.
    type: str
  record:
    description: The file that holds the checksums. Needed where a file is written.
    type: path
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
"""

RETURN = r"""
files:
  description: What was found, and done, for each file in the order of the task.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: Where the file lies.
      type: str
      sample: /job/hostfile
    content:
      description: What the file held before the task; empty where there was none.
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
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.fromzero.deepspeed.plugins.module_utils._owned_files import Record, digest, judge


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else None


def _read_record(path: str | None) -> Record:
    text = _read(Path(path)) if path else None
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
    temporary = Path(module.tmpdir) / f"{digest(str(path))}.new"
    temporary.write_text(content, encoding="utf-8", errors="surrogateescape")
    module.atomic_move(str(temporary), str(path))


def _apply(module: AnsibleModule, entry: dict[str, Any], record: Record) -> dict[str, Any]:
    """Bring one file to its content; the result carries 'changed' and 'diff' beside what RETURN names."""
    path, wanted, owner = Path(entry["path"]), entry["content"], module.params["owner"]
    present = _read(path)
    verdict = judge(str(path), present, wanted, record)
    result = {
        "path": str(path),
        "content": present or "",
        "exists": present is not None,
        "by_hand": verdict.by_hand,
        "backup": "",
        "changed": verdict.write,
        "diff": {
            "before_header": str(path),
            "after_header": str(path),
            "before": present or "",
            "after": (present if wanted is None else wanted) or "",
        },
    }
    if wanted is None:
        return result
    if verdict.write and not module.check_mode:
        if verdict.by_hand:
            result["backup"] = module.backup_local(str(path))
        _write(module, path, wanted, owner)
    if verdict.write and verdict.by_hand:
        keeping = f"it is kept as {result['backup']}" if result["backup"] else "it would be kept as a copy"
        module.warn(f"{path} was edited by hand; {keeping}. The difference:\n{verdict.difference}")
    if path.exists():
        changed = module.set_owner_if_different(str(path), owner, False)
        result["changed"] = module.set_mode_if_different(str(path), entry["mode"], changed) or result["changed"]
    return result


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
                    "mode": {"type": "str", "default": "0644"},
                },
            },
            "owner": {"type": "str"},
            "record": {"type": "path"},
        },
        supports_check_mode=True,
    )
    writes = [entry for entry in module.params["files"] if entry["content"] is not None]
    if writes and not module.params["record"]:
        module.fail_json(msg=f"{writes[0]['path']} cannot be written without a record; name a file in 'record'.")
    record = _read_record(module.params["record"])
    try:
        results: list[dict[str, Any]] = [_apply(module, entry, record) for entry in module.params["files"]]
        # What is written and what was already right is vouched for from now on; other entries stay.
        renewed = {**record, **{entry["path"]: digest(entry["content"]) for entry in writes}}
        changed = any(result.pop("changed") for result in results)
        if renewed != record:
            changed = True
            if not module.check_mode:
                _write(
                    module,
                    Path(module.params["record"]),
                    json.dumps(renewed, indent=2, sort_keys=True) + "\n",
                    module.params["owner"],
                )
                module.set_owner_if_different(module.params["record"], module.params["owner"], False)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'A file'} cannot be read or written: {error.strerror or error}.")
    differences = [result.pop("diff") for result in results]
    module.exit_json(
        changed=changed, files=results, diff=[each for each in differences if each["before"] != each["after"]]
    )


if __name__ == "__main__":
    main()
