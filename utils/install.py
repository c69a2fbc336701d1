"""Makes `.venv`: packages, JupyterLab's colouring of %%cuda cells, the simulator's engine.

`make lab` and `make test` begin here, with whatever python3 the system has. So: standard library alone, and
no syntax newer than Python 3.6, because an old Python must be able to say that it is too old. A second run
finds its stamp and returns at once. Every expected failure is one line on stderr and a status other than 0.

Environment: CONV_TORCH_INDEX, the package index to take torch from (default: PyTorch's CPU wheels on Linux
without an NVIDIA GPU, else the index that pip is configured for).
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST, NEWEST = (3, 10), (3, 14)  # what torch's wheels support
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
NEEDED_GB = {"cpu": 3, "gpu": 12}


class SetupError(Exception):
    """Something that the person at the keyboard has to put right; the message is one line and says how."""


def check_python(version, executable):
    """Raises SetupError unless `version` (major, minor, ...) is one that torch has wheels for."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return
    raise SetupError(
        "Python {}.{} to {}.{} is needed, {} is {}.{}. Name another one: make lab PYTHON=python3.12".format(
            *OLDEST, *NEWEST, executable, *version[:2]
        )
    )


def check_compiler(environment, which=shutil.which):
    """Raises SetupError unless a C++ compiler is there: kernels are compiled on this machine."""
    named = environment.get("CXX")
    if any(which(name) for name in ([named] if named else ["g++", "clang++"])):
        return
    raise SetupError(
        "no C++ compiler, {} was not found. Debian, Ubuntu: sudo apt install g++; "
        "macOS: xcode-select --install".format("CXX=" + named if named else "g++")
    )


def check_disk(free_bytes, needed_gb, folder):
    """Raises SetupError where the packages would not fit."""
    if free_bytes >= needed_gb * 1e9:
        return
    raise SetupError(
        f"about {needed_gb} GB of free disk space are needed at {folder}, {free_bytes / 1e9:.1f} GB are left"
    )


def has_nvidia_gpu(proc=Path("/proc/driver/nvidia/version"), which=shutil.which):
    """True where NVIDIA's driver is loaded; whether it is new enough is torch's business."""
    return proc.exists() or which("nvidia-smi") is not None


def fingerprint(root, device):
    """What an environment was made from; equal to the stamp means that nothing is left to do.

    The path is part of it because the environment points back at the repository; the interpreter's real path
    because a system upgrade from 3.11 to 3.12 leaves a link that works and packages that it does not see.
    """
    digest = hashlib.sha256()
    inputs = sorted(root.glob("requirements*.lock")) + [Path(__file__)]
    inputs += sorted(p for p in (root / "utils" / "labextension").rglob("*") if p.is_file())
    for path in inputs:
        digest.update(path.read_bytes())
    for text in (str(root), device, os.path.realpath(str(python_of(root)))):
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def python_of(root):
    return root / ".venv" / "bin" / "python"


