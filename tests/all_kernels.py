"""Every kernel of the course in one file, so that nvcc reads the headers only once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import kernels

INCLUDED = re.compile(r"^#include <[^>]+>", re.MULTILINE)


def write(folder: Path, names: Iterable[str]) -> str:
    """Write these kernels to `folder`, each in a namespace of its own; returns the file that holds all.

    All headers come first, outside of the namespaces; where a kernel includes one again, nothing is left.
    """
    sources = {name: kernels.source(name) for name in names}
    own = [f'#include "{header.name}"' for header in sorted(kernels.INCLUDE.glob("*.h"))]
    others = {line for text in sources.values() for line in INCLUDED.findall(text)}
    text = "\n".join([*own, *sorted(others)]) + "\n"
    for name, source in sources.items():
        (folder / f"{name}.cu").write_text(source)
        text += f'namespace file_{name} {{\n#include "{name}.cu"\n}}\n'
    (folder / "all.cu").write_text(text)
    return "all.cu"
