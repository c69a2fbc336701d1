"""The course's two exceptions: a source that does not compile, and a kernel that does something wrong."""

from __future__ import annotations

KINDS = (
    "out-of-bounds",
    "misaligned",
    "uninitialized-read",
    "race",
    "barrier-divergence",
    "deadlock",
    "timeout",
    "launch",
    "unsupported",
)


class KernelError(RuntimeError):
    """A kernel did something wrong while it ran.

    Attributes:
        kind: one of `KINDS`.
        kernel: the kernel's name, or None where no kernel was running.
        block, thread: 3-tuples (x, y, z), or None where they are not known (for instance on the GPU).
        line: line number in the learner's own source, counted from 1, or None.
        source: the text of that line, or None.
    """

    def __init__(self, message, *, kind, kernel=None, block=None, thread=None, line=None, source=None):
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {KINDS}, not {kind!r}")
        super().__init__(message)
        self.kind = kind
        self.kernel = kernel
        self.block = block
        self.thread = thread
        self.line = line
        self.source = source

    def __reduce__(self):
        # Exceptions leave an exercise's worker process by pickle, which knows nothing of keyword arguments.
        return _rebuild, (str(self), dict(self.__dict__))


def _rebuild(message, fields):
    return KernelError(message, **fields)


class TorchCheckError(RuntimeError):
    """A TORCH_CHECK of a launcher failed: it was given what it refuses. The message is the launcher's own."""


class CompileError(RuntimeError):
    """A source could not be compiled.

    Attributes:
        line: line number of the first error in the learner's own source, counted from 1, or None.
        log: the compiler's complete output, for whoever wants it.
    """

    def __init__(self, message, *, line=None, log=""):
        super().__init__(message)
        self.line = line
        self.log = log

    def __reduce__(self):
        return _rebuild_compile, (str(self), self.line, self.log)


def _rebuild_compile(message, line, log):
    return CompileError(message, line=line, log=log)
