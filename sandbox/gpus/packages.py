"""The packages of a world: those that it names, and what they depend on, as the sandbox's repositories have them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sandbox.gpus.world import Package, World
from sandbox.nvidia import deb, driver


def installed(world: World) -> list[tuple[deb.Package, str]]:
    """Every package that a world's host has, with the state that dpkg has it in."""
    states = {package.name: package.state for package in world.packages}
    return [(package, states.get(package.name, "install ok installed")) for package in _with_needs(world.packages)]


def _with_needs(wanted: Iterable[Package]) -> Iterable[deb.Package]:
    """The named packages first; a package that is named keeps its version, whoever needs it."""
    found: dict[str, deb.Package] = {}
    waiting = []
    for package in wanted:
        family = _family(package)
        found[package.name] = family.get(package.name) or deb.Package(package.name, package.version)
        if not package.alone:
            waiting.append((found[package.name], family))
    while waiting:
        needing, family = waiting.pop(0)
        for need in needing.depends:
            # Any of several will do, and the first is taken where none is there yet.
            names = [either.split()[0] for either in need.split("|")]
            name = next((name for name in names if name in found), names[0])
            if name in family and name not in found:
                found[name] = family[name]
                waiting.append((family[name], family))
    return found.values()


def _family(package: Package) -> Mapping[str, deb.Package]:
    """The packages that a repository would hold beside one, of the same version, by name."""
    version = package.upstream
    named = re.search(r"-(\d{3}(?:-server)?)(?:-open)?$", package.name)
    branch = named[1] if named else version.partition(".")[0]
    number = branch.partition("-")[0]
    family = [driver.dkms(), driver.nvlsm()]
    if number.isdigit():
        debian = driver.debian_driver(number, version, package.version)
        ubuntu = driver.ubuntu_metapackages(number, package.version)
        ubuntu += driver.ubuntu_driver(branch, version, package.version)
        # Some names are those of both distributions; the revision tells which is meant.
        family += [*debian, *ubuntu] if "ubuntu" in package.version else [*ubuntu, *debian]
        family += driver.fabric_manager(number, version, package.version)
    return {made.name: made for made in family}
