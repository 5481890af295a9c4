"""A cluster on one machine: containers with systemd and sshd that Ansible reaches like any other server.

`make sandbox`, the Molecule scenarios and the benchmarks all take their nodes from here. Nothing in the collection
knows of it: the nodes differ from real servers only in what the world around them offers (see `world`).
"""
