"""The image that nodes start from, built once per content of its recipe."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from sandbox import engine, world
from sandbox.shell import run, say, works

RECIPE = Path(__file__).parent / "image"
BASE = "debian:12"
OWNER = "fromzero"
REPOSITORY = f"{OWNER}/node"


def ensure() -> str:
    """The name of the node image: from a registry's base where one answers, else from this machine's apt sources."""
    image = f"{REPOSITORY}:{_recipe_digest()}"
    if works(["docker", "image", "inspect", image]):
        return image
    base = BASE if works(["docker", "pull", "--quiet", BASE], timeout=300) else _bootstrap()
    say(f"Building the node image from {base}")
    arguments = [f"--build-arg={name}={value}" for name, value in {"BASE": base, **world.proxies()}.items()]
    run(["docker", "build", "--quiet", *arguments, "--tag", image, str(RECIPE)])
    return image


def remove() -> None:
    """Remove every node image and the systems that they were built from."""
    names = (
        run(["docker", "image", "ls", "--quiet", "--filter", f"reference={OWNER}/*"]).split()
        if engine.answers()
        else []
    )
    if names:
        run(["docker", "image", "rm", "--force", *dict.fromkeys(names)])


def _recipe_digest() -> str:
    digest = hashlib.sha256()
    for file in sorted(RECIPE.iterdir()):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _bootstrap() -> str:
    """Import a minimal system of this machine's own release as an image; no registry is needed."""
    suite = world.suite()
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
