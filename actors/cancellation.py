"""Tell code to stop, without stopping it.

A `CancellationToken` is a one-way switch with a reason. It is usable on its own: cancel it from
anywhere, also from other threads; wait for it; run a block that is cancelled with it; hand
a child to somebody who may be stopped alone. The first reason stays. Cancelling a token cancels
its children, never its parent.

>>> import anyio
>>> async def main() -> str:
...     token = CancellationToken()
...     async with anyio.create_task_group() as tasks:
...         tasks.start_soon(anyio.sleep, 0)
...         token.child().cancel("only the child")
...         assert not token.cancelled
...         token.cancel("enough")
...         async with token.scope():
...             await anyio.sleep_forever()
...     return str(token.reason)
>>> anyio.run(main)
'enough'

The idea is that of .NET's and tokio's cancellation tokens.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, final

import anyio
import anyio.lowlevel

from actors.backends import Backend, Waiter, current_backend

__all__ = ["CancellationToken", "TokenScope", "homeward"]

SLICE = 128
"""So many tasks that wait for a token are woken in a row."""

_keys = itertools.count()


@final
class CancellationToken:
    """A one-way switch that tells those who hold it to stop.

    Safe to use from several threads: it takes no lock, and is built on operations that
    CPython makes atomic (so that a signal handler may cancel too).
    """

    __slots__ = ("__weakref__", "_calls", "_cancelled", "_crowds", "_parent", "_reason")

    def __init__(self) -> None:
        self._cancelled = False
        self._reason: object = None
        self._calls: dict[int, Callable[[], None]] = {}
        self._parent: CancellationToken | None = None
        # By thread; replaced at each change, as other threads may look.
        self._crowds: dict[int, _Crowd] = NO_CROWDS

    @property
    def cancelled(self) -> bool:
        """Return whether it was cancelled, directly or with its parent."""
        return self._cancelled

    @property
    def reason(self) -> object:
        """Return what the first `cancel` gave as reason; None before, and by default."""
        return self._reason

    def cancel(self, reason: object = None) -> None:
        """Cancel it and its children; nothing happens the second time. Never waits.

        May be called from any thread. What was registered with `on_cancel` is called in the
        calling thread, before this returns; what one raises is raised when all were called.
        """
        # Not by recursion: a chain of children may be deeper than Python's stack.
        due: list[CancellationToken] = [self]
        errors: list[BaseException] = []
        while due:
            due.extend(due.pop()._cancel_alone(reason, errors))
        if errors:
            raise errors[0] if len(errors) == 1 else BaseExceptionGroup("calls back", errors)

    def _cancel_alone(self, reason: object, errors: list[BaseException]) -> list[CancellationToken]:
        """Cancel this one and call back; returns the children that are to follow."""
        children: list[CancellationToken] = []
        if self._cancelled:
            return children
        self._reason = reason
        self._cancelled = True
        while self._calls:
            try:
                # In the order of registration: a dict gives its oldest key first.
                call = self._calls.pop(next(iter(self._calls)))
            except (KeyError, StopIteration, RuntimeError):
                continue  # another thread took that one or added one; look again
            if isinstance(call, _Child):
                child = call.held()
                if child is not None:
                    children.append(child)
            else:
                try:
                    call()
                except BaseException as error:
                    errors.append(error)  # the others are to hear of it all the same
        children.reverse()
        return children

    def child(self) -> CancellationToken:
        """Return a new token that is cancelled with this one and can be cancelled alone.

        The parent does not keep it alive.
        """
        token = CancellationToken()
        token._parent = self
        key = next(_keys)
        calls = self._calls
        held = weakref.ref(token, lambda _: calls.pop(key, None))
        self._register(key, _Child(held, self))
        return token

    def on_cancel(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call back once when it is cancelled, at once if it already was.

        Returns a function that takes the call back. `call` runs in the thread that cancels and
        must not raise; in doubt hand over with `loop.call_soon_threadsafe` or its like.
        """
        key = next(_keys)
        self._register(key, call)
        return lambda: void(self._calls.pop(key, None))

    def _register(self, key: int, call: Callable[[], None]) -> None:
        self._calls[key] = call
        # Cancelled between the caller's look and now? Whoever takes the entry out calls it.
        if self._cancelled and self._calls.pop(key, None) is not None:
            call()

    async def wait(self) -> None:
        """Wait until it is cancelled; returns at once if it already was.

        Cancelling the waiting task only ends the wait.
        """
        if self._cancelled:
            await anyio.lowlevel.checkpoint()
            return
        backend, home = current_backend(), threading.get_ident()
        crowd = self._crowds.get(home)
        if crowd is None:
            crowd = _Crowd(backend)
            self._crowds = {**self._crowds, home: crowd}
            crowd.forget = self.on_cancel(homeward(backend, crowd.wake))
        waiter = backend.new_waiter()
        crowd.waiters[waiter] = None
        try:
            await waiter
        finally:
            crowd.waiters.pop(waiter, None)
            if not crowd.waiters:
                crowd.forget()
                self._crowds = {
                    key: other for key, other in self._crowds.items() if other is not crowd
                }

    def __await__(self) -> Generator[Any, None, None]:
        return self.wait().__await__()

    def scope(self) -> TokenScope:
        """Return an async context manager whose body is cancelled when the token is.

        The cancellation ends with the block: the code after it goes on. `token.cancelled`
        tells there whether it was cut short. A cancellation from elsewhere passes through.
        """
        return TokenScope(self)

    def __repr__(self) -> str:
        state = f"cancelled: {self._reason}" if self._cancelled else "live"
        return f"<CancellationToken {state}>"


