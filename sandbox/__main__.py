"""`python -m sandbox up`, `type`, `down`, `prepare`, `clean`: what the Makefile, Molecule and the benchmarks call."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from sandbox import engine, image, nodes, offers, prepared, typed
from sandbox.gpus import node as host
from sandbox.shell import BUILD, SandboxError, say


def main() -> int:
    """Parse the command line and do what it says; the exit code is 1 where the sandbox cannot go on."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    up = verbs.add_parser("up", help="start a cluster and write its inventory")
    up.add_argument("name")
    up.add_argument("--nodes", type=int, default=2, metavar="N")
    up.add_argument(
        "--with", dest="offers", nargs="*", default=[], choices=sorted(offers.BY_NAME), help="what is at hand"
    )
    up.add_argument(
        "--world",
        dest="worlds",
        nargs="*",
        default=[],
        metavar="[NODE=]WORLD",
        help="which simulated host each node is: a name in molecule/shared/worlds, or a file",
    )
    up.add_argument(
        "--from", dest="prepared", choices=sorted(prepared.PREPARATIONS), help="what is installed on the nodes already"
    )
    up.add_argument("--distribution", default=image.DEFAULT, choices=sorted(image.DISTRIBUTIONS), help="what nodes run")
    up.add_argument("--inventory", type=Path, help="where to write the inventory")
    type_ = verbs.add_parser("type", help="type what pages of the documentation say on the head of a cluster")
    type_.add_argument("inventory", type=Path)
    type_.add_argument("pages", type=Path, nargs="+", metavar="PAGE")
    prepare = verbs.add_parser(
        "prepare", help="make what clusters share: the engine, the image, the stand-in, the wheels"
    )
    prepare.add_argument("--bare", action="store_true", help="the engine and the image alone")
    down = verbs.add_parser("down", help="remove a cluster")
    down.add_argument("name")
    verbs.add_parser("clean", help="remove all clusters, the images and what was built")
    arguments = parser.parse_args()
    try:
        if arguments.verb == "up":
            engine.ensure()
            cluster = nodes.Cluster(
                arguments.name,
                arguments.nodes,
                image.ensure(arguments.distribution),
                inventory=arguments.inventory,
                distribution=arguments.distribution,
            )
            cluster = replace(cluster, worlds=host.assign(arguments.worlds, cluster.nodes))
            for offer in arguments.offers:
                cluster = offers.BY_NAME[offer](cluster)
            if arguments.prepared:
                cluster = replace(cluster, image=prepared.ensure(arguments.prepared, arguments.distribution))
            say(f"Inventory: {nodes.up(cluster)}")
        elif arguments.verb == "type":
            typed.type_blocks(arguments.inventory, arguments.pages)
            say("\nLog in: " + shlex.join(typed.login(arguments.inventory)))
        elif arguments.verb == "prepare":
            engine.ensure()
            bare = nodes.Cluster("none", 0, image.ensure())
            if not arguments.bare:
                offers.toolkit(offers.nvidia(offers.wheels(offers.conda(bare))))
        elif engine.answers():
            for name in [arguments.name] if arguments.verb == "down" else nodes.names():
                nodes.down(name)
        if arguments.verb == "clean":
            image.remove()
            shutil.rmtree(BUILD, ignore_errors=True)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
