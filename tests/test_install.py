"""The set-up behind `make lab` and `make test`: what it says when something is missing, and running it twice.

The environments made here are real, but their lock is empty, so that nothing is downloaded.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from utils import install

ROOT = Path(__file__).resolve().parent.parent
EMPTY_LOCK = "# nothing to install\n"


def make_copy(folder: Path) -> Path:
    """A repository of the set-up's own files alone, under a path with spaces."""
    root = folder / "a path with spaces"
    (root / "utils").mkdir(parents=True)
    shutil.copy(ROOT / "utils" / "install.py", root / "utils")
    shutil.copytree(ROOT / "utils" / "labextension", root / "utils" / "labextension")
    shutil.copy(ROOT / "Makefile", root)
    (root / "requirements.lock").write_text(EMPTY_LOCK)
    (root / "requirements-gpu.lock").write_text(EMPTY_LOCK)
    return root


@pytest.fixture
def copy(tmp_path) -> Path:
    return make_copy(tmp_path)


def set_up(root: Path, **environment: str) -> subprocess.CompletedProcess:
    # The base interpreter, as a learner's python3 would be, not the one of the environment under test.
    python = getattr(sys, "_base_executable", sys.executable)
    return subprocess.run(
        ["make", "--no-print-directory", "setup", f"PYTHON={python}"],
        cwd=root,
        env={**os.environ, "PIP_NO_INDEX": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


def stamp(root: Path) -> Path:
    return root / ".venv" / "ready"


def without(program: str, folder: Path) -> str:
    """A PATH on which everything `make` needs is found, but not this program."""
    folder.mkdir()
    for name in {"sh", "make", "env", "g++", "clang++", "python3"} - {program}:
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


def complaint(result: subprocess.CompletedProcess) -> str:
    """The one line that the set-up wrote to stderr; make adds its own below it."""
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    return lines[0]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A finished set-up, made where somebody left a broken environment behind."""
    root = make_copy(tmp_path_factory.mktemp("installed"))
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("this is no interpreter")
    python.chmod(0o755)
    (root / ".venv" / "junk").touch()
    result = set_up(root)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.endswith("setup: ready\n") and stamp(root).exists()
    return root


def where_utils_is(root: Path) -> str:
    """The folder that `import utils` finds from anywhere, in this environment."""
    command = [root / ".venv" / "bin" / "python", "-c", "import utils.install as i; print(i.__file__)"]
    result = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return str(Path(result.stdout.strip()).parent)


def test_what_is_installed(installed):
    assert not (installed / ".venv" / "junk").exists(), "a half-made environment is made anew"
    assert where_utils_is(installed) == str(installed / "utils")
    extension = installed / ".venv/share/jupyter/labextensions/conv-course-cuda-cells"
    assert (extension / "package.json").exists() and (extension / "static" / "remoteEntry.js").exists()


def test_a_second_call_is_quick_and_silent(installed):
    seconds = []
    for _ in range(3):  # the best of three, since other tests may run beside this one
        start = time.monotonic()
        again = set_up(installed)
        seconds.append(time.monotonic() - start)
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert min(seconds) < 1


def test_a_failed_installation_is_completed_by_the_next(installed):
    kept = installed / ".venv" / "kept"
    kept.touch()
    (installed / "requirements.lock").write_text("./missing.whl\n")
    assert "missing.whl" in complaint(set_up(installed))
    assert not stamp(installed).exists()
    (installed / "requirements.lock").write_text(EMPTY_LOCK)
    assert set_up(installed).returncode == 0
    assert stamp(installed).exists() and kept.exists(), "the environment itself is kept"


def test_a_moved_repository_is_connected_again(installed, tmp_path):
    moved = tmp_path / "moved elsewhere"
    shutil.copytree(installed, moved, symlinks=True)
    assert "ready" in set_up(moved).stdout
    assert where_utils_is(moved) == str(moved / "utils")


def test_no_compiler(copy, tmp_path):
    folder = tmp_path / "bin"
    path = without("g++", folder)
    (folder / "clang++").unlink(missing_ok=True)
    result = set_up(copy, PATH=path, CXX="")
    assert "g++ was not found" in complaint(result) and "apt install g++" in complaint(result)
    assert not (copy / ".venv").exists()


def test_no_python(copy, tmp_path):
    result = subprocess.run(
        ["make", "setup"],
        cwd=copy,
        env={"PATH": without("python3", tmp_path / "bin")},
        capture_output=True,
        text=True,
    )
    assert "python3 was not found" in complaint(result)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 9, 18), (3, 15, 0)])
def test_python_out_of_range(version):
    with pytest.raises(install.SetupError, match=r"Python 3\.10 to 3\.14 is needed") as caught:
        install.check_python(version, "/usr/bin/python3")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [(3, 10, 0), (3, 14, 2)])
def test_python_in_range(version):
    install.check_python(version, "/usr/bin/python3")


def test_an_old_python_can_read_the_installer():
    """Else it would show a SyntaxError in place of the line above."""
    ast.parse((ROOT / "utils" / "install.py").read_text("utf-8"), feature_version=(3, 6))


@pytest.mark.parametrize(
    "environment, there, missing",
    [
        ({}, {"g++"}, None),
        ({}, {"clang++"}, None),
        ({"CXX": "my-g++"}, {"my-g++"}, None),
        ({}, set(), "g++ was not found"),
        ({"CXX": "my-g++"}, {"g++"}, "CXX=my-g++ was not found"),
    ],
)
def test_which_compilers_will_do(environment, there, missing):
    def which(name):
        return name if name in there else None

    if missing is None:
        install.check_compiler(environment, which)
    else:
        with pytest.raises(install.SetupError, match=missing.replace("+", r"\+")):
            install.check_compiler(environment, which)


def test_full_disk():
    install.check_disk(3e9, 3, "/home/me/course")
    with pytest.raises(install.SetupError, match=r"3 GB .* at /home/me/course, 1\.2 GB are left"):
        install.check_disk(1.2e9, 3, "/home/me/course")


def test_full_disk_leaves_nothing_behind(copy, monkeypatch, capsys):
    monkeypatch.setattr(install, "ROOT", copy)
    usage = shutil.disk_usage(copy)._replace(free=10**8)
    monkeypatch.setattr(install.shutil, "disk_usage", lambda path: usage)
    assert install.main() == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (copy / ".venv").exists()


def test_interrupted(copy, monkeypatch, capsys):
    def interrupt(root):
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "ROOT", copy)
    monkeypatch.setattr(install, "set_up", interrupt)
    assert install.main() == 130
    assert "goes on from here" in capsys.readouterr().err


def test_a_gpu_is_seen_by_its_driver(tmp_path):
    assert not install.has_nvidia_gpu(tmp_path / "none", lambda name: None)
    assert install.has_nvidia_gpu(tmp_path / "none", lambda name: "/usr/bin/" + name)
    (tmp_path / "version").touch()
    assert install.has_nvidia_gpu(tmp_path / "version", lambda name: None)
