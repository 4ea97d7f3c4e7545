"""Answer later: a handler may keep the `Reply` and go on with its mail.

A table for two: the first guest asks and waits; both get their answer when the second one comes.
An asker never waits in vain. A reply that is thrown away fails it at once, and so does the end of
the one who should have answered.
"""

import anyio
from attrs import frozen

from actors import Actor, ActorSystem, NoReply, ProcExited, Ref, Refusal, Reply, Request, on


@frozen
class Sit(Request[str]):
    """Ask for company; answered with the name of the other guest."""

    name: str


class Closing(Refusal):
    """Refuse, because it is late."""


class Table(Actor[Sit]):
    """Bring guests together."""

    def __init__(self) -> None:
        self.waiting: tuple[str, Reply[str]] | None = None

    @on(Sit)
    def sit(self, message: Sit, reply: Reply[str]) -> None:
        """Answer two at a time; what this returns is nobody's answer."""
        if message.name == "nobody":
            return  # the reply is thrown away here
        if message.name == "the cook":
            raise OSError("fire in the kitchen")
        if self.waiting is None:
            self.waiting = (message.name, reply)
            return
        name, first = self.waiting
        self.waiting = None
        if message.name == "the waiter":
            first.fail(Closing("we are closing"))
            reply.send("nobody")
        else:
            first.send(message.name)
            reply.send(name)


async def guest(table: Ref[Sit], name: str, outcomes: dict[str, str]) -> None:
    """Ask, and note what comes of it."""
    try:
        outcomes[name] = f"sits with {await table.ask(Sit(name))}"
    except Closing as refusal:
        outcomes[name] = f"goes home: {refusal}"
    except NoReply as error:
        outcomes[name] = f"is left alone: {error}"
    except ProcExited as exited:
        outcomes[name] = f"runs: {exited.reason}"


async def main() -> None:
    """Let guests come, one after the other."""
    names = ("ada", "grace", "alan", "the waiter", "nobody", "barbara", "the cook")
    outcomes: dict[str, str] = {}
    async with ActorSystem() as system:
        table = await system.spawn(Table, id="table")
        # A monitor from outside of any proc; a crash that nobody watches is raised at the end.
        system.monitor(table, lambda down: print(f"{down.ref.path} is gone, {down.reason}"))
        async with anyio.create_task_group() as guests:
            for name in names:
                guests.start_soon(guest, table, name, outcomes)
                await anyio.sleep(0.01)
    for name in names:
        print(name, outcomes[name])


if __name__ == "__main__":
    anyio.run(main)
