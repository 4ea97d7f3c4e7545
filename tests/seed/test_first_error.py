"""The first error stops the others in reverse order, and is what the caller sees."""

import anyio
import pytest

from actors import CancellationToken, Crashed, Event, Proc, StopError, task
from actors.testing import settle
from supervision import ChildSpec, ChildStartFailed, SupervisorSpec, TreeExited, serve
from supervision.events import ChildStopped

pytestmark = pytest.mark.dead_letters


class Service(Proc[object]):
    """Run until told to stop, then fail at it."""

    def __init__(self, diary: list[str], id: str, error: Exception | None = None) -> None:
        self.diary = diary
        self.id = id
        self.error = error

    async def run(self, shutdown: CancellationToken) -> None:
        """Wait."""
        await shutdown.wait()

    async def on_stop(self, reason: object) -> None:
        """Note it, then raise what is to be raised."""
        self.diary.append(self.id)
        if self.error is not None:
            raise self.error


def service(diary: list[str], id: str, error: Exception | None = None) -> ChildSpec:  # type: ignore[type-arg]
    """Make the spec of a service."""
    return ChildSpec(id, lambda: Service(diary, id, error))


def failing(error: Exception, seconds: float = 1.0) -> ChildSpec:  # type: ignore[type-arg]
    """Make a proc that crashes after a while."""

    async def fail(shutdown: CancellationToken) -> None:
        await anyio.sleep(seconds)
        raise error

    return ChildSpec("failing", task(fail))


async def test_the_first_error_stops_the_others_and_reaches_the_caller() -> None:
    """With no restarts allowed the first crash ends all, in reverse, and is the cause raised."""
    diary: list[str] = []
    error = ConnectionError("port is closed")
    children = [service(diary, "a"), failing(error), service(diary, "b"), service(diary, "c")]
    with pytest.raises(TreeExited) as caught:
        async with serve(SupervisorSpec("shop", children, max_restarts=0)) as app:
            await app.wait()
    assert diary == ["c", "b", "a"]
    assert caught.value.__cause__ is error


async def test_every_later_error_is_kept_in_the_group() -> None:
    """Errors raised while the others stop, also in subtrees, stand behind the first, in order."""
    diary: list[str] = []
    first = ConnectionError("first")
    children = [
        service(diary, "a", ValueError("a")),
        service(diary, "b"),
        failing(first),
        SupervisorSpec("inner", [service(diary, "x", OSError("x"))]),
        service(diary, "c", KeyError("c")),
    ]
    with pytest.raises(TreeExited) as caught:
        async with serve(SupervisorSpec("shop", children, max_restarts=0)) as app:
            await app.wait()
    assert diary == ["c", "x", "b", "a"]
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    kinds = [type(error) for error in group.exceptions]
    assert kinds == [ConnectionError, KeyError, OSError, ValueError]
    assert group.exceptions[0] is first


async def test_later_errors_of_a_failed_start_are_kept_in_the_group() -> None:
    """What is raised by those that are stopped after a failed start stands behind its error."""
    diary: list[str] = []
    first = ConnectionError("no port")

    def broken() -> Proc[object]:
        raise first

    children = [service(diary, "a", ValueError("a")), service(diary, "b", KeyError("b"))]
    with pytest.raises(ChildStartFailed, match=r"^c failed to start: ConnectionError") as caught:
        async with serve(SupervisorSpec("shop", [*children, ChildSpec("c", broken)])):
            pass
    assert diary == ["b", "a"]
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert [type(error) for error in group.exceptions] == [ConnectionError, KeyError, ValueError]
    assert group.exceptions[0] is first


async def test_an_error_while_stopping_in_good_order_is_on_the_event_stream() -> None:
    """An error raised while the tree stops in order is reported, and stops nothing."""
    diary: list[str] = []
    heard: list[Event] = []
    error = ValueError("b")
    children = [service(diary, "a"), service(diary, "b", error), service(diary, "c")]
    async with serve(SupervisorSpec("shop", children), observe=[heard.append]):
        await settle()
    assert diary == ["c", "b", "a"]
    assert [event.error for event in heard if isinstance(event, StopError)] == [error]
    stopped = [event for event in heard if isinstance(event, ChildStopped)]
    assert [event.reason == Crashed(error) for event in stopped] == [False, True, False]
    assert [event.expected for event in stopped] == [True, False, True]
