"""`python -m bench.render [--hosts N ...]`: the cost of rendering hostfile, hosts and known_hosts from an inventory.

Prints, for each number of hosts, the seconds that Ansible takes to load the inventory, the seconds of the same play
when it renders the three files too, their ratio, and the size of known_hosts.
"""

from __future__ import annotations

import argparse
import base64
import ipaddress
import shutil
import time
from pathlib import Path

import yaml

from sandbox.shell import BUILD, run

FOLDER = BUILD / "render"
FIRST = ipaddress.ip_address("10.0.0.1")

LOAD = """\
---
- name: Load the inventory
  hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Count the nodes
      ansible.builtin.assert:
        that: groups['nodes'] | length == {count}
"""

RENDER = """
    - name: Render what every node gets
      ansible.builtin.copy:
        content: "{{{{ item.text }}}}"
        dest: "{folder}/{{{{ item.name }}}}"
        mode: "0644"
      loop:
        - {{name: hosts, text: "{{{{ __records | fromzero.deepspeed.hosts_file }}}}"}}
        - {{name: known_hosts, text: "{{{{ __records | fromzero.deepspeed.known_hosts }}}}"}}
        - {{name: hostfile, text: "{{{{ __slots | fromzero.deepspeed.deepspeed_hostfile(order=groups['nodes']) }}}}"}}
      loop_control:
        label: "{{{{ item.name }}}}"
      vars:
        __records: "{{{{ groups['nodes'] | map('extract', hostvars, 'record') }}}}"
        __slots: "{{{{ dict(groups['nodes'] | zip(groups['nodes'] | map('extract', hostvars, 'slots'))) }}}}"
"""


def main() -> None:
    """Measure each number of hosts in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, nargs="+", default=[1000, 10000])
    print(f"{'hosts':>6} {'load s':>7} {'with render s':>13} {'ratio':>6} {'known_hosts KiB':>15}")
    for count in parser.parse_args().hosts:
        print(measure(count), flush=True)


def measure(count: int) -> str:
    """One row of the table, from an inventory in INI-like simplicity: an address, slots, and a record for each host."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    inventory = FOLDER / "hosts.yml"
    hosts = {f"node{number:05}": variables(number) for number in range(count)}
    inventory.write_text(yaml.dump({"nodes": {"hosts": hosts}}, Dumper=yaml.CSafeDumper), encoding="utf-8")
    load = seconds(LOAD.format(count=count), "load.yml", inventory)
    render = seconds((LOAD + RENDER).format(count=count, folder=FOLDER), "render.yml", inventory)
    size = (FOLDER / "known_hosts").stat().st_size / 1024
    return f"{count:>6} {load:>7.1f} {render:>13.1f} {render / load:>6.2f} {size:>15.0f}"


def variables(number: int) -> dict[str, object]:
    """What a node of the bench reports: a record as the module ssh_identity gives it, and its slots."""
    address = str(FIRST + number)
    key = base64.b64encode(number.to_bytes(51, "big")).decode()
    record = {
        "name": f"node{number:05}",
        "names": [f"node{number:05}.example"],
        "address": address,
        "also": [],
        "port": 22,
        "public_keys": [f"ssh-ed25519 {key}"],
        "host_keys": [f"ssh-ed25519 {key}"],
    }
    return {"ansible_host": address, "slots": 8, "record": record}


def seconds(text: str, name: str, inventory: Path) -> float:
    """Wall time of one run of ansible-playbook."""
    playbook = FOLDER / name
    playbook.write_text(text, encoding="utf-8")
    began = time.monotonic()
    run(["ansible-playbook", "-i", str(inventory), str(playbook)])
    return time.monotonic() - began


if __name__ == "__main__":
    main()
