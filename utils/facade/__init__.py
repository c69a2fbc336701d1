"""The light `torch/extension.h`, and the way from Python through it to a launcher and back."""

from __future__ import annotations

import functools
from pathlib import Path

from utils.facade.bindings import binding_text
from utils.facade.call import Host, invoke, synchronize
from utils.facade.signature import Parameter, Signature, parse_signatures
from utils.facade.source import Source, make_source

INCLUDE = Path(__file__).parent / "include"

__all__ = [
    "INCLUDE",
    "Host",
    "Parameter",
    "Signature",
    "Source",
    "binding_text",
    "headers",
    "invoke",
    "make_source",
    "parse_signatures",
    "synchronize",
]


@functools.cache
def headers() -> bytes:
    """The text of all the façade's headers, for the keys of builds."""
    return b"".join(path.read_bytes() for path in sorted(INCLUDE.rglob("*.h")))
