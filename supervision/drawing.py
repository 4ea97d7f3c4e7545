"""Draw a tree of specs as text: ids, strategies, restart types, shutdown values.

>>> from actors import CancellationToken, task
>>> from supervision import ChildSpec, SupervisorSpec
>>> async def work(shutdown: CancellationToken) -> None: ...
>>> print(draw(SupervisorSpec("shop", [
...     ChildSpec("db", task(work), shutdown=10),
...     SupervisorSpec("workers", [ChildSpec("w1", task(work), restart="transient")]),
... ])))
shop        supervisor  one_for_one, 3 restarts in 5 s  permanent  shutdown infinity
|- db       worker                                      permanent  shutdown 10 s
`- workers  supervisor  one_for_one, 3 restarts in 5 s  permanent  shutdown infinity
   `- w1    worker                                      transient  shutdown 5 s
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from supervision.specs import (
    AutoShutdown,
    ChildSpec,
    DynamicSupervisorSpec,
    ShutdownPolicy,
    SupervisorSpec,
)

__all__ = ["draw"]


def draw(tree: ChildSpec[Any]) -> str:
    """Return a tree as text, a line for each spec in start order."""
    rows = [(f"{lead}{spec.id}", *_columns(spec)) for lead, spec in _lines(tree)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _lines(tree: ChildSpec[Any]) -> Iterator[tuple[str, ChildSpec[Any]]]:
    waiting = [("", "", tree)]
    while waiting:
        lead, below, spec = waiting.pop()
        yield lead, spec
        children = spec.children if isinstance(spec, SupervisorSpec) else ()
        last = len(children) - 1
        entries = [
            (
                below + ("`- " if place == last else "|- "),
                below + ("   " if place == last else "|  "),
                child,
            )
            for place, child in enumerate(children)
        ]
        waiting.extend(reversed(entries))


def _columns(spec: ChildSpec[Any]) -> tuple[str, str, str, str]:
    notes = [f"shutdown {_shutdown(spec)}"]
    if spec.significant:
        notes.append("significant")
    if spec.backoff is not None:
        notes.append(f"backoff {spec.backoff.initial:g}..{spec.backoff.maximum:g} s")
    return spec.kind, _budget(spec), str(spec.restart), ", ".join(notes)


def _budget(spec: ChildSpec[Any]) -> str:
    if not isinstance(spec, SupervisorSpec | DynamicSupervisorSpec):
        return ""
    kind = spec.strategy if isinstance(spec, SupervisorSpec) else "dynamic"
    parts = [f"{kind}", f"{spec.max_restarts} restarts in {spec.max_seconds:g} s"]
    if isinstance(spec, DynamicSupervisorSpec) and spec.max_children is not None:
        parts.append(f"at most {spec.max_children} children")
    if isinstance(spec, SupervisorSpec) and spec.auto_shutdown is not AutoShutdown.NEVER:
        parts.append(f"auto shutdown {spec.auto_shutdown}")
    return ", ".join(parts)


def _shutdown(spec: ChildSpec[Any]) -> str:
    if isinstance(spec.shutdown, ShutdownPolicy):
        return spec.shutdown.value.replace("_", " ")
    return f"{spec.shutdown:g} s"