@final
class _Crowd:
    """Those who wait for a token in one thread.

    However many they are, others have their turn while they are woken, a slice at a time.
    """

    __slots__ = ("_backend", "forget", "waiters")

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.waiters: dict[Waiter[None], None] = {}
        self.forget: Callable[[], None]

    def wake(self) -> None:
        """Wake the first of them, and the others later."""
        for waiter in tuple(itertools.islice(self.waiters, SLICE)):
            del self.waiters[waiter]
            if not waiter.done():
                waiter.set_result(None)
        if self.waiters:
            self._backend.call_at(self._backend.now(), self.wake)


NO_CROWDS: dict[int, _Crowd] = {}
"""Stands for those of a token that nobody waits for; nothing is ever put in."""


@final
class _Child:
    """The entry of a child in its parent, which does not keep it alive."""

    __slots__ = ("held", "parent")

    def __init__(self, held: weakref.ref[CancellationToken], parent: CancellationToken) -> None:
        self.held = held
        self.parent = parent

    def __call__(self) -> None:
        """Cancel the child of a token that was cancelled already."""
        child = self.held()
        if child is not None:
            child.cancel(self.parent.reason)


@final
class TokenScope:
    """A block that is cancelled with its token; made by `CancellationToken.scope`."""

    __slots__ = ("_forget", "_scope", "_token")

    def __init__(self, token: CancellationToken) -> None:
        self._token = token
        self._scope: anyio.CancelScope | None = None
        self._forget: Callable[[], None] | None = None

    async def __aenter__(self) -> CancellationToken:
        self._scope = anyio.CancelScope()
        self._scope.__enter__()
        if self._token.cancelled:
            self._scope.cancel()
        else:
            self._forget = self._token.on_cancel(homeward(current_backend(), self._scope.cancel))
        return self._token

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._forget is not None:
            self._forget()
        assert self._scope is not None
        return self._scope.__exit__(kind, error, traceback)


def homeward(backend: Backend, call: Callable[[], None]) -> Callable[[], None]:
    """Make `call` run in the loop's own thread, whichever thread cancels."""
    home = threading.get_ident()

    def run() -> None:
        if threading.get_ident() == home:
            call()
        else:
            backend.call_soon_threadsafe(call)

    return run


def void(_: object) -> None:
    """Throw a value away."""
