"""Context variables that travel in a tree: `carry` of `serve`, and of `run`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import pytest

from actors import Actor, Request, on
from supervision import Application, ChildSpec, SupervisorSpec, run, serve

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


class Who(Request[str]):
    """Ask for the request that is seen."""


class Teller(Actor[Who]):
    """Tell which request it sees."""

    @on(Who)
    def who(self, message: Who) -> str:
        """Answer."""
        return REQUEST.get()


class Asker(Actor[Who]):
    """Ask the teller on behalf of two requests, write the answers down, and end."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def on_start(self) -> None:
        """Ask, and stop the tree."""
        app = Application.of(self.context)
        for request in ("one", "two"):
            REQUEST.set(request)
            self.log.append(await app.find("teller").ask(Who()))
        self.context.stop()

    @on(Who)
    def who(self, message: Who) -> str:
        """Answer."""
        return REQUEST.get()


TELLER = ChildSpec("teller", Teller)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Any:
    token = REQUEST.set("none")
    yield
    REQUEST.reset(token)


@pytest.mark.parametrize(("carry", "seen"), [((REQUEST,), "one"), ((), "none")])
async def test_serve_carries_what_it_is_told_to(
    carry: tuple[ContextVar[str], ...], seen: str
) -> None:
    """A child of a served tree sees the sender's value of carried variables, and of no others."""
    async with serve(SupervisorSpec("site", [TELLER]), carry=carry) as app:
        REQUEST.set("one")
        assert await app.find("teller").ask(Who()) == seen


@pytest.mark.real_time
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("carry", "seen"), [((REQUEST,), ["one", "two"]), ((), ["none", "none"])])
def test_run_carries_what_it_is_told_to(
    backend: Any, carry: tuple[ContextVar[str], ...], seen: list[str]
) -> None:
    """Under `run` a child's own values travel with what it asks others, if they are carried."""
    log = list[str]()
    asker = ChildSpec("asker", lambda: Asker(log), restart="transient", significant=True)
    tree = SupervisorSpec("site", [TELLER, asker], auto_shutdown="any_significant")
    with pytest.raises(SystemExit) as ended:
        run(tree, backend=backend, log=False, carry=carry)
    assert (ended.value.code, log) == (0, seen)


def test_run_refuses_what_is_no_context_variable() -> None:
    """Anything but context variables is refused before the tree is started."""
    carry: Any = ["REQUEST"]
    with pytest.raises(TypeError, match="carry takes context variables"):
        run(SupervisorSpec("site", [TELLER]), carry=carry)
