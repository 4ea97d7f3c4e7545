"""Do what goes on beside a proc: messages that are due later, and work whose result comes back.

All of it belongs to one incarnation and is gone when that ends. Both come back as messages of the
proc's own, so they wait their turn like any other.

>>> import anyio
>>> from actors import Actor, ActorSystem, on
>>> class Fetch: ...
>>> class Fetched:
...     def __init__(self, text: str) -> None:
...         self.text = text
>>> async def slow() -> str:
...     await anyio.sleep(0.01)
...     return "page"
>>> class Browser(Actor[Fetch | Fetched]):
...     @on(Fetch)
...     def fetch(self, message: Fetch) -> None:
...         self.context.pipe(slow(), into=Fetched)
...     @on(Fetched)
...     def fetched(self, message: Fetched) -> None:
...         print("got", message.text)
...         self.context.stop()
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         browser = await system.spawn(Browser)
...         browser.tell(Fetch())
...         await browser.wait()
>>> anyio.run(main)
got page

`pipe` is Akka's pipeToSelf.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, final

from actors.backends import Interrupted, InterruptibleTask, Waiter
from actors.dead_letters import DeadLetterKind, DeadLetterReason
from actors.engine.life import Life
from actors.mail import carried
from actors.seconds import check_seconds
from actors.timer import Timer

__all__ = ["Background"]


FULL_WHEN_DUE = DeadLetterReason(DeadLetterKind.MAILBOX_FULL, "when a timer was due")


@final
class Background:
    """The part of an incarnation that goes on beside it: its timers, and what was piped."""

    __slots__ = ("_life", "_over", "_piped", "timers")

    def __init__(self, life: Life) -> None:
        self._life = life
        self.timers: dict[Timer, None] = {}
        self._piped: dict[InterruptibleTask, None] = {}
        self._over: Waiter[None] | None = None

    @property
    def works(self) -> bool:
        """Return whether something that was piped is still under way."""
        return bool(self._piped)

    # -- timers -------------------------------------------------------------------------------

    def send_later(self, delay: float, interval: float | None, message: object) -> Timer:
        """Send to the proc itself, once or repeatedly."""
        self._life.check_not_ended()
        once = interval is None
        check_seconds("delay" if once else "interval", delay, zero=once)
        self._admit(message)
        backend = self._life.address.runtime.backend
        carry = self._life.address.runtime.carry
        send = partial(self._send_due, message, carried(carry) if carry else None)
        return Timer(backend, self.timers, delay, interval, send)

    def _send_due(self, message: object, values: tuple[object, ...] | None) -> None:
        address = self._life.address
        message = address.loaded(message, values)
        # The clock cannot wait for room and has nobody to raise to: full means lost, and said.
        if address.simple or not address.full or address.overflow.drops:
            address.offer(message)
        else:
            address.refuse(message, FULL_WHEN_DUE)

    def _admit(self, message: object) -> None:
        address = self._life.address
        if type(message) not in address.accepts.types:
            address.accepts.admit(type(message), address.path)

    # -- pipes --------------------------------------------------------------------------------

    def pipe(
        self,
        awaitable: Awaitable[Any],
        into: Callable[[Any], object],
        failed: Callable[[Exception], object] | None,
    ) -> None:
        """Await beside the proc; the result comes back as a message."""
        life = self._life
        if not life.lives:
            _throw_away(awaitable)
        life.check_not_ended()
        main = partial(self._run_aside, awaitable, into, failed)
        task = life.address.runtime.backend.start(main, f"{life.address.path} pipe")
        self._piped[task] = None

    async def _run_aside(
        self,
        awaitable: Awaitable[Any],
        into: Callable[[Any], object],
        failed: Callable[[Exception], object] | None,
        task: InterruptibleTask,
    ) -> None:
        address = self._life.address
        try:
            if not self._life.lives:
                _throw_away(awaitable)
                return
            message = await self._outcome(task, awaitable, into, failed)
            if message is not None:
                self._admit(message)
                if address.open:
                    address.put(address.loaded(message))
                else:
                    address.refuse(message, address.gone)
        except Interrupted:
            pass
        except GeneratorExit:
            raise
        except BaseException as error:
            self._life.crash(error)
        finally:
            self._piped.pop(task, None)
            if not self._piped and self._over is not None:
                waiter, self._over = self._over, None
                if not waiter.done():
                    waiter.set_result(None)

    async def _outcome(
        self,
        task: InterruptibleTask,
        awaitable: Awaitable[Any],
        into: Callable[[Any], object],
        failed: Callable[[Exception], object] | None,
    ) -> object:
        """Await the work; returns the message to send, None when it was interrupted."""
        try:
            result = await task.guard(awaitable)
        except Exception as error:
            if failed is None:
                raise
            return None if task.hit else failed(error)
        return None if task.hit else into(result)

    # -- the end ------------------------------------------------------------------------------

    async def end_pipes(self) -> None:
        """Cancel what was piped, and wait until it is gone."""
        for task in tuple(self._piped):
            task.interrupt()
        while self._piped:
            await self._life.address.runtime.backend.outlast(self._arm, self._life.kill)

    def _arm(self, waiter: Waiter[None]) -> bool:
        self._over = waiter
        return bool(self._piped)

    def stop_timers(self) -> None:
        """Send no more."""
        for timer in tuple(self.timers):
            timer.cancel()


def _throw_away(awaitable: Awaitable[Any]) -> None:
    """Close what will never be awaited, so that Python does not warn of it."""
    close = getattr(awaitable, "close", None) or getattr(awaitable, "cancel", None)
    if close is not None:
        close()
