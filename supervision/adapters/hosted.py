"""The life of a proc in one coroutine, so that what is open is closed whatever happens.

`on_start` and `run` are two pieces of code, and a kill can land between them. What the one has
opened, the other cannot close then. A `Hosted` proc has one piece of code instead, `live`: it
opens, says that it is ready, works and closes, with `async with` and `finally` around all of
it. The engine cancels and awaits that code at the end of the incarnation, also after a kill.

- The start is over as soon as `live` calls `ready`; what it raises before is a failed start.
- What it raises later is a crash; its return is a Normal exit, or Shutdown if it was told to stop.
- Killed, it is cancelled, and the end is announced when it has left its last `finally`.

>>> import anyio
>>> from actors import ActorSystem
>>> class Door(Hosted):
...     async def live(self, shutdown: CancellationToken) -> None:
...         print("open")
...         try:
...             self.ready()
...             await shutdown.wait()
...         finally:
...             print("closed")
>>> async def main() -> None:
...     async with ActorSystem() as system:
...         door = await system.spawn(Door)
...         door.kill()
...         print(await door.wait())
>>> anyio.run(main)
open
closed
killed

That one function says when it is ready and goes on is the idea of `task_status` in trio.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Never, assert_never, final

import anyio

from actors import CancellationToken, Proc

__all__ = ["Hosted"]


class Hosted(Proc[Never]):
    """A proc whose whole life is one coroutine, `live`; it takes no messages."""

    def __init__(self) -> None:
        self._started = anyio.Event()
        self._over = anyio.Event()
        self._ready = False
        self._error: BaseException | None = None

    @abstractmethod
    async def live(self, shutdown: CancellationToken) -> None:
        """Open, call `ready`, work until `shutdown` is cancelled, close.

        Cancelled when the start is given up, when the proc is killed, or taken along by a link.
        """

    def ready(self) -> None:
        """Declare the start over; nothing happens the second time."""
        self._ready = True
        self._started.set()

    @property
    def is_ready(self) -> bool:
        """Tell whether `ready` was called."""
        return self._ready

    @final
    async def on_start(self) -> None:
        """Begin `live`, and wait until it is ready."""
        self.context.pipe(self._host(), into=assert_never)
        await self._started.wait()
        if not self._ready:
            self._raise()  # what came later is for `run` to raise

    @final
    async def run(self, shutdown: CancellationToken) -> None:
        """Wait until `live` has ended."""
        await self._over.wait()
        self._raise()

    async def _host(self) -> Never:
        """Run `live`, and stay until cancelled, so that nothing of it is piped anywhere.

        What `live` raises is handed to `on_start` or `run`, whichever waits: there the engine knows
        whether that is a failed start or a crash. When the engine has cancelled both already, as
        after a kill, nobody waits, and the error is raised here at the last: a late error.
        """
        try:
            await self.live(self.context.shutdown)
        except (anyio.get_cancelled_exc_class(), GeneratorExit):
            raise
        except BaseException as error:
            self._error = error
        self._over.set()
        self._started.set()
        try:
            await anyio.sleep_forever()
        finally:
            self._raise()
        raise AssertionError("this waits for ever")

    def _raise(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            try:
                raise error
            finally:
                del error  # no cycle through the traceback
