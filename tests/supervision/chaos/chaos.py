"""A tree of two hundred procs, and what befalls it in an hour: crashes, hangs, kills, changes.

Everything random comes from one generator, so a seed tells the whole story again on asyncio; trio
shuffles what can run at the same moment. Whether the tree keeps its promises is seen by the checks
of `checks.py`, at each event; the driver adds what can only be seen at a quiet moment.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import anyio
from anyio.abc import TaskGroup
from attrs import evolve

from actors import ActorError, AnyRef, Event, Refusal
from actors.testing import settle
from supervision import (
    Application,
    ChildState,
    DeleteChild,
    Pool,
    RestartChild,
    StartChild,
    SupervisionError,
    SupervisorSpec,
    TerminateChild,
    WhichChildren,
    serve,
)
from supervision.specs import walk
from supervision.supervisors import GetPartition, ResizePartitions
from tests.supervision.chaos.checks import Budgets, Check, Lives, Mail, Order
from tests.supervision.chaos.rules import Numbered, Rules, parent_of
from tests.supervision.chaos.tree import Fault, Question, World, grow, worker

__all__ = ["Chaos"]

MINUTE = 60.0


# -- the driver ------------------------------------------------------------------------------------


class Chaos:
    """Serve a tree, let an hour of misfortune pass, and collect the faults that were seen."""

    def __init__(self, seed: int, *, seconds: float = 60 * MINUTE) -> None:
        self.random = Random(seed)
        self.seconds = seconds
        self.world = World(Random(seed + 1))
        self.tree = grow(self.world)
        self.rules = Rules(self.tree)
        self.faults: list[str] = []
        self.history: deque[tuple[float, Event]] = deque(maxlen=60)
        checks = (self.rules, anyio.current_time, self.faults)
        self.lives, self.order = Lives(*checks), Order(*checks)
        self.budgets, self.mail = Budgets(*checks), Mail(*checks)
        self.checks: tuple[Check, ...] = (self.lives, self.order, self.budgets, self.mail)
        self.seen: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.asked = 0
        self.answered: Counter[str] = Counter()
        self.numbers = 0
        self.sizes: list[int] = []
        self.app: Application
        self.tasks: TaskGroup

    def hear(self, event: Event) -> None:
        """Hand an event to all checks."""
        self.seen[type(event).__name__] += 1
        if not self.faults:
            self.history.append((anyio.current_time(), event))
        for check in self.checks:
            check.hear(event)

    async def run(self) -> None:
        """Let it all happen; stop at the first fault."""
        async with serve(self.tree, observe=[self.hear]) as app:
            self.app = app
            async with anyio.create_task_group() as self.tasks:
                await self._drive()
            await app.stop()
            self._look_for_remains()
        self.mail.finish()
        if self.asked != self.answered.total():
            self.faults.append(f"{self.asked} asked, {self.answered.total()} answered or failed")

    async def _drive(self) -> None:
        end = anyio.current_time() + self.seconds
        look = anyio.current_time() + MINUTE
        while anyio.current_time() < end and not self.faults:
            await anyio.sleep(self.random.expovariate(1.2))
            name = self.random.choices(list(self.deeds), list(self.deeds.values()))[0]
            self.done[name] += 1
            getattr(self, f"_{name}")()
            if self.world.doubled:
                self.faults.append(f"two incarnations at once: {self.world.doubled}")
            if anyio.current_time() > look:
                look = anyio.current_time() + MINUTE
                self.sizes.append(len(self.lives.up))
                await self._look_around()

    deeds: dict[str, int] = {  # noqa: RUF012 - a table of weights, never changed
        "send": 30,
        "ask": 20,
        "work": 10,
        "crash": 10,
        "hang": 6,
        "leave": 4,
        "kill": 4,
        "kill_supervisor": 1,
        "fail_starts": 4,
        "two_at_once": 3,
        "manage": 12,
        "come_and_go": 10,
        "resize": 1,
        "apply": 2,
    }

    def _somebody(self) -> AnyRef | None:
        """Pick a worker that was seen to run, by its path; it may have gone."""
        workers = [
            path
            for path in self.lives.up
            if self.world.running[path] and not path.startswith("/top/pool/")
        ]
        if not workers:
            return None
        return self.app.system.find(self.random.choice(workers))

    # -- mail and asks --

    def _send(self) -> None:
        for _ in range(self.random.randrange(1, 8)):
            ref = self._somebody()
            if ref is None:
                return
            for _ in range(self.random.randrange(1, 4)):
                self.numbers += 1
                self.mail.send(ref, self.numbers)
                ref.tell(Numbered(self.numbers))

    def _ask(self) -> None:
        ref = self._somebody()
        how = self.random.choice(["", "", "late", "refuse", "crash"])
        if ref is not None:
            self._asking(lambda: ref.ask(Question(how), timeout=5.0))

    def _work(self) -> None:
        how = self.random.choice(["", "", "", "late", "crash"])
        key = self.random.randrange(100)
        pool = self.app.system.find("/top/pool")
        parts = self.app.system.find("/top/parts")

        async def by_key() -> object:
            assert parts is not None
            part = await parts.ask(GetPartition(key), timeout=5.0)
            return await part.ask(Question(how), timeout=5.0)

        if pool is not None:
            self._asking(lambda: Pool[Question](pool).ask(Question(how), timeout=5.0))
        if parts is not None:
            self._asking(by_key, limit=10.0)

    def _asking(self, ask: Callable[[], Awaitable[object]], *, limit: float = 5.0) -> None:
        self.asked += 1
        self.tasks.start_soon(self._see_answered, ask, limit)

    async def _see_answered(self, ask: Callable[[], Awaitable[object]], limit: float) -> None:
        began = anyio.current_time()
        with anyio.move_on_after(limit + 1.0) as scope:
            try:
                await ask()
                self.answered["answered"] += 1
            except (ActorError, SupervisionError, Refusal) as error:
                self.answered[type(error).__name__] += 1
        if scope.cancelled_caught or anyio.current_time() > began + limit + 0.01:
            self.faults.append(f"{anyio.current_time():.3f} an ask from {began:.3f} hangs")

    # -- misfortune --

    def _fault(self, how: str) -> None:
        ref = self._somebody()
        if ref is not None:
            ref.tell(Fault(how))

    def _crash(self) -> None:
        self._fault("crash")

    def _hang(self) -> None:
        self._fault("hang")

    def _leave(self) -> None:
        self._fault("leave")

    def _kill(self) -> None:
        ref = self._somebody()
        if ref is not None:
            ref.kill()

    def _kill_supervisor(self) -> None:
        up = [path for path in self.lives.up if path in self._supervisors() and path != "/top"]
        ref = self.app.system.find(self.random.choice(up)) if up else None
        if ref is not None:
            ref.kill()

    def _fail_starts(self) -> None:
        ref = self._somebody()
        if ref is not None:
            kinds = ["raise", "raise", "ignore", "hang"]
            how = [self.random.choice(kinds) for _ in range(self.random.randrange(1, 4))]
            self.world.starts[ref.path] = how
            ref.tell(Fault("crash"))

    def _two_at_once(self) -> None:
        first, second = self._somebody(), self._somebody()
        for ref in (first, second):
            if ref is not None:
                ref.kill()

    def _supervisors(self) -> list[str]:
        return [path for path, spec in self.rules.specs.items() if spec.kind == "supervisor"]

    # -- management --

    def _manage(self) -> None:
        paths = [
            path
            for path, spec in self.rules.specs.items()
            if spec.kind == "worker" and parent_of(path) != "/top/guests"
        ]
        path = self.random.choice(paths)
        id = path.rpartition("/")[2]
        request = self.random.choice([TerminateChild, RestartChild, RestartChild, RestartChild])
        self._asking_supervisor(parent_of(path), request(id), path)
        if request is TerminateChild and self.random.random() < 0.9:
            # Most come back soon, or the tree would bleed out.
            self._asking_supervisor(parent_of(path), RestartChild(id), path)
        elif request is TerminateChild:
            self._asking_supervisor(parent_of(path), DeleteChild(id), path)
            spec = self.rules.specs[path]
            self.rules.moved.add(path)
            self._asking_supervisor(parent_of(path), StartChild(spec), path)

    def _come_and_go(self) -> None:
        id = f"guest-{self.random.randrange(40)}"
        path = f"/top/guests/{id}"
        if self.random.random() < 0.7:
            if path not in self.rules.specs:
                self.rules.add(path, worker(self.world, id))
            self._asking_supervisor("/top/guests", StartChild(self.rules.specs[path]), path)
        else:
            self._asking_supervisor("/top/guests", TerminateChild(id), path)

    def _resize(self) -> None:
        size = self.random.randrange(3, 9)
        pool, parts = self.app.system.find("/top/pool"), self.app.system.find("/top/parts")
        if pool is not None:
            self._asking(lambda: self._resize_pool(pool, size), limit=600.0)
        if parts is not None:
            below = [f"/top/parts/{number}" for number in range(10)]
            self._asking_supervisor("/top/parts", ResizePartitions(size), *below)

    async def _resize_pool(self, pool: AnyRef, size: int) -> None:
        self.rules.managed["/top/pool/workers"] += 1
        try:
            await Pool[Question](pool).resize(size, timeout=600.0)
        finally:
            self.rules.managed["/top/pool/workers"] -= 1
            for path in [path for path in self.budgets.retries if path.startswith("/top/pool/")]:
                self.budgets.forgive(path)

    def _asking_supervisor(self, path: str, request: Any, *children: str) -> None:
        ref = self.app.system.find(path)
        if ref is None:
            return
        self.rules.managed[path] += 1

        async def ask() -> None:
            try:
                await ref.ask(request, timeout=600.0)
            finally:
                self.rules.managed[path] -= 1
                self.order.excuse(path)
                for child in children:
                    self.budgets.forgive(child)

        self._asking(ask, limit=600.0)

    # -- changes of the whole tree --

    def _apply(self) -> None:
        if not self.rules.changing:
            self.rules.changing = True
            self.tasks.start_soon(self._change)

    async def _change(self) -> None:
        self.tree = self._varied(self.tree)
        known = self.rules.specs
        self.rules.learn(self.tree)
        for path, spec in known.items():
            if parent_of(path) == "/top/guests":
                self.rules.add(path, spec)
        report = await self.app.apply(self.tree)
        self.done["steps of changes"] += len(report.steps)
        self.done["steps that failed"] += len(report.failed)
        self.rules.changing = False
        self.order.excuse("")
        for path in self.rules.specs:
            self.budgets.forgive(path)

    def _varied(self, tree: SupervisorSpec) -> SupervisorSpec:
        """Vary one branch of the tree: its children, their order, their options, its budget."""
        place = self.random.randrange(9)
        branch = tree.children[place]
        assert isinstance(branch, SupervisorSpec)
        children = list(branch.children)
        at = self.random.randrange(len(children))
        match self.random.choice(["remove", "add", "renew", "options", "order", "budget"]):
            case "remove" if len(children) > 9:
                del children[at]
            case "remove" | "add":
                id = f"n{self.random.randrange(1_000_000)}"
                children.insert(at, worker(self.world, id))
            case "renew" if children[at].kind == "worker":
                children[at] = worker(self.world, children[at].id, self.random.randrange(1000))
            case "options" if children[at].kind == "worker":
                children[at] = evolve(children[at], shutdown=self.random.choice([1.0, 2.0]))
            case "order":
                self.random.shuffle(children)
            case _:
                branch = evolve(branch, max_restarts=self.random.choice([3, 4, 5]))
        every = list(tree.children)
        every[place] = evolve(branch, children=children)
        return evolve(tree, children=every)

    # -- looking --

    async def _look_around(self) -> None:
        """Compare what supervisors say with what was seen, at a moment when that can be done."""
        wrong: list[str] = []
        for _ in range(60):
            wrong = [*await self._differences(), *self.lives.orphans()]
            if not wrong or self.faults:
                self.done["quiet looks"] += 1
                return
            await anyio.sleep(2.0)
        self.faults.append(f"{anyio.current_time():.3f} the tree is not as it was seen: {wrong}")

    async def _differences(self) -> list[str]:
        await settle()
        wrong: list[str] = []
        for path in self._supervisors():
            ref = self.app.system.find(path)
            if ref is None or path not in self.lives.up:
                continue
            try:
                children = await ref.ask(WhichChildren(), timeout=600.0)
            except ActorError:
                continue
            for child in children:
                seen = self.lives.up.get(child.ref.path)
                if (child.state is ChildState.RUNNING) != (seen == child.ref):
                    wrong.append(f"{child.ref.path} {child.state}, seen: {seen}")
        return wrong

    def _look_for_remains(self) -> None:
        if self.lives.up:
            self.faults.append(f"still running: {sorted(self.lives.up)}")
        if +self.world.running:
            self.faults.append(f"code that still runs: {+self.world.running}")
        for _, spec in walk(self.tree):
            if spec.name is not None and self.app.system.whereis(spec.name) is not None:
                self.faults.append(f"{spec.name} is still taken")
