"""Children that come and go at run time, under a `DynamicSupervisor`.

Each is started by a request and leaves when it ends for good. There may be ten thousand of them;
when the supervisor stops, it tells all of them at once.
"""

from functools import partial

import anyio
from attrs import frozen

from actors import Actor, Ref, Request, on
from supervision import (
    ChildSpec,
    CountChildren,
    DynamicSupervisorSpec,
    Restart,
    StartChild,
    TerminateChild,
    TooManyChildren,
    serve,
)


@frozen
class Say(Request[str]):
    """Ask a session to pass something on; "quit" ends it."""

    text: str


class Session(Actor[Say]):
    """Live as long as a user is there."""

    def __init__(self, user: str) -> None:
        self.user = user

    @on(Say)
    def say(self, message: Say) -> str:
        """Pass it on."""
        if message.text == "quit":
            self.context.stop()
        return f"{self.user} says {message.text}"


def session(user: str) -> ChildSpec[Say]:
    """Describe a session; it comes back after a crash, but not when the user has quit."""
    return ChildSpec(user, partial(Session, user), restart=Restart.TRANSIENT)


async def main() -> None:
    """Let users come and go."""
    async with serve(DynamicSupervisorSpec("sessions", max_children=2)) as app:
        ada: Ref[Say] | None = await app.supervisor.ask(StartChild(session("ada")))
        grace = await app.supervisor.ask(StartChild(session("grace")))
        assert ada is not None
        assert grace is not None
        print(await ada.ask(Say("hello")), "at", ada.path)
        try:
            await app.supervisor.ask(StartChild(session("alan")))
        except TooManyChildren as refusal:
            print("alan has to wait:", refusal)

        print(await grace.ask(Say("quit")))
        await grace.wait()
        await app.supervisor.ask(StartChild(session("alan")))
        print("active:", (await app.supervisor.ask(CountChildren())).active)

        await app.supervisor.ask(TerminateChild("ada"))
        print("ada is alive:", ada.is_alive)
        print("active:", (await app.supervisor.ask(CountChildren())).active)


if __name__ == "__main__":
    anyio.run(main)
