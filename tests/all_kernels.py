"""Every kernel of the course in one file, so that nvcc reads the headers only once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import kernels


def write(folder: Path, names: Iterable[str]) -> str:
    """Write these kernels to `folder`, each in a namespace of its own; returns the file that holds all."""
    text = '#include "conv.h"\n'
    for name in names:
        (folder / f"{name}.cu").write_text(kernels.source(name))
        text += f'namespace file_{name} {{\n#include "{name}.cu"\n}}\n'
    (folder / "all.cu").write_text(text)
    return "all.cu"
