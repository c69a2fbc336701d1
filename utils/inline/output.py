"""What native code prints, collected and printed from Python, so that a cell shows it in order."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator

_libc = ctypes.CDLL(None)


@contextlib.contextmanager
def native_output(wanted: bool = True) -> Iterator[None]:
    """Within it, file descriptor 1 goes to a file; on leaving, its text is printed with `print`.

    A plain `printf` of native code otherwise lands before or after Python's own lines, or nowhere.
    """
    if not wanted:
        yield
        return
    sys.stdout.flush()
    _libc.fflush(None)
    with tempfile.TemporaryFile() as file:
        before = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            yield
        finally:
            _libc.fflush(None)
            os.dup2(before, 1)
            os.close(before)
            file.seek(0)
            text = file.read().decode("utf-8", "replace")
            if text:
                sys.stdout.write(text)
                sys.stdout.flush()
