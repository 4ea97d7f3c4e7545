"""Tests of `actors.shapes`: what is of a wrong shape is refused where it is written."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypedDict

import pytest

from actors import Actor, ActorSystem, CancellationToken, Crashed, Proc, Shutdown, on, task
from tests.kit.actors import Do, pair, raising


def plain(*_: object) -> None:
    """Return nothing."""


async def waits(*_: object) -> None:
    """Return nothing, later."""


@pytest.mark.parametrize(
    ("hook", "function"),
    [
        ("on_start", lambda self: None),
        ("on_start", waits),
        ("on_start", None),
        ("on_stop", lambda self, reason: None),
        ("run", lambda self, shutdown: None),
        ("on_undelivered", waits),
        ("on_down", lambda self: None),
        ("on_exit", lambda self, exited: (yield)),
        ("context", "mine"),
    ],
)
def test_a_hook_of_a_wrong_shape_is_refused(hook: str, function: object) -> None:
    """The class statement raises TypeError that names the hook, also for one of a mixin's."""
    if function is waits and hook == "on_start":

        async def function(self: object, more: object) -> None: ...

    good = {"run": waits, hook: function}
    with pytest.raises(TypeError, match=hook):
        type("Bad", (Proc,), good)
    with pytest.raises(TypeError, match=rf"Mixin\.{hook}"):
        type("Bad", (type("Mixin", (), good), Actor), {})


def test_hooks_that_can_be_called_are_let_be() -> None:
    """Decorated hooks, those that return what is awaited, and abstract ones are as they were."""

    @functools.wraps(waits)
    def wrapped(*arguments: object) -> object:
        return waits(*arguments)

    class Base(Proc[str]):
        @abstractmethod
        def on_start(self) -> Any: ...

    class Good(Base):
        on_start = wrapped

        def run(self, shutdown: CancellationToken, more: int = 0) -> Any:
            return waits()

        async def on_stop(self, *_: object) -> None: ...

        def on_down(self, down: object) -> None: ...

        async def on_exit(self, exited: object) -> None: ...

    assert Good().run


@pytest.mark.parametrize(
    "function", [lambda: waits(), plain, partial(plain, 1), lambda shutdown: (yield)]
)
def test_a_function_that_is_no_task_is_refused(function: Callable[..., Any]) -> None:
    """`task` wants a function that takes one token and is awaited, and says so at once."""
    with pytest.raises(TypeError, match="task"):
        task(function)


def test_a_task_may_be_whatever_is_called_with_a_token_and_awaited() -> None:
    """Partials, methods, callable objects and functions that return work are tasks."""

    class Callable_:  # noqa: N801
        async def __call__(self, shutdown: CancellationToken) -> None: ...

        async def method(self, shutdown: CancellationToken) -> None: ...

    def returns(shutdown: CancellationToken) -> Awaitable[None]:
        return waits(shutdown)

    for function in (waits, partial(waits, 1), Callable_(), Callable_().method, returns):
        task(function)


def test_a_handler_is_lost_to_no_other_of_its_name() -> None:
    """Two handlers of one name are refused, in one class and in one that hides its base's."""
    with pytest.raises(TypeError, match="handle: the handler for int has that name"):

        class _Twice(Actor[Any]):
            @on(int)
            def handle(self, message: int) -> None: ...

            @on(str)
            def handle(self, message: str) -> None: ...  # noqa: F811

    class Base(Actor[Any]):
        @on(int)
        def handle(self, message: int) -> None: ...

    with pytest.raises(TypeError, match="handles str, and hides the handler for int"):

        class _Hides(Base):
            @on(str)
            def handle(self, message: str) -> None: ...

    class _Overrides(Base):
        def handle(self, message: int) -> None: ...

    with pytest.raises(TypeError, match="on_start: it is a hook"):

        class _Hook(Actor[Any]):
            @on(str)
            async def on_start(self, message: str) -> None: ...


class Shaped(Protocol):
    """A shape."""

    size: int


class Row(TypedDict):
    """A row."""

    size: int


@pytest.mark.parametrize("kind", [Shaped, Row])
def test_what_is_no_class_of_instances_is_no_message(kind: Any) -> None:
    """A Protocol and a TypedDict are refused, as messages are told apart by their class."""
    with pytest.raises(TypeError, match="finds its handler by its class"):
        on(kind)
    with pytest.raises(TypeError, match="finds its handler by its class"):

        class _Bad(Actor[kind]): ...


@pytest.mark.dead_letters
@pytest.mark.parametrize("reason", ["maintenance", None, Shutdown])
async def test_a_stop_wants_an_exit_reason(reason: Any) -> None:
    """A text as exit reason raises TypeError where it is given, and the actor's end is its own."""
    with raising(BaseExceptionGroup):
        async with ActorSystem() as system:
            one = await pair(system)
            one.ref.tell(Do(lambda doer: doer.context.stop(reason)))
            end = await one.ref.wait()
            assert isinstance(end, Crashed)
            assert "an exit reason is wanted" in str(end.error)
    with pytest.raises(TypeError):
        Crashed("broken")  # type: ignore[arg-type]


async def test_a_listener_that_would_have_to_be_awaited_is_refused() -> None:
    """Event handlers and calls of monitors are plain functions; others are refused at once."""

    class Listener:
        async def __call__(self, event: object) -> None: ...

    async with ActorSystem() as system:
        ref = await system.spawn(task(waits))
        for listener in (waits, Listener()):
            with pytest.raises(TypeError, match="not awaited"):
                system.events.subscribe(listener)
            with pytest.raises(TypeError, match="not awaited"):
                system.monitor(ref, listener)
