"""Run a measured program on a fresh event loop of a given kind.

Guarantees: every run gets a loop of its own, and the garbage of whatever ran before
is collected before the loop starts, so no program pays for its predecessor. During the
run the collector is on, as it is in every real program, unless the caller turned it off.

>>> async def double(size: int) -> int:
...     return size * 2
>>> run(Backend.ASYNCIO, double, 21)
42
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from enum import StrEnum
from importlib.util import find_spec
from typing import TypeVar

import anyio
import sniffio

Result = TypeVar("Result")


class Backend(StrEnum):
    """Name the event loops that are measured."""

    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"
    TRIO = "trio"

    @property
    def is_installed(self) -> bool:
        """Tell whether the loop can be imported here."""
        return find_spec(self.value) is not None


def installed() -> tuple[Backend, ...]:
    """List the event loops that can be measured here, asyncio first."""
    return tuple(backend for backend in Backend if backend.is_installed)


def run(backend: Backend, program: Callable[[int], Awaitable[Result]], size: int) -> Result:
    """Run `program(size)` to its end on a fresh loop and give its result.

    Raises whatever the program raises.
    """
    gc.collect()
    if backend is Backend.TRIO:
        return anyio.run(program, size, backend="trio")
    options = {"use_uvloop": backend is Backend.UVLOOP}
    return anyio.run(program, size, backend="asyncio", backend_options=options)


def pause() -> Callable[[], Awaitable[object]]:
    """Give the running loop's cheapest "let the others run" function.

    Senders that take turns must not be measured by the price of an abstraction over
    two loops, so each loop's own function is used on both sides of a pair.
    """
    if sniffio.current_async_library() == "trio":
        import trio

        return trio.lowlevel.checkpoint
    return _asyncio_pause


def _asyncio_pause() -> Awaitable[None]:
    return asyncio.sleep(0)
