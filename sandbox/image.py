"""The images that nodes start from: one of each distribution, built once per content of its recipe."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from sandbox import engine, world
from sandbox.shell import SandboxError, run, say, works

RECIPE = Path(__file__).parent / "image"
OWNER = "fromzero"
REPOSITORY = f"{OWNER}/node"
# All nodes share what zip_bytecode.py keeps: a volume, and where it is on them.
BYTECODE = (f"{OWNER}-zip-bytecode", "/var/cache/zip-bytecode")
DEFAULT = "debian12"
# Distribution -> its image in a registry, and the codename of its release.
DISTRIBUTIONS = {DEFAULT: ("debian:12", "bookworm"), "debian13": ("debian:13", "trixie")}


def ensure(distribution: str = DEFAULT) -> str:
    """The name of the node image: from a registry's base where one answers, else from this machine's apt sources.

    :raises SandboxError: neither a registry nor this machine's sources have the distribution.
    """
    image = f"{REPOSITORY}:{distribution}-{_recipe_digest()}"
    if works(["docker", "image", "inspect", image]):
        return image
    name, codename = DISTRIBUTIONS[distribution]
    base = name if works(["docker", "pull", "--quiet", name], timeout=300) else _bootstrap(codename)
    say(f"Building the node image from {base}")
    arguments = [f"--build-arg={name}={value}" for name, value in {"BASE": base, **world.proxies()}.items()]
    run(["docker", "build", "--quiet", *arguments, "--tag", image, str(RECIPE)])
    return image


def remove() -> None:
    """Remove every node image, the systems that they were built from, and the bytecode that nodes share."""
    if not engine.answers():
        return
    listing = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={OWNER}/*"]
    # By name: an image that others were made from cannot be removed by its number before those.
    names = run(listing).split()
    if names:
        run(["docker", "image", "rm", "--force", *names])
    works(["docker", "volume", "rm", BYTECODE[0]])


def _recipe_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(RECIPE.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _bootstrap(codename: str) -> str:
    """Import a minimal system of a release as an image; no registry is needed."""
    suite = world.suite(codename)
    if not suite.sources.strip():
        raise SandboxError(
            f"No image registry answers, and this machine's apt sources do not have Debian's {codename}; let Docker "
            "reach a registry, or run the sandbox on a Debian machine."
        )
    image = f"{OWNER}/base:{suite.codename}"
    if works(["docker", "image", "inspect", image]):
        return image
    if shutil.which("mmdebstrap") is None:
        engine.install(["mmdebstrap"])
    say(f"No image registry answers: making a minimal {suite.codename} from this machine's apt sources")
    with tempfile.TemporaryDirectory() as folder:
        archive = str(Path(folder) / "base.tar")
        contents = ["--variant=minbase", "--include=ca-certificates", suite.codename]
        run(["mmdebstrap", *contents, archive, "-"], input=suite.sources)
        run(["docker", "import", archive, image])
    return image
