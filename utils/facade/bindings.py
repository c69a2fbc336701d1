"""The C++ that makes launchers callable through a plain C entry point."""

from __future__ import annotations

from collections.abc import Iterable


def binding_text(functions: Iterable[str]) -> str:
    """C++ to append: `extern "C" facade_call_NAME` for each launcher, and `facade_synchronize`."""
    return "".join(f"FACADE_BIND({name})\n" for name in functions) + "FACADE_SYNCHRONIZE()\n"
