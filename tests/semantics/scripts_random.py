"""Random scripts: Hypothesis strategies for trees, and for what happens to them.

`SCRIPTS` is what the tests use. Ids tell what a child is: "t" and "d" begin those of supervisors
and dynamic supervisors, "q" those of quick workers, all others are workers; "n", "q" and "t9" are
started while the script runs. Everything shrinks towards quick permanent workers, one for one.

>>> from hypothesis import find
>>> found = find(SCRIPTS, lambda script: len(script.tree.children) > 1 and len(script.commands) > 0)
>>> len(found.tree.children), len(found.commands)
(2, 1)
"""

from __future__ import annotations

from collections import defaultdict
from math import inf
from typing import Any

from hypothesis import strategies as st

from tests.semantics.scripts import (
    AnyChild,
    AutoShutdown,
    Command,
    Count,
    Crash,
    Delete,
    Dynamic,
    End,
    Kill,
    KillTogether,
    RestartOne,
    Script,
    Start,
    Step,
    Stop,
    Strategy,
    Terminate,
    Tree,
    Wait,
    Worker,
    below,
)

__all__ = ["SCRIPTS", "child", "script", "tree", "worker"]

DEPTH = 3
MOST_COMMANDS = 20
# Several children start at first: one of them that fails makes a script of nothing.
RARE: list[Step] = ["slow", "slow", "slow", "ignore", "broken", "fail"]
OFTEN: list[Step] = ["ok" for _ in range(70)]
LATERS: list[Step] = ["ok", "fail", "slow", "slow fail", "slow fail", "broken", "ignore"]
FIRST = st.sampled_from(OFTEN + RARE)
LATER = st.sampled_from(LATERS)


def _steps(drawn: tuple[Step, list[Step]]) -> tuple[Step, ...]:
    return (drawn[0], *drawn[1])


STEADY = st.tuples(FIRST, st.just(list[Step]())).map(_steps)
SHAKY = st.tuples(FIRST, st.lists(LATER, min_size=1)).map(_steps)
STRATEGIES: list[Strategy] = ["one_for_one", "one_for_all", "rest_for_one"]
STRATEGY = st.sampled_from(STRATEGIES)
SETTINGS: list[AutoShutdown] = ["never", "never", "any_significant", "all_significant"]
RESTART = st.sampled_from(["permanent", "permanent", "transient", "temporary"])
RESTART_SOME = st.sampled_from(["transient", "temporary"])


@st.composite
def worker(draw: st.DrawFn, id: str, auto_shutdown: str = "never") -> Worker:
    """Make a worker; half of them are quick."""
    options = draw(common(auto_shutdown))
    if id.startswith("q") or not draw(st.booleans()):
        options["shutdown"] = draw(st.sampled_from([5.25, inf, "brutal_kill", 0.0]))
        options["backoff"] = draw(st.sampled_from([None, None, None, 2.0625]))
        return Worker(id, **options)
    stop = draw(st.sampled_from([0, 0, 1, 2, 50]))
    # At once, or never: what a time of 0 means for one that stops at once is a matter of luck.
    patience = [5.25, 1.25, inf, "brutal_kill", 0.0 if stop else 0.25]
    options["shutdown"] = draw(st.sampled_from(patience))
    return Worker(
        id,
        starts=draw(st.one_of(STEADY, SHAKY, SHAKY)),
        then=draw(st.sampled_from(["ok", "ok", "ok", "slow", "fail", "slow fail"])),
        stop=stop,
        stop_fails=draw(st.sampled_from([False, False, False, True])),
        backoff=draw(st.sampled_from([None, None, None, 2.0625])),
        start_timeout=draw(st.sampled_from([None, None, None, 0.6875])),
        **options,
    )


@st.composite
def common(draw: st.DrawFn, auto_shutdown: str) -> dict[str, Any]:
    """Choose what all children have; only some can be significant."""
    if auto_shutdown != "never" and draw(st.booleans()):
        return {"restart": draw(RESTART_SOME), "significant": True}
    return {"restart": draw(RESTART)}


