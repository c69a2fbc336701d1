"""A cache keyed by content: no lock that can go stale, no clash between notebooks or learners."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from utils.errors import CompileError

_PREFIX = ".building-"
_ABANDONED_AFTER = 3600.0  # seconds: no compiler of the course runs for an hour


def cache_directory() -> Path:
    """The folder of all builds: CONV_CACHE when set, else `conv-course` in the user's cache directory."""
    chosen = os.environ.get("CONV_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "conv-course"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "conv-course"


def content_key(parts: Iterable[str | bytes]) -> str:
    """A hexadecimal name for the parts; their order and their borders count."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()[:32]


def build(
    key_parts: Iterable[str | bytes],
    suffix: str,
    make: Callable[[Path], None],
    directory: Path | str | None = None,
) -> Path:
    """Return the file that `make` makes for these key parts, making it only where it is not there yet.

    `make(path)` writes the file at a path in a private folder, in which it may leave others; the finished
    file is then moved into place at once. Two builders of one key both succeed, and whoever looks sees either
    no file or all of it. A folder that cannot be written raises `CompileError` with what to do about it.
    """
    folder = Path(directory) if directory is not None else cache_directory()
    final = folder / (content_key(key_parts) + suffix)
    if final.exists():
        return final
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        private = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        unfinished = private / ("build" + suffix)
        make(unfinished)
        os.replace(unfinished, final)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(private, ignore_errors=True)
    return final


def _sweep(folder: Path) -> None:
    """Remove what a builder left behind that was killed in the middle of its work."""
    oldest = time.time() - _ABANDONED_AFTER
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                with contextlib.suppress(OSError):
                    if entry.stat().st_mtime < oldest:
                        shutil.rmtree(entry.path, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> CompileError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason, advice = "the disk is full", "Free some space, or set"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        reason, advice = "the folder cannot be written to", "Pass a build_directory of your own, or set"
    else:
        reason, advice = str(error), "Set"
    return CompileError(
        f"Nothing was compiled: {reason} ({folder}). {advice} the environment variable CONV_CACHE "
        "to a folder "
        "with room in it.",
        log=str(error),
    )