def is_usable(python):
    """True for an interpreter that starts, has pip and a version that we support."""
    probe = "import sys, pip; sys.exit(not {} <= sys.version_info[:2] <= {})".format(OLDEST, NEWEST)
    try:
        return subprocess.call([str(python), "-c", probe], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


class Steps:
    """Runs commands one after the other: their output goes to a log, the screen gets one line a step."""

    def __init__(self, log):
        self.log = log

    def run(self, what, command):
        """Returns the exit status of `command`."""
        start = time.time()
        self.log_before = self.log.stat().st_size
        on_terminal = sys.stdout.isatty()
        print(what, end=" " if on_terminal else "\n", flush=True)
        # A user-wide pip setting of `user = true` would make pip refuse to install into the environment.
        environment = dict(os.environ, PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONNOUSERSITE="1")
        environment.pop("PYTHONPATH", None)
        with open(str(self.log), "ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=str(ROOT),
            )
            try:
                while True:
                    try:
                        status = process.wait(timeout=1)
                        break
                    except subprocess.TimeoutExpired:
                        if on_terminal:
                            print(f"\r{what} {time.time() - start:.0f} s ", end="", flush=True)
            except BaseException:
                process.terminate()
                process.wait()
                raise
        if on_terminal:
            print(f"\r{what} {time.time() - start:.0f} s ")
        return status

    def require(self, what, command):
        """Like run, but a failure raises SetupError with the command's own last error."""
        if self.run(what, command) != 0:
            raise SetupError("{} failed: {}. All of it: {}".format(what, self.last_error(), self.log))

    def last_error(self):
        text = self.log.read_bytes()[self.log_before :].decode("utf-8", "replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        errors = [line for line in lines if re.match(r"(\w*Error|ERROR)\b", line)]
        return (errors or lines or ["no output"])[-1].rstrip(".")


def make_environment(root, log):
    """Makes `.venv` with the interpreter that runs this, unless the one that is there can be completed."""
    folder = root / ".venv"
    if is_usable(python_of(root)):
        return
    check_python(sys.version_info, sys.executable)
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(str(folder))
    folder.mkdir()
    status = Steps(log).run("setup: making .venv", [sys.executable, "-m", "venv", folder])
    if status != 0 or not is_usable(python_of(root)):
        raise SetupError(
            "{} cannot make a virtual environment. Debian, Ubuntu: sudo apt install python3-venv. "
            "All of it: {}".format(sys.executable, log)
        )


def install_packages(root, device, steps):
    """Installs the lock. Without a GPU, torch comes first and without its gigabytes of CUDA packages."""
    lock = root / "requirements.lock"
    pip = [python_of(root), "-m", "pip", "install", "--no-input"]
    torch = re.search(r"(?m)^torch==\S+", lock.read_text("utf-8"))
    index = os.environ.get("CONV_TORCH_INDEX")
    if torch and index:
        steps.require(
            "setup: installing " + torch.group(), pip + ["--no-deps", "--index-url", index, torch.group()]
        )
    elif torch and device == "cpu" and sys.platform == "linux":
        # A wheel that pip was told of (PIP_FIND_LINKS) goes first. Where neither is to be had, the lock's own
        # line brings torch from pip's index: larger, but it works.
        for what, source in (
            ("setup: trying this machine's own wheels for torch", ["--no-index"]),
            ("setup: installing torch for the CPU", ["--retries", "1", "--index-url", CPU_WHEELS]),
        ):
            if steps.run(what, pip + ["--no-deps"] + source + [torch.group()]) == 0:
                break
    locks = ["-r", lock]
    if device == "gpu" and (root / "requirements-gpu.lock").exists():
        locks += ["-r", root / "requirements-gpu.lock"]
    steps.require("setup: installing packages (some minutes the first time)", pip + locks)
    if torch:
        # jsonschema tries to import it and does without it. The import parses a grammar: seconds at every
        # start of JupyterLab and pytest. A plain `pip install -r requirements.lock` is only slower for it.
        uninstall = [python_of(root), "-m", "pip", "uninstall", "-y", "rfc3987-syntax"]
        steps.require("setup: tidying up", uninstall)


def connect(root):
    """Tells the environment where the repository is, and JupyterLab how to colour %%cuda cells."""
    query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    packages = subprocess.check_output([str(python_of(root)), "-c", query]).decode().rstrip("\n")
    # One line in a .pth file makes `import utils` work in every notebook; nothing is built or copied.
    (Path(packages) / "conv_course.pth").write_text(str(root) + "\n", "utf-8")
    jupyter = root / ".venv" / "share" / "jupyter"
    source = root / "utils" / "labextension"
    if source.is_dir():
        target = jupyter / "labextensions" / "conv-course-cuda-cells"
        shutil.rmtree(str(target), ignore_errors=True)
        shutil.copytree(str(source), str(target))
    settings = jupyter / "lab" / "settings"
    settings.mkdir(parents=True, exist_ok=True)
    # Else the first thing a learner meets is JupyterLab's question about its newsletter.
    (settings / "overrides.json").write_text(
        '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}\n'
    )


def set_up(root):
    """Brings `.venv` up to date. Does nothing, quickly, where its stamp says that it is."""
    check_compiler(os.environ)
    device = "gpu" if has_nvidia_gpu() else "cpu"
    stamp = root / ".venv" / "ready"
    if stamp.exists() and python_of(root).exists() and stamp.read_text() == fingerprint(root, device):
        return
    if not any((root / ".venv").glob("lib/python*/site-packages/torch")):
        check_disk(shutil.disk_usage(str(root)).free, NEEDED_GB[device], root)
    if stamp.exists():
        stamp.unlink()  # an interrupted run must not leave the old one
    log = root / ".venv.log"
    log.write_bytes(b"")
    make_environment(root, log)
    steps = Steps(log)
    install_packages(root, device, steps)
    connect(root)
    if (root / "utils" / "simulator" / "__main__.py").exists():
        steps.require("setup: building the simulator", [python_of(root), "-m", "utils.simulator"])
    stamp.write_text(fingerprint(root, device))
    log.unlink()
    print("setup: ready", flush=True)


def main():
    # Two terminals may start at once; the lock is on the folder itself, so that no lock file can go stale.
    folder = os.open(str(ROOT), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        set_up(ROOT)
    except SetupError as error:
        print("setup: " + str(error), file=sys.stderr)
        return 1
    except OSError as error:
        print(f"setup: {error.strerror}: {error.filename or ROOT}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsetup: interrupted; the next call goes on from here", file=sys.stderr)
        return 130
    finally:
        os.close(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
