"""A control node in a container: where Ansible itself runs, on a newer Python than this machine has."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from sandbox import engine, image, world
from sandbox.shell import SandboxError, run, say, works

DISTRIBUTION = "debian13"
PYTHON = "3.13"
# An image of ours is removed with the others, by image.remove.
REPOSITORY = f"{image.OWNER}/control"
# git and rsync are what the role hostfile would install; the tests of source_build call make.
RECIPE = """\
ARG BASE
FROM ${BASE}
RUN apt-get update \\
 && apt-get install -y --no-install-recommends git make python3-venv rsync \\
 && rm -rf /var/lib/apt/lists/*
"""


class Node:
    """One container for as long as the context lasts.

    :param folder: what is kept between runs, at the same path in the container; the environment is in C(venv) there.
    :param read_only: more folders of this machine, at the same path.
    """

    def __init__(self, folder: Path, read_only: Sequence[Path]) -> None:
        self.folder = folder
        self.venv = folder / "venv"
        self._read_only = read_only
        self._name = f"{image.OWNER}-control-{folder.name}-{os.getpid()}"
        self._image = ""

    def __enter__(self) -> Node:
        engine.ensure()
        self._image = _image()
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = world.pip_configuration()
        pip_conf = self.folder / "pip.conf"
        pip_conf.write_text(world.pip_conf(configuration), encoding="utf-8")
        mounts = {path: path for path in (*world.local_paths(configuration), *self._read_only)}
        mounts[pip_conf] = Path("/etc/pip.conf")
        bundle = world.ca_bundle()
        if bundle:
            mounts[bundle] = Path(world.CA_BUNDLE)
        run(
            [
                *("docker", "run", "--detach", "--rm", "--init", "--name", self._name, "--hostname", "control"),
                *(word for source, target in mounts.items() for word in ("--volume", f"{source}:{target}:ro")),
                *("--volume", f"{self.folder}:{self.folder}"),
                *(word for name, value in world.proxies().items() for word in ("--env", f"{name}={value}")),
                *(self._image, "sleep", "infinity"),
            ]
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Root of the container has written there; the folder is the caller's.
        owner = f"{os.getuid()}:{os.getgid()}"
        works(["docker", "exec", self._name, "chown", "--recursive", owner, str(self.folder)])
        run(["docker", "rm", "--force", self._name])

    def install(self, *packages: str) -> None:
        """Make the environment anew with these packages of pip, unless it has them."""
        stamp = self.folder / "venv.txt"
        content = "\n".join([self._image, *packages]) + "\n"
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == content:
            return
        stamp.unlink(missing_ok=True)
        self._execute(["python3", "-m", "venv", "--clear", str(self.venv)])
        self._execute([f"{self.venv}/bin/python", "-m", "pip", "install", "--quiet", *packages])
        stamp.write_text(content, encoding="utf-8")

    def run(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        cwd: Path = Path("/tmp"),
        ends: int = 0,
        says: str = "",
        quiet: bool = False,
    ) -> None:
        """Run a command of the environment, showing what it prints unless it is to be quiet, and the seconds it took.

        :param ends: the exit code that it must have.
        :param says: what its output must hold.
        :raises SandboxError: it does not.
        """
        say(f"+ {' '.join(argv)}")
        began = time.monotonic()
        done = self._execute(argv, env=env, cwd=cwd, check=False)
        if not quiet or done.returncode != ends:
            say(done.stdout)
        say(f"  {time.monotonic() - began:.0f} s")
        if done.returncode != ends:
            raise SandboxError(f"{argv[0]} ended with {done.returncode} in place of {ends}.")
        if says not in done.stdout:
            raise SandboxError(f"{argv[0]} did not print '{says}'.")

    def _execute(
        self,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        cwd: Path = Path("/tmp"),
        check: bool = True,
    ) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": f"{self.venv}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **(env or {}),
        }
        words = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        done = subprocess.run(
            ["docker", "exec", "--workdir", str(cwd), *words, self._name, *argv],
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if check and done.returncode != 0:
            raise SandboxError(f"'{' '.join(argv)}' failed with exit code {done.returncode}:\n{done.stdout[-2000:]}")
        return done


def _image() -> str:
    """A node image whose Python can make environments."""
    base = image.ensure(DISTRIBUTION)
    name = f"{REPOSITORY}:{hashlib.sha256((base + RECIPE).encode()).hexdigest()[:12]}"
    if not works(["docker", "image", "inspect", name]):
        say(f"Building the image of a control node from {base}")
        arguments = [f"--build-arg={key}={value}" for key, value in {"BASE": base, **world.proxies()}.items()]
        run(["docker", "build", "--quiet", *arguments, "--tag", name, "-"], input=RECIPE)
    return name
