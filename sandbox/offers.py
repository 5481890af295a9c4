"""What a site offers its nodes beside packages: a conda installer with its channel, wheels, a torch index."""

from __future__ import annotations

import hashlib
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace

from sandbox import conda as standin
from sandbox import image, wheelhouse
from sandbox import nvidia as repositories
from sandbox.nodes import Cluster
from sandbox.nvidia import toolkit as cuda
from sandbox.shell import BUILD, SandboxError, run, say

# Asked only whether they answer; what the roles download is theirs to say.
CONDA_FORGE = "https://conda.anaconda.org/conda-forge/noarch/repodata_shards.msgpack.zst"
MINIFORGE = "https://github.com/conda-forge/miniforge/releases"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu/torch/"
ANSWER_SECONDS = 10
# As at a site that has a wheel of torch for CPUs and no more. The torchvision and torchaudio of the Python index are
# built for the torch of that index, and break beside this one ("operator torchvision::nms does not exist").
TORCH_ALONE = {"torch_index_url": "", "torch_torchvision_version": "none", "torch_torchaudio_version": "none"}


def conda(cluster: Cluster) -> Cluster:
    """The nodes find the stand-in installer and its channel on disk; the inventory names them.

    Its Python is that of the default distribution, which the wheels are for: elsewhere another one than the nodes' own.
    """
    base = image.ensure()
    version = "import platform; print(platform.python_version())"
    python = run(["docker", "run", "--rm", "--entrypoint", "python3", base, "-c", version]).strip()
    folder = BUILD / f"conda-{cluster.distribution}"
    made = standin.build(folder, python, "" if cluster.distribution == image.DEFAULT else base)
    variables = {
        "conda_installer_url": made.installer.as_uri(),
        "conda_installer_checksum": made.sha256,
        "conda_channels": [made.channel.as_uri()],
        "conda_python_version": made.python,
    }
    return replace(cluster, mounts=[*cluster.mounts, folder], variables={**cluster.variables, **variables})


def nvidia(cluster: Cluster) -> Cluster:
    """The nodes find NVIDIA's package repository on disk, as it is for their distribution; the inventory names it."""
    _refuse_others(cluster, "nvidia")
    made = repositories.build(BUILD / "nvidia", image=cluster.image)
    keyring = made.keyring("debian12")
    source = {
        "repository_url": made.of("debian12").as_uri(),
        "keyring_url": keyring.as_uri(),
        "keyring_checksum": f"sha256:{hashlib.sha256(keyring.read_bytes()).hexdigest()}",
    }
    variables = {
        "sandbox_nvidia_folder": str(made.folder),
        "sandbox_nvidia_fingerprint": made.fingerprint,
        **{f"{role}_{name}": value for role in ("nvidia_driver", "cuda_toolkit") for name, value in source.items()},
    }
    return replace(cluster, mounts=[*cluster.mounts, made.folder], variables={**cluster.variables, **variables})


def toolkit(cluster: Cluster) -> Cluster:
    """The nodes find a CUDA toolkit with a real nvcc on disk, as a runfile and in NVIDIA's package repository."""
    _refuse_others(cluster, "toolkit")
    made = cuda.build(BUILD / "toolkit", cluster.image)
    source = repositories.build(BUILD / "toolkit" / "repositories", made.packages, cluster.image)
    keyring = source.keyring("debian12")
    variables = {
        "sandbox_nvidia_folder": str(source.folder),
        "sandbox_nvidia_fingerprint": source.fingerprint,
        "cuda_toolkit_repository_url": source.of("debian12").as_uri(),
        "cuda_toolkit_keyring_url": keyring.as_uri(),
        "cuda_toolkit_keyring_checksum": f"sha256:{hashlib.sha256(keyring.read_bytes()).hexdigest()}",
        "cuda_toolkit_runfiles": {cuda.VERSION: {"source": made.runfile.as_uri(), "checksum": made.sha256}},
    }
    mounts = [*cluster.mounts, made.runfile.parent, source.folder]
    return replace(cluster, mounts=mounts, variables={**cluster.variables, **variables})


def _refuse_others(cluster: Cluster, offer: str) -> None:
    """NVIDIA's packages are made for one distribution."""
    if cluster.distribution != image.DEFAULT:
        raise SandboxError(f"--with {offer} has packages for {image.DEFAULT}, and none for {cluster.distribution}.")


def wheels(cluster: Cluster) -> Cluster:
    """The nodes find DeepSpeed with its shared-memory op compiled, and torch through pip's own configuration."""
    folder = wheelhouse.build(BUILD / "wheelhouse", image.ensure())
    variables = {**TORCH_ALONE, **cluster.variables}
    return replace(cluster, find_links=[*cluster.find_links, folder], variables=variables)


def upstream(cluster: Cluster) -> Cluster:
    """Miniforge and PyTorch's CPU index where the network gives them; else stand-ins, and the output says so."""
    if _answers(MINIFORGE) and _answers(CONDA_FORGE):
        say("conda: Miniforge, from conda-forge")
    else:
        say("conda: no host of Miniforge answers; A STAND-IN installer, built here, takes its place")
        cluster = conda(cluster)
    offered = wheels(cluster)
    if _answers(TORCH_INDEX):
        say("torch: from PyTorch's CPU index")
        return replace(offered, variables=cluster.variables)
    say("torch: PyTorch's index does not answer; it comes from this machine's own pip configuration")
    return offered


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=ANSWER_SECONDS):
            return True
    except (urllib.error.URLError, OSError):
        return False


BY_NAME: dict[str, Callable[[Cluster], Cluster]] = {
    "conda": conda,
    "nvidia": nvidia,
    "toolkit": toolkit,
    "upstream": upstream,
    "wheels": wheels,
}
