"""The worker process: whatever its function does, the caller gets a word about it and goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest
import worker_functions

from utils.exercise import worker

ROOT = Path(__file__).resolve().parents[1]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def gone_soon(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def test_events_and_output_of_python_and_c_keep_their_order():
    seen = []

    def output(text):  # it comes in pieces as the pipe has them
        if seen and seen[-1][0] == "output":
            text = seen.pop()[1] + text
        seen.append(("output", text))

    ending = worker.run(
        worker_functions.fine, 41, on_event=lambda event: seen.append(("event", event)), on_output=output
    )
    assert ending == worker.Ending("finished", value=42)
    assert seen == [
        ("output", "from Python\n"),
        ("event", "first"),
        ("output", "from C\n"),
        ("event", "second"),
        ("output", "at the end\n"),
    ]


@pytest.mark.parametrize(
    ("function", "kind", "text"),
    [
        (worker_functions.raises, "failed", "ValueError: no such thing"),
        (worker_functions.leaves, "failed", "SystemExit: 3"),
        (worker_functions.leaves_at_once, "exited", "exit code 3"),
        (worker_functions.leaves_in_c, "exited", "exit code 5"),
        (worker_functions.aborts, "crashed", "abort()"),
        (worker_functions.segfaults, "crashed", "segmentation fault"),
        (worker_functions.overflows_its_stack, "crashed", "stack"),
    ],
)
def test_a_bad_end_is_put_into_words(function, kind, text):
    ending = worker.run(function)
    assert ending.kind == kind
    assert text in ending.message


@pytest.mark.parametrize("function", [worker_functions.hangs, worker_functions.hangs_in_c])
def test_a_hang_is_stopped(function):
    begin = time.monotonic()
    ending = worker.run(function, seconds=1)
    assert ending.kind == "timeout"
    assert ending.message == "stopped after 1 s: it was still running. Is there an endless loop?"
    assert time.monotonic() - begin < 20


def test_a_memory_hog_is_stopped():
    ending = worker.run(worker_functions.eats_memory, megabytes=200)
    assert ending == worker.Ending("memory", "stopped: it took more than 200 MB of memory")


def test_endless_output_is_cut():
    pieces = []
    ending = worker.run(worker_functions.prints_without_end, seconds=1, on_output=pieces.append)
    assert ending.kind == "timeout"
    text = "".join(pieces)
    assert text.startswith("again and again\n" * 100)
    assert text.endswith(f"after {worker.OUTPUT_LIMIT} characters, is not shown]\n")
    assert len(text) < worker.OUTPUT_LIMIT + 200


def test_what_the_child_has_started_ends_with_it():
    pids = []
    ending = worker.run(worker_functions.starts_a_grandchild, seconds=1, on_event=pids.append)
    assert ending.kind == "timeout"
    assert gone_soon(pids[0])


def test_the_child_has_today_s_environment_and_not_the_parent_s_main(monkeypatch):
    worker.run(worker_functions.sees)  # the server is running now, with the environment of its start
    monkeypatch.setenv("WORKER_TEST", "new")
    path_before, main_before = os.environ.get("PYTHONPATH"), sys.modules["__main__"]
    environment, folder, main = worker.run(worker_functions.sees).value
    assert (environment, folder, main) == ("new", os.getcwd(), "__main__")
    assert os.environ.get("PYTHONPATH") == path_before
    assert sys.modules["__main__"] is main_before


def test_a_second_start_is_fast():
    worker.run(worker_functions.sees)
    times = []
    for _ in range(5):
        begin = time.monotonic()
        worker.run(worker_functions.sees)
        times.append(time.monotonic() - begin)
    assert min(times) < 1.0  # about 0.02 s where the machine is idle; importing torch alone would take more


def test_ctrl_c_stops_the_child_and_the_next_run_works():
    """As in a notebook: the interrupt arrives in the main thread while the child hangs."""
    children = []

    def remember(event):
        children.extend(psutil.Process().children(recursive=True))
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        worker.run(worker_functions.hangs, seconds=60, on_event=remember)
    commands = [" ".join(child.cmdline()) for child in children if alive(child.pid)]
    assert all("import main;" in line and "-c from multiprocessing" in line for line in commands), commands
    assert worker.run(worker_functions.fine, 1).value == 2


def test_the_child_ends_when_the_parent_is_killed(tmp_path):
    """A restarted notebook kernel is killed without a word: its worker must not go on for ever."""
    script = textwrap.dedent(
        """
        import sys, os
        sys.path[:0] = [sys.argv[1], sys.argv[2]]
        import worker_functions
        from utils.exercise import worker
        print("ready", flush=True)
        say = lambda pid: print(pid, flush=True)
        worker.run(worker_functions.starts_a_grandchild, seconds=600, on_event=say)
        """
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(ROOT), str(ROOT / "tests")], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "ready\n"
    grandchild = int(parent.stdout.readline())
    child = psutil.Process(grandchild).ppid()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone_soon(grandchild)
    assert gone_soon(child)