BUDGET: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "max_restarts": st.sampled_from([3, 5, 1, 2, 8, 0]),
        "max_seconds": st.sampled_from([5.0, 1.0, 2.0, 1000.0]),
    }
)


@st.composite
def tree(draw: st.DrawFn, id: str, depth: int = 1, auto_shutdown: str = "never") -> Tree:
    """Make a supervisor with children."""
    own = draw(st.sampled_from(SETTINGS))
    least = 0 if depth > 1 else 1
    letters = "abcd"[: draw(st.integers(least, 4 if depth == 1 else 3))]
    options: dict[str, Any] = {} if depth == 1 else draw(common(auto_shutdown))
    if depth > 1:
        options["shutdown"] = draw(st.sampled_from([inf, inf, 3.125, "brutal_kill"]))
    return Tree(
        id,
        [draw(child(letter, depth, own)) for letter in letters],
        strategy=draw(STRATEGY),
        auto_shutdown=own,
        **draw(BUDGET),
        **options,
    )


@st.composite
def child(draw: st.DrawFn, letter: str, depth: int, auto_shutdown: str) -> AnyChild:
    """Make a child for a supervisor at this depth: mostly a worker."""
    kind = draw(st.sampled_from(["worker", "worker", "worker", "quick", "tree", "dynamic"]))
    if kind == "tree" and depth < DEPTH:
        return draw(tree(f"t{letter}", depth + 1, auto_shutdown))
    if kind == "dynamic":
        return Dynamic(
            f"d{letter}",
            max_children=draw(st.sampled_from([None, None, 2])),
            **draw(BUDGET),
            **draw(common(auto_shutdown)),
        )
    return draw(worker(f"q{letter}" if kind == "quick" else letter, auto_shutdown))


# -- what happens ----------------------------------------------------------------------------------


