"""Run a function in a process of its own, so that nothing it does can cost the learner the notebook.

A learner's kernel may crash, hang, call exit() or eat the memory. `run` therefore starts a child process,
watches its clock and its memory, collects what it prints (from Python and from C alike), and says in words
how it ended.

The child comes from multiprocessing's fork server, which has imported torch once and then forks in
milliseconds. The server never touches CUDA, so the child can initialise it even where the notebook has done
so already.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import gc
import io
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing import connection

import psutil

PRELOADED = ("torch", "psutil", "utils.exercise.checking", "utils.inline", "utils.simulator", "utils.check")
OUTPUT_LIMIT = 20_000  # characters of the child's output that are kept
TICK = 0.05  # seconds between two looks at the child's memory
_START = threading.Lock()


@dataclass(frozen=True)
class Ending:
    """How the child ended.

    Attributes:
        kind: "finished", or "failed" (the function itself raised), "crashed", "exited", "timeout", "memory".
        message: one sentence for the learner; "" when finished.
        value: what the function returned, when finished.
    """

    kind: str
    message: str = ""
    value: object = None


def run(
    function: Callable,
    *arguments: object,
    seconds: float = 20.0,
    megabytes: float = 2000.0,
    on_event: Callable[[object], None] = lambda event: None,
    on_output: Callable[[str], None] = lambda text: None,
) -> Ending:
    """Call `function(send, *arguments)` in a child process and wait for its end.

    Args:
        function: importable by name. `send(event, seconds=None)` hands an event to `on_event` here and
            waits until it has been taken, so that events and output keep their order; it also starts the
            clock again.
        seconds: time limit from one event to the next, unless `send` asked for another one.
        megabytes: how much the child and its own children may grow beyond what they weigh at the start.
        on_output: gets the printed text, in order with the events, at most OUTPUT_LIMIT characters in all.

    Whatever happens, KeyboardInterrupt included, no process of the child's is left behind.
    """
    ours, theirs = multiprocessing.Pipe()
    output, output_in = os.pipe()
    os.set_blocking(output, False)
    context = multiprocessing.get_context("forkserver")
    printed = _Output(output, on_output)
    process = None
    try:
        output_handle = connection.Connection(
            output_in, readable=False
        )  # the picklable form of a file descriptor
        arguments_of_child = (theirs, output_handle, dict(os.environ), function, arguments)
        with _START, _plain_main():
            context.set_forkserver_preload(list(PRELOADED))
            process = context.Process(target=_child, args=arguments_of_child, daemon=True)
            process.start()
        theirs.close()
        output_handle.close()
        return _watch(process, ours, printed, seconds, megabytes, on_event)
    finally:
        if process is not None and process.pid is not None:
            _kill(process)
        ours.close()
        os.close(output)


@contextlib.contextmanager
def _plain_main() -> Iterator[None]:
    """Let multiprocessing start children with the parent's sys.path and without its __main__.

    Otherwise every child would run pytest's start script once more, and up to Python 3.13 the server would
    not find `utils` at all (cpython issue 117378).
    """
    main, path = sys.modules["__main__"], os.environ.get("PYTHONPATH")
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ["PYTHONPATH"] = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if path is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = path


def _watch(process, channel, printed, seconds, megabytes, on_event) -> Ending:
    """Serve the child until it returns, dies or breaks a limit."""
    limit, weight = seconds, _Weight(process.pid)
    clock = time.monotonic()
    while True:
        ready = connection.wait([channel, process.sentinel, *printed.open], timeout=TICK)
        printed.drain()
        if channel in ready:
            try:
                kind, content, allowance = channel.recv()
            except (EOFError, ConnectionResetError):
                process.join(2)  # most likely it closed the channel by dying
                printed.drain()
                return _how_it_died(process.exitcode)
            printed.drain()
            if kind == "return":
                return Ending("finished", value=content)
            if kind == "raise":
                return Ending("failed", content)
            limit, clock = allowance or seconds, time.monotonic()
            on_event(content)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                channel.send("taken")
        elif process.sentinel in ready and not channel.poll():
            process.join()  # dead, while a process of its own still holds the channel
            return _how_it_died(process.exitcode)
        elif weight.megabytes() > megabytes:
            return Ending("memory", f"stopped: it took more than {megabytes:g} MB of memory")
        elif time.monotonic() - clock > limit:
            return Ending(
                "timeout", f"stopped after {limit:g} s: it was still running. Is there an endless loop?"
            )


def _how_it_died(code: int | None) -> Ending:
    reasons = {
        signal.SIGSEGV: "it crashed: it used memory or stack that is not its own (segmentation fault)",
        signal.SIGBUS: "it crashed: it used memory that is not there (bus error)",
        signal.SIGFPE: "it crashed: an integer was divided by zero",
        signal.SIGABRT: "it crashed: abort() was called, or a C++ exception was not caught",
        signal.SIGILL: "it crashed: the processor met an instruction that it does not know",
        signal.SIGKILL: "it was killed from outside, most likely because the machine ran out of memory",
    }
    if code is None:
        return Ending("crashed", "it closed the files through which its process speaks to this notebook")
    if code < 0:
        return Ending("crashed", reasons.get(-code, f"it was ended by signal {-code}"))
    return Ending("exited", f"it left the program with exit code {code}: an exercise must return instead")


def _kill(process) -> None:
    """End the child and everything it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)  # the child leads a group of its own ...
    process.kill()  # ... unless it had no time to become its leader
    process.join()
    process.close()


