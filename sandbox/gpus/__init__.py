"""Simulated hosts: what a server shows of its GPUs, their driver and its kernel, without any of them.

A world (molecule/shared/worlds/*.yml) says what a host is. The files of a real one appear below a root (`host`), and
inside a node of the sandbox the programs that would look at them or change them act on that state (`programs`). The
nodes run this package with their own Python: it needs nothing beside the standard library.
"""
