"""The learner's progress, kept in one small JSON file: what was tried and solved, how many hints were read.

{"version": 1, "exercises": {"conv1d_naive": {"state": "tried", "tries": 3, "hints": 1, "attempt": "..."}}}
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from utils.exercise.spec import ROOT

try:
    import fcntl
except ImportError:  # no file locks there: two notebooks may overwrite each other's last entry, no more
    fcntl = None

STATES = ("untouched", "tried", "solved")


def path() -> Path:
    """The progress file: CONV_PROGRESS, or .progress.json in the course's folder."""
    return Path(os.environ.get("CONV_PROGRESS") or ROOT / ".progress.json")


def read() -> dict[str, dict]:
    """Exercise name -> its entry. A damaged file is set aside; a missing one is no progress."""
    file = path()
    try:
        content = json.loads(file.read_text("utf-8"))
        entries = content["exercises"]
        return {name: _checked(entry) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        print(f"your progress cannot be read: {error}", file=sys.stderr)
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        aside = _free_name(file)
        with contextlib.suppress(OSError):
            os.replace(file, aside)
            print(
                f"{file.name} was damaged; it is kept as {aside.name} and a new one begins.", file=sys.stderr
            )
        return {}


def entry(name: str) -> dict:
    """The entry of one exercise; an untouched one where there is none yet."""
    return read().get(name, _checked({}))


@contextlib.contextmanager
def change(name: str) -> Iterator[dict]:
    """Change the entry of one exercise and write the file in one step; where that fails, say so and go on."""
    with _lock():
        entries = read()
        one = entries.setdefault(name, _checked({}))
        yield one
        try:
            _write(entries)
        except OSError as error:
            print(f"your progress is not kept: {error}", file=sys.stderr)


def record_attempt(name: str, text: str, solved: bool) -> None:
    """Remember an attempt. What was solved once stays solved."""
    with change(name) as one:
        one["tries"] += 1
        one["attempt"] = text
        if solved or one["state"] != "solved":
            one["state"] = "solved" if solved else "tried"


def _checked(one: dict) -> dict:
    checked = {
        "state": one.get("state", "untouched"),
        "tries": int(one.get("tries", 0)),
        "hints": int(one.get("hints", 0)),
        "attempt": str(one.get("attempt", "")),
    }
    if checked["state"] not in STATES:
        raise ValueError(f"unknown state {checked['state']!r}")
    return checked


def _write(entries: dict) -> None:
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=file.name, suffix=".new", dir=file.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as stream:
            json.dump(
                {"version": 1, "exercises": entries}, stream, indent=1, ensure_ascii=False, sort_keys=True
            )
            stream.write("\n")
        os.replace(temporary, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _free_name(file: Path) -> Path:
    aside = file.with_name(file.name + ".damaged")
    number = 2
    while aside.exists():
        aside = file.with_name(f"{file.name}.damaged{number}")
        number += 1
    return aside


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Two notebooks may change the file at once: lock the folder, which leaves no lock file behind."""
    descriptor = None
    if fcntl is not None:
        with contextlib.suppress(OSError):
            descriptor = os.open(path().parent, os.O_RDONLY)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)