class Plot:
    """Know what a script may speak of: the children that were there, and those started since.

    `near` are the paths that most of it is about: a supervisor's deeper states are only reached
    when several things befall the same few children.
    """

    def __init__(self, top: Tree, draw: st.DrawFn) -> None:
        self.draw = draw
        self.specs = dict(below(top, top.id))
        self.dynamic = [path for path, spec in self.specs.items() if isinstance(spec, Dynamic)]
        self.near: list[str] = []

    def paths(self, *, workers: bool) -> list[str]:
        """List the paths of workers, or of supervisors."""
        return [path for path, spec in self.specs.items() if isinstance(spec, Worker) is workers]

    def worker(self) -> str:
        """Choose a worker."""
        near = [path for path in self.near if isinstance(self.specs[path], Worker)]
        anyone = self.paths(workers=True) or ["top/none"]
        return self.draw(st.sampled_from(near * 3 + anyone))

    def supervisor(self) -> str:
        """Choose a supervisor."""
        return self.draw(st.sampled_from(self.paths(workers=False)))

    def child(self) -> tuple[str, str]:
        """Choose a supervisor and the id of a child, mostly one that it has."""
        return split(self.draw(st.sampled_from(self.near * 2 + [*self.specs][1:] + ["top/none"])))

    def start(self, path: str) -> Start:
        """Ask for one more child: now and then with an id that is taken, or for a whole tree."""
        id = self.draw(st.sampled_from(["n1", "q1", "q2", "n2", "a", "t9"]))
        spec: AnyChild
        if id == "t9":
            inner = [self.draw(worker(letter)) for letter in "ab"[: self.draw(st.integers(0, 2))]]
            strategy = self.draw(STRATEGY)
            options: dict[str, Any] = {**self.draw(BUDGET), "restart": self.draw(RESTART)}
            spec = Tree("t9", inner, strategy, **options)
        else:
            spec = self.draw(worker(id, getattr(self.specs[path], "auto_shutdown", "never")))
        for place, found in below(spec, f"{path}/{id}"):
            self.specs.setdefault(place, found)
        return Start(path, spec)

    def anyone(self) -> str:
        """Choose anybody but the root, supervisors more often."""
        paths = [*self.specs][1:] + self.paths(workers=False)[1:] * 2
        return self.draw(st.sampled_from(paths or ["top"]))

    def strike(self, path: str) -> Command:
        """Kill somebody, or tell him to stop from outside."""
        return Kill(path) if self.draw(st.booleans()) else Stop(path)

    def blow(self) -> Command:
        """Make a worker end."""
        path, how = self.worker(), self.draw(st.sampled_from(["crash", "crash", "end", "kill"]))
        if how == "end":
            return End(path, self.draw(st.sampled_from(["normal", "shutdown", "shutdown detail"])))
        return Crash(path) if how == "crash" else Kill(path)

    def request(self) -> Command:
        """Ask a supervisor for something."""
        match self.draw(
            st.sampled_from(["terminate", "restart", "restart", "delete", "count", ""])
        ):
            case "terminate":
                return Terminate(*self.child())
            case "restart":
                return RestartOne(*self.child())
            case "delete":
                return Delete(*self.child())
            case "count":
                return Count(self.supervisor())
            case _:
                return self.start(self.supervisor())

    def trouble(self) -> list[Command]:
        """Make a worker end, and ask its supervisor things about it meanwhile."""
        workers = self.paths(workers=True)
        shaky = [path for path in workers if "slow fail" in _steps_of(self.specs[path])]
        path = self.draw(st.sampled_from(shaky)) if shaky else self.worker()
        calls: list[Command] = [Crash(path)]
        kinds = st.sampled_from(["restart", "delete", "terminate", "start", "strike"])
        for kind in self.draw(st.lists(kinds, max_size=4)):
            match kind:
                case "restart":
                    calls.append(RestartOne(*split(path)))
                case "delete":
                    calls.append(Delete(*split(path)))
                case "terminate":
                    calls.append(Terminate(*split(path)))
                case "strike":
                    calls.append(self.strike(path))
                case _ if split(path)[0] in self.specs:
                    calls.append(self.start(split(path)[0]))
                case _:
                    pass
        return calls

    def together(self) -> Command:
        """Kill several quick workers of one supervisor; of two, their order would be open."""
        siblings: defaultdict[str, list[str]] = defaultdict(list)
        for path in self.paths(workers=True):
            if split(path)[1].startswith("q"):
                siblings[split(path)[0]].append(path)
        if not siblings:
            return self.blow()
        paths = st.sampled_from(self.draw(st.sampled_from([*siblings.values()])))
        return KillTogether(self.draw(st.lists(paths, min_size=2, max_size=3)))

    def scene(self) -> list[Command]:
        """Make one thing happen, or a few that belong together."""
        scenes = ["blow", "trouble", "trouble", "requests", "wait", "together", "above", "cut"]
        match self.draw(st.sampled_from(scenes)):
            case "blow":
                return [self.blow()]
            case "trouble":
                return self.trouble()
            case "requests":
                return [self.request() for _ in range(self.draw(st.integers(1, 3)))]
            case "wait":
                return [Wait(self.draw(st.sampled_from([1, 2, 3, 6, 20])))]
            case "together":
                return [self.together()]
            case "above":
                return [self.strike(self.anyone())]
            case _:
                # It may be starting again, when it is struck once more.
                path = self.anyone()
                return [Kill(path), self.strike(path)]


def _steps_of(spec: AnyChild) -> tuple[str, ...]:
    return (*spec.starts, spec.then) if isinstance(spec, Worker) else ()


def split(path: str) -> tuple[str, str]:
    """Give the supervisor's path and the child's id."""
    parent, _, id = path.rpartition("/")
    return parent, id


@st.composite
def script(draw: st.DrawFn) -> Script:
    """Make a tree and what happens to it."""
    top = draw(tree("top"))
    plot = Plot(top, draw)
    commands: list[Command] = []
    for path in plot.dynamic:
        commands += [plot.start(path) for _ in range(draw(st.integers(0, 3)))]
    plot.near = draw(st.lists(st.sampled_from([*plot.specs][1:]), max_size=3, unique=True))
    commands += plot.scene()
    while draw(st.integers(0, 40)) and len(commands) < MOST_COMMANDS:
        commands += plot.scene()
    return Script(top, commands)


SCRIPTS = script()
