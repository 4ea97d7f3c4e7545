"""Describe a tree as frozen data: specs, their words, their checks, their drawing."""

from supervision.specs.backoff import Backoff
from supervision.specs.checks import check_count, check_seconds, check_word
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
from supervision.specs.tree import (
    AnySupervisorSpec,
    ChildSpec,
    DynamicSupervisorSpec,
    Kind,
    SupervisorSpec,
    check_child,
    register_kind,
    walk,
)
from supervision.specs.watchdog import Watchdog

__all__ = [
    "BRUTAL_KILL",
    "INFINITY",
    "AnySupervisorSpec",
    "AutoShutdown",
    "Backoff",
    "ChildSpec",
    "DynamicSupervisorSpec",
    "Kind",
    "Renewal",
    "Restart",
    "ShutdownPolicy",
    "Strategy",
    "SupervisorSpec",
    "Watchdog",
    "WhenSpent",
    "check_child",
    "check_count",
    "check_seconds",
    "check_word",
    "differing",
    "draw",
    "register_kind",
    "renewal",
    "same_tree",
    "walk",
]
