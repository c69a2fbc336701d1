"""pyproject.toml, environment.yml and the two lock files name one set of versions."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FILES = ("pyproject.toml", "environment.yml", "requirements.lock", "requirements-gpu.lock")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
CONDA_ONLY = {"python", "pip", "cxx-compiler"}


def versions(lines: Iterator[str] | list[str], python: str) -> dict[str, str]:
    """Name -> version of the requirements that hold for this Python on x86-64 Linux."""
    machine = {
        "python_version": python,
        "python_full_version": python + ".9",
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }
    found = {}
    for line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(machine):
            found[requirement.name.lower()] = str(requirement.specifier)
    return found


def conda_versions(text: str) -> dict[str, str]:
    """Name on PyPI -> version, of everything environment.yml installs, commented options aside."""
    pairs = [entry.partition("=")[::2] for entry in yaml.safe_load(text)["dependencies"]]
    return {CONDA_NAMES.get(name, name): "==" + version for name, version in pairs}


def differences(texts: dict[str, str]) -> list[str]:
    """What the files disagree on, one line each."""
    project = tomllib.loads(texts["pyproject.toml"])["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["dev"]
    found = []

    def compare(what, where, wanted_versions, actual):
        for name, version in wanted_versions.items():
            if not re.fullmatch(r"==[\w.]+", version):
                found.append(f"{what}: pyproject.toml does not pin {name} to one version, but to {version!r}")
            elif actual.get(name) != version:
                found.append(f"{what}: {name}{version} in pyproject.toml, {actual.get(name)} in {where}")

    for python in PYTHONS:
        lock = versions(texts["requirements.lock"].splitlines(), python)
        gpu_lock = versions(texts["requirements-gpu.lock"].splitlines(), python)
        compare(f"Python {python}", "requirements.lock", versions(wanted, python), lock)
        compare(f"Python {python}", "requirements-gpu.lock", versions(extras["gpu"], python), gpu_lock)
        for name, version in (lock | gpu_lock).items():
            if not re.fullmatch(r"==[\w.]+", version):
                found.append(f"Python {python}: {name}{version} is not one version in the lock files")

    conda = conda_versions(texts["environment.yml"])
    python = conda["python"].removeprefix("==")
    compare("conda", "environment.yml", versions(wanted, python), conda)
    for name in conda.keys() - versions(wanted, python).keys() - CONDA_ONLY:
        found.append(f"conda: environment.yml has {name}, pyproject.toml has not")
    nvcc = re.search(r"# - cuda-nvcc=(\d+\.\d+)$", texts["environment.yml"], re.MULTILINE)
    release = versions(extras["gpu"], python)["nvidia-cuda-nvcc"].removeprefix("==").rpartition(".")[0]
    if nvcc is None or nvcc.group(1) != release:
        found.append(f"conda: nvidia-cuda-nvcc is of CUDA {release}, environment.yml offers {nvcc}")
    return found


@pytest.fixture
def texts() -> dict[str, str]:
    return {name: (ROOT / name).read_text("utf-8") for name in FILES}


def test_all_files_name_the_same_versions(texts):
    assert differences(texts) == []


def test_torch_is_2_13_0(texts):
    assert versions(texts["requirements.lock"].splitlines(), "3.12")["torch"] == "==2.13.0"


@pytest.mark.parametrize(
    "file, old, new, complaint",
    [
        ("pyproject.toml", "torch==2.13.0", "torch==2.13.1", "torch==2.13.1 in pyproject.toml"),
        ("pyproject.toml", "torch==2.13.0", "torch>=2.13.0", "does not pin torch"),
        ("pyproject.toml", "nvidia-nvvm==13.0.88", "nvidia-nvvm==13.1.0", "in requirements-gpu.lock"),
        ("environment.yml", "pytorch=2.13.0", "pytorch=2.12.0", "==2.12.0 in environment.yml"),
        ("environment.yml", "  - nbval=0.11.0\n", "", "None in environment.yml"),
        ("environment.yml", "  - pip\n", "  - pip\n  - scipy=1.17.1\n", "has scipy"),
        ("environment.yml", "cuda-nvcc=13.0", "cuda-nvcc=12.9", "of CUDA 13.0"),
        (
            "requirements.lock",
            "\njupyterlab==4.6.6\n",
            "\njupyterlab==4.6.5\n",
            "==4.6.5 in requirements.lock",
        ),
        ("requirements.lock", "\nninja==1.13.2\n", "\n", "None in requirements.lock"),
        ("requirements.lock", "\nlark==1.3.1\n", "\nlark\n", "lark is not one version"),
    ],
)
def test_one_changed_version_is_found(texts, file, old, new, complaint):
    assert texts[file].count(old) == 1
    texts[file] = texts[file].replace(old, new)
    found = differences(texts)
    assert found and any(complaint in line for line in found), found
