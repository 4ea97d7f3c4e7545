"""The words in which a tree is written: frozen data, checked when it is made.

Nothing here runs anything, and nothing that runs a tree is loaded for it: the class that runs a
supervisor's spec is loaded by the spec's `start`. So a tree can be made, compared and drawn by
whoever will never run it.

Read `tree` first, it lists the kinds of spec; then `child` for the options of one child, and
`options` for the words that stand in them. `backoff` and `watchdog` are values in a child's spec,
`partition` is one more kind. `checks` refuses what cannot be meant; `compare` tells what differs
between two trees, `drawing` shows one.

>>> from actors import task
>>> from supervision import ChildSpec, SupervisorSpec, draw
>>> async def work(shutdown: object) -> None: ...
>>> shop = SupervisorSpec("shop", [ChildSpec("db", task(work)), ChildSpec("web", task(work))])
>>> print(draw(shop))
shop    one_for_one  permanent  shutdown infinity  3 restarts in 5 s
|- db   worker       permanent  shutdown 5 s
`- web  worker       permanent  shutdown 5 s
>>> SupervisorSpec("shop", [ChildSpec("db", task(work)), ChildSpec("db", task(work))])
Traceback (most recent call last):
    ...
supervision.errors.SpecError: shop/db: id: items 0 and 1 both have it; give each its own
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.specs.backoff import Backoff
    from supervision.specs.checks import check_count, check_seconds, check_word
    from supervision.specs.child import ChildSpec, Kind
    from supervision.specs.compare import Renewal, differing, renewal, same_tree
    from supervision.specs.drawing import draw
    from supervision.specs.options import (
        BRUTAL_KILL,
        INFINITY,
        AutoShutdown,
        Restart,
        ShutdownPolicy,
        Strategy,
        WhenSpent,
    )
    from supervision.specs.partition import PartitionSupervisorSpec
    from supervision.specs.tree import (
        AnySupervisorSpec,
        DynamicSupervisorSpec,
        SupervisorSpec,
        TaskSupervisorSpec,
        check_child,
        walk,
    )
    from supervision.specs.watchdog import Watchdog
else:
    __getattr__, __dir__ = lazy_door(
        "supervision.specs",
        {
            "supervision.specs.backoff": "Backoff",
            "supervision.specs.checks": "check_count check_seconds check_word",
            "supervision.specs.child": "ChildSpec Kind",
            "supervision.specs.compare": "Renewal differing renewal same_tree",
            "supervision.specs.drawing": "draw",
            "supervision.specs.options": (
                "BRUTAL_KILL INFINITY AutoShutdown Restart ShutdownPolicy Strategy WhenSpent"
            ),
            "supervision.specs.partition": "PartitionSupervisorSpec",
            "supervision.specs.tree": (
                "AnySupervisorSpec DynamicSupervisorSpec SupervisorSpec TaskSupervisorSpec "
                "check_child walk"
            ),
            "supervision.specs.watchdog": "Watchdog",
        },
    )

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "AnySupervisorSpec",
    "AutoShutdown",
    "Backoff",
    "ChildSpec",
    "DynamicSupervisorSpec",
    "Kind",
    "PartitionSupervisorSpec",
    "Renewal",
    "Restart",
    "ShutdownPolicy",
    "Strategy",
    "SupervisorSpec",
    "TaskSupervisorSpec",
    "Watchdog",
    "WhenSpent",
    "check_child",
    "check_count",
    "check_seconds",
    "check_word",
    "differing",
    "draw",
    "renewal",
    "same_tree",
    "walk",
]
