"""A tree that is changed while it runs: only what differs moves.

`Application.apply` compares the running tree with a new one. A dry run lists the steps. Options
such as a shutdown time change in place; another `start` means stop and start; what is the same in
both trees does not notice. Make the factories with `partial`: equal arguments are no difference.
"""

from functools import partial

import anyio

from actors import Actor, Request, on
from supervision import ChildSpec, SupervisorSpec, serve


class Visits(Request[int]):
    """Ask how many visits there were; asking is one."""


class Site(Actor[Visits]):
    """Count visits since its start."""

    def __init__(self, theme: str) -> None:
        self.theme = theme
        self.visits = 0

    async def on_start(self) -> None:
        """Say what it looks like; there are themes that nobody wants to see."""
        if self.theme == "plaid":
            raise ValueError(self.theme)
        print(f"{self.context.path} starts in {self.theme}")

    @on(Visits)
    def visit(self, message: Visits) -> int:
        """Count one more."""
        self.visits += 1
        return self.visits


def tree(themes: dict[str, str], seconds: float) -> SupervisorSpec:
    """Make the tree for a configuration, as one would at each reading of a file."""
    sites = [
        ChildSpec(name, partial(Site, theme), shutdown=seconds) for name, theme in themes.items()
    ]
    return SupervisorSpec("top", [SupervisorSpec("sites", sites)])


async def main() -> None:
    """Change a configuration twice; the second time it does not work at first."""
    async with serve(tree({"blog": "blue", "shop": "green"}, 5.0)) as app:
        await app.find("sites/blog").ask(Visits())
        new = tree({"news": "white", "blog": "blue", "shop": "red"}, 9.0)
        print("-- dry run")
        print(await app.apply(new, dry_run=True))
        print("-- for real")
        report = await app.apply(new)
        print("steps done:", len(report.done))
        print("visits of the blog:", await app.find("sites/blog").ask(Visits()))
        print("again:", await app.apply(new))

        print("-- a start that fails")
        report = await app.apply(tree({"chat": "plaid", "poll": "gray"}, 9.0))
        for step, error in report.failed:
            print("failed:", step)
            print("because:", error)
        print("done:", [step.path for step in report.done])


if __name__ == "__main__":
    anyio.run(main)
