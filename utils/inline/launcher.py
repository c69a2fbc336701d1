"""What `load_inline` returns: a module whose attributes are launchers, callable from Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from utils.facade import Signature, Source
from utils.facade.signature import REQUIRED

_UNKNOWN = object()  # the Python default of a C++ default that has no Python value


class Launcher:
    """A compiled host function that launches kernels.

    Attributes:
        name: its name in the source.
        signature: its C++ signature.
        source: the whole source.
        backend: "simulator", "cuda" or "torch".
        checked: whether the simulator checks every access.
        options: the flags it was built with, by load_inline's keywords.
        tiles: how many tiles its parameter `tile` chooses from, where `kernels.load` found that out.
    """

    tiles = 0

    def __init__(
        self,
        signature: Signature,
        source: Source,
        backend: str,
        run: Callable[[Signature, list, bool], Any],
        *,
        checked: bool,
        options: Mapping[str, Any],
        doc: str = "",
    ):
        self.name = self.__name__ = signature.name
        self.signature = signature
        self.source = source
        self.backend = backend
        self.checked = checked
        self.options = dict(options)
        self.__doc__ = f"{signature}\n\n{doc}".strip()
        self.__signature__ = _python_signature(signature)
        self._run = run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._run(self.signature, self.signature.bind(args, kwargs), True)

    def nowait(self, *args: Any, **kwargs: Any) -> Any:
        """The same call without waiting for the GPU, for timing; a kernel's errors then show up later."""
        return self._run(self.signature, self.signature.bind(args, kwargs), False)

    def __repr__(self) -> str:
        return f"<launcher {self.signature}, backend {self.backend!r}>"


class Module:
    """The launchers of one source as attributes."""

    def __init__(self, name: str, launchers: Mapping[str, Launcher]):
        self.__name__ = name
        self._launchers = dict(launchers)
        self.__dict__.update(launchers)

    def __iter__(self) -> Iterator[Launcher]:
        return iter(self._launchers.values())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        names = ", ".join(self.__dict__.get("_launchers", {})) or "none"
        raise AttributeError(f"{self.__dict__.get('__name__')} has no launcher {name!r}; it has {names}")

    def __repr__(self) -> str:
        return f"<module {self.__name__!r} with {', '.join(self._launchers) or 'no launchers'}>"


def _python_signature(signature: Signature) -> inspect.Signature | None:
    parameters = []
    for parameter in signature.parameters:
        default = inspect.Parameter.empty
        if parameter.default is not REQUIRED:
            default = parameter.default
        elif parameter.default_text:
            default = _UNKNOWN
        parameters.append((parameter.name, default))
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    try:
        return inspect.Signature(
            [inspect.Parameter(name, kind, default=default) for name, default in parameters]
        )
    except ValueError:  # two parameters of one name, a keyword as a name, a default before none
        return None
