# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
name: environment_file
author: The fromzero team (@fromzero)
version_added: 0.1.0
short_description: Lines that set environment variables, for /etc/environment or for a shell
description:
  - Renders what sessions that are neither interactive nor login sessions read, such as the commands of pdsh.
  - Refuses values that C(pam_env) and a shell would not read alike.
options:
  _input:
    description: Names and values, in the order of the lines. V(true) and V(false) become V(1) and V(0).
    type: dict
    required: true
  shell:
    description: Whether a shell reads the lines, as C(~/.bashrc), rather than C(pam_env).
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: What a login through ssh gets
  ansible.builtin.debug:
    msg: "{{ {'GLOO_SOCKET_IFNAME': 'eth0'} | fromzero.deepspeed.environment_file }}"
"""

RETURN = r"""
_value:
  description: The lines, each with its line end.
  type: str
  sample: "GLOO_SOCKET_IFNAME=eth0\n"
"""

import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError


def _text(name: str, value: Any) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise AnsibleFilterError(f"{name!r} is not a name for an environment variable; use letters, digits and _.")
    text = str(int(value)) if isinstance(value, bool) else str(value)
    # pam_env ends a value at #, and strips quotes that a shell would keep, and the other way round.
    if (
        isinstance(value, (Mapping, list))
        or not text.isprintable()
        or text != text.strip()
        or re.search(r"[#'\"\\]", text)
    ):
        raise AnsibleFilterError(
            f"The environment variable {name} is {text!r}; give one line without quotes, # and backslashes, "
            "and without a space at its ends."
        )
    return text


def environment_file(variables: Mapping[str, Any], shell: bool = False) -> str:
    """See DOCUMENTATION."""
    texts = {str(name): _text(str(name), value) for name, value in variables.items()}
    if shell:
        return "".join(f"export {name}={shlex.quote(text)}\n" for name, text in texts.items())
    return "".join(f"{name}={text}\n" for name, text in texts.items())


class FilterModule:
    """Offers the filter under its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filter by its name."""
        return {"environment_file": environment_file}
