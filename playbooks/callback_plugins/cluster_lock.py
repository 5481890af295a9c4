# Copyright (c) 2026 The fromzero team
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible loads callbacks beside a playbook by itself, so that cluster_lock works without any ansible.cfg."""

from __future__ import annotations

from ansible_collections.fromzero.deepspeed.plugins.callback.cluster_lock import CallbackModule

__all__ = ["CallbackModule"]