class _Weight:
    """What a process and its children weigh beyond what the process weighed when it was first seen."""

    def __init__(self, pid: int):
        self._process = None
        with contextlib.suppress(psutil.Error):
            self._process = psutil.Process(pid)
        self._children: list[psutil.Process] = []
        self._next_census = 0.0
        self._first = self._own()

    def megabytes(self) -> float:
        return (self._own() + self._childrens() - self._first) / 1e6

    def _own(self) -> int:
        try:
            return self._process.memory_info().rss if self._process else 0
        except psutil.Error:
            return 0

    def _childrens(self) -> int:
        if self._process and time.monotonic() > self._next_census:  # a census reads all of /proc: seldom
            self._next_census = time.monotonic() + 0.5
            with contextlib.suppress(psutil.Error):
                self._children = self._process.children(recursive=True)
        total = 0
        for child in self._children:
            with contextlib.suppress(psutil.Error):
                total += child.memory_info().rss
        return total


class _Output:
    """Reads what the child prints and passes the first OUTPUT_LIMIT characters on."""

    def __init__(self, descriptor: int, on_output: Callable[[str], None]):
        self.open = [descriptor]  # empty once every writer is gone
        self._on_output = on_output
        self._left = OUTPUT_LIMIT
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def drain(self) -> None:
        pieces = []
        for _ in range(64):  # a child that prints without end must not keep us here
            if not self.open:
                break
            try:
                piece = os.read(self.open[0], 65536)
            except BlockingIOError:
                break
            if not piece:
                self.open.clear()
            pieces.append(piece)
        if not pieces or self._left <= 0:
            return
        text = self._decoder.decode(b"".join(pieces))
        self._on_output(text[: self._left])
        self._left -= len(text)
        if self._left <= 0:
            self._on_output(f"\n[the rest of the output, after {OUTPUT_LIMIT} characters, is not shown]\n")


# ---- what follows runs in the child


def _child(channel, output, environment, function, arguments) -> None:
    gc.freeze()  # or the first collection would touch, and so copy, every object of the server's
    os.setsid()  # its own group: the notebook's interrupt does not reach it; it is killed as a whole
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core files in the learner's folder
    os.environ.clear()
    os.environ.update(environment)  # the server's own is as old as the server
    for descriptor in (1, 2):
        os.dup2(output.fileno(), descriptor)
    output.close()
    sys.stdout, sys.stderr = _text_output(1), _text_output(2)
    taken = threading.Semaphore(0)
    threading.Thread(target=_listen, args=(channel, taken), daemon=True).start()

    def send(event: object, seconds: float | None = None) -> None:
        _flush()
        channel.send(("event", event, seconds))
        taken.acquire()

    try:
        last = ("return", function(send, *arguments), None)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are the learner's doing as well
        last = ("raise", f"{type(error).__name__}: {error}", None)
    _flush()
    channel.send(last)
    taken.acquire()  # the parent answers by killing us: nothing of the learner's runs at exit


def _text_output(descriptor: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(descriptor, "w", closefd=False), "utf-8", "replace", write_through=True)


def _listen(channel, taken: threading.Semaphore) -> None:
    """Pass the parent's answers on; when the parent is gone, end this process and all that it has started."""
    try:
        while True:
            channel.recv()
            taken.release()
    except (EOFError, OSError):
        os.killpg(os.getpid(), signal.SIGKILL)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)  # C's own buffers: printf of the learner's host code
