"""What lies in the learner's own include folders, for the key of a build."""

from __future__ import annotations

import os
from collections.abc import Iterable

_MOST_FILES = 20_000


def folder_state(folders: Iterable[str]) -> str:
    """Names, sizes and times of all files in these folders: a changed header makes a new build."""
    state: list[str] = []
    for folder in folders:
        for place, inner, files in os.walk(folder):
            inner[:] = sorted(name for name in inner if not name.startswith("."))
            for name in sorted(files):
                try:
                    status = os.stat(os.path.join(place, name))
                except OSError:
                    continue
                state.append(f"{place}/{name} {status.st_size} {status.st_mtime_ns}")
            if len(state) > _MOST_FILES:
                break
    return "\n".join(state)
