"""Tests of the drawing of trees, line by line."""

import pytest

from actors import CancellationToken, Mailbox, Name, task
from supervision import (
    BRUTAL_KILL,
    Backoff,
    ChildSpec,
    DynamicSupervisorSpec,
    PartitionSupervisorSpec,
    SupervisorSpec,
    TaskSupervisorSpec,
    draw,
)


async def work(shutdown: CancellationToken) -> None:
    """Do nothing."""


WORK = task(work)


def test_a_whole_tree_is_drawn_in_start_order() -> None:
    """Every spec has a line, in start order, whose columns stand below each other."""
    deep = SupervisorSpec(
        "deep",
        [
            ChildSpec("x", WORK, backoff=Backoff(0.1, 30)),
            DynamicSupervisorSpec("pool", max_children=10),
        ],
        strategy="rest_for_one",
    )
    workers = SupervisorSpec(
        "workers",
        [
            ChildSpec("w1", WORK, restart="transient", significant=True),
            deep,
            ChildSpec("w2", WORK, shutdown=BRUTAL_KILL, restart="temporary"),
        ],
        strategy="one_for_all",
        auto_shutdown="all_significant",
        max_restarts=10,
        max_seconds=60,
    )
    db = ChildSpec("db", WORK, name=Name[object]("database"), shutdown=10)
    assert draw(SupervisorSpec("shop", [db, workers, SupervisorSpec("empty")])).split("\n") == [
        "shop           one_for_one   permanent  shutdown infinity     3 restarts in 5 s",
        "|- db          worker        permanent  shutdown 10 s         name database",
        "|- workers     one_for_all   permanent  shutdown infinity     10 restarts in 60 s,"
        " auto shutdown all_significant",
        "|  |- w1       worker        transient  shutdown 5 s          significant",
        "|  |- deep     rest_for_one  permanent  shutdown infinity     3 restarts in 5 s",
        "|  |  |- x     worker        permanent  shutdown 5 s          backoff 0.1 to 30 s",
        "|  |  `- pool  dynamic       permanent  shutdown infinity     3 restarts in 5 s,"
        " at most 10 children",
        "|  `- w2       worker        temporary  shutdown brutal_kill",
        "`- empty       one_for_one   permanent  shutdown infinity     3 restarts in 5 s",
    ]


def test_the_last_child_ends_the_lines_beside_it() -> None:
    """Below a last child no line goes on downwards."""
    inner = SupervisorSpec("inner", [ChildSpec("a", WORK), ChildSpec("b", WORK)])
    first_words = [line.split("  one")[0].split("  worker")[0] for line in _lines(inner)]
    assert [word.rstrip() for word in first_words] == ["top", "`- inner", "   |- a", "   `- b"]


def _lines(child: ChildSpec[object]) -> list[str]:
    return draw(SupervisorSpec("top", [child])).split("\n")


@pytest.mark.parametrize(
    ("child", "line"),
    [
        (ChildSpec("a", WORK), "`- a  worker       permanent  shutdown 5 s"),
        (
            ChildSpec("a", WORK, mailbox=Mailbox(100), start_timeout=2.5),
            "`- a  worker       permanent  shutdown 5 s       mailbox 100, start within 2.5 s",
        ),
        (
            ChildSpec("a", WORK, max_restarts=1, when_spent="park"),
            "`- a  worker       permanent  shutdown 5 s       1 restart in 5 s, then park",
        ),
        (
            ChildSpec("a", WORK, max_restarts=9, max_seconds=60),
            "`- a  worker       permanent  shutdown 5 s       9 restarts in 60 s, then escalate",
        ),
        (
            SupervisorSpec("a", max_restarts=1, max_seconds=0.5, shutdown=0.25),
            "`- a  one_for_one  permanent  shutdown 0.25 s    1 restart in 0.5 s",
        ),
        (
            DynamicSupervisorSpec("a", max_children=1),
            "`- a  dynamic      permanent  shutdown infinity  3 restarts in 5 s, at most 1 child",
        ),
        (
            PartitionSupervisorSpec("a", ChildSpec("w", WORK), partitions=4),
            "`- a  partitions   permanent  shutdown infinity  3 restarts in 5 s, 4 of them",
        ),
        (
            PartitionSupervisorSpec("a", ChildSpec("w", WORK)),
            "`- a  partitions   permanent  shutdown infinity  3 restarts in 5 s, one per processor",
        ),
        (
            TaskSupervisorSpec("a", max_tasks=10),
            "`- a  tasks        permanent  shutdown infinity  3 restarts in 5 s, at most 10 tasks",
        ),
    ],
)
def test_each_option_is_told_when_it_is_not_the_default(
    child: ChildSpec[object], line: str
) -> None:
    """What stands at its default is left out; numbers have units and their own plural."""
    assert _lines(child)[1] == line


def test_a_deep_tree_is_no_trouble() -> None:
    """A tree deeper than Python's stack is drawn like any other."""
    spec = SupervisorSpec("s")
    for _ in range(300):
        spec = SupervisorSpec("s", [spec])
    text = draw(spec)
    assert text.count("\n") == 300
    assert text.endswith("permanent  shutdown infinity  3 restarts in 5 s")
