"""Any script of messages, crashes, stops and timers: what is there for speed changes no line of it.

Three runs of each script are compared: the ordinary one, one without fast paths, and one in
which nobody hibernates. Compared are, line by line and with their times: what each actor
handled, in which incarnation and with which context variables; what each asker got; the ends
that monitors, links and owners heard of; all events and dead letters of each address.

Only where several askers act at the very same time is no order promised between what they began;
there the lines of each are compared in their own order.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.testing import Backend, without_fast_paths
from tests.kit.players import CLASSES, KINDS, Part, Scene, Step, World, play

pytestmark = pytest.mark.dead_letters

BACKENDS: list[Backend] = ["asyncio", "trio"]
QUIET = ["note", "monitor", "unlink", "timer", "stash", "unstash", "keep", "drop"]
LAST = ["link", "tell", "stop", "stop other", "kill", "refuse", "crash"]
TARGETS = st.integers(0, 5)
HOWS = st.sampled_from(list(KINDS))


def _quiet(steps: st.SearchStrategy[tuple[Step, ...]]) -> st.SearchStrategy[Step]:
    # Odd delays: no two timers, and no timer and no scene, are due at the same time.
    delays = st.integers(0, 15000).map(lambda number: number / 500 + 0.0137)
    return st.builds(Step, st.sampled_from(QUIET), TARGETS, HOWS, steps, delays)


def _lists(steps: st.SearchStrategy[tuple[Step, ...]]) -> st.SearchStrategy[tuple[Step, ...]]:
    waiting = st.builds(Step, st.sampled_from(["ask", "send", "spawn"]), TARGETS, HOWS, steps)
    hows = st.one_of(HOWS, st.sampled_from(list(CLASSES)))
    spawning = st.builds(Step, st.just("spawn"), TARGETS, hows)
    before = st.lists(st.one_of(_quiet(steps), waiting, spawning), max_size=4)
    last = st.builds(Step, st.sampled_from(LAST), TARGETS, HOWS, steps)
    return st.builds(
        lambda first, end: (*first, *end), before, st.lists(last, min_size=0, max_size=1)
    )


STEPS = st.recursive(st.just(()), _lists, max_leaves=10)
PARTS = st.builds(Part, st.sampled_from([*KINDS, "send"]), TARGETS, STEPS)
ALONE = PARTS.map(lambda part: Scene((part,)))
SAFE = st.lists(
    st.builds(Step, st.sampled_from(["ask on", "tell"]), TARGETS, HOWS), max_size=3
).map(tuple)
TOGETHER = st.lists(st.builds(Part, HOWS, TARGETS, SAFE), min_size=2, max_size=4).map(
    lambda parts: Scene(tuple(parts))
)
ACTORS = st.lists(st.sampled_from(list(CLASSES)), min_size=1, max_size=4).map(tuple)


def lines(world: World) -> dict[str, object]:
    """Return all that was seen, by where it was seen."""
    return {
        **{f"actor {path}": seen for path, seen in world.actors.items()},
        **{f"events of {path}": seen for path, seen in world.events.items()},
        "askers": world.askers,
        "raised": world.raised,
    }


def check(script: list[Scene], kinds: tuple[str, ...], name: Backend) -> None:
    """Compare the ways to play a script."""
    with without_fast_paths():
        plain = lines(play(script, kinds, name, sleepy=False))
        hibernating = lines(play(script, kinds, name))
    assert hibernating == plain
    assert lines(play(script, kinds, name, sleepy=False)) == plain
    assert lines(play(script, kinds, name)) == plain


@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=150)
# Scripts that found two right answers. What it told itself waits while its child is killed, ...
@example(
    script=[
        Scene((Part("slowly", 0, (Step("stash"), Step("send"), Step("spawn"), Step("kill", 1))),))
    ],
    kinds=("player",),
)
# ... and is to stop it, and so to stop the child that it tells something.
@example(
    script=[
        Scene(
            (
                Part(
                    "slowly",
                    0,
                    (
                        Step("send", steps=(Step("stop"),)),
                        Step("spawn"),
                        Step("spawn"),
                        Step("tell", 1),
                    ),
                ),
            )
        )
    ],
    kinds=("player",),
)
@given(script=st.lists(ALONE, min_size=1, max_size=8), kinds=ACTORS)
def test_one_after_the_other(script: list[Scene], kinds: tuple[str, ...], name: Backend) -> None:
    """With and without fast paths, all that can be seen of any script is the same."""
    check(script, kinds, name)


@pytest.mark.parametrize("name", BACKENDS)
@settings(max_examples=100)
@given(script=st.lists(st.one_of(TOGETHER, ALONE), min_size=1, max_size=6), kinds=ACTORS)
def test_several_askers_at_the_same_time(
    script: list[Scene], kinds: tuple[str, ...], name: Backend
) -> None:
    """With and without fast paths, each asker sees the same, and each actor of each asker."""
    check(script, kinds, name)
