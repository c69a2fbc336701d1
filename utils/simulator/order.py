"""In which order threads, warps and blocks take their turns: a choice for all calls inside a `with`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple

ORDERS = ("forward", "reverse", "random")


class Order(NamedTuple):
    """An order of ORDERS, with the seed that decides a random one."""

    name: str = "forward"
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.name} order" + (f" with seed {self.seed}" if self.name == "random" else "")

    @property
    def call(self) -> str:
        """The `thread_order(...)` that asks for it."""
        seed = f", seed={self.seed}" if self.name == "random" else ""
        return f'thread_order("{self.name}"{seed})'


_FORWARD = Order()
_current: ContextVar[Order] = ContextVar("order", default=_FORWARD)


def current_order() -> Order:
    """The order of calls that name none."""
    return _current.get()


def chosen_order(name: str | None, seed: int | None) -> Order:
    """The order with this name and seed; what is None comes from `thread_order` around the call."""
    current = current_order()
    order = Order(current.name if name is None else name, current.seed if seed is None else seed)
    if order.name not in ORDERS:
        raise ValueError(f"order must be one of {ORDERS}, not {order.name!r}")
    return order


@contextlib.contextmanager
def thread_order(order: str = "forward", seed: int = 0) -> Iterator[None]:
    """Let simulated kernels called inside the `with` run their threads in another order.

    Args:
        order: "forward", "reverse" or "random": of the lanes of a warp, the warps of a block and the blocks
            of the grid.
        seed: decides a random order; the same seed gives the same order on every machine.

    A kernel is right only if it is right in every order. A GPU takes no orders: there this does nothing.
    """
    token = _current.set(chosen_order(order, seed))
    try:
        yield
    finally:
        _current.reset(token)
