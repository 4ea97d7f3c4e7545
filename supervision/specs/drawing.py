"""Draw a tree of specs as text: ids, strategies, restart types, shutdown values.

The second column says what a spec describes: `worker`, or the strategy of a supervisor, `dynamic`
for one whose children come at run time. Options that stand at their default are left out, but for
restart type, shutdown and budget, which everybody looks for. Each kind of spec says for itself what
it is called and what there is to note of it (`drawn_kind`, `drawn_notes`).

>>> from actors import CancellationToken, task
>>> from supervision.specs import Backoff, ChildSpec, SupervisorSpec
>>> async def work(shutdown: CancellationToken) -> None: ...
>>> print(draw(SupervisorSpec("shop", [
...     ChildSpec("db", task(work), shutdown=10),
...     SupervisorSpec("workers", [
...         ChildSpec("w1", task(work), restart="transient", backoff=Backoff(0.1, 30)),
...     ]),
... ])))
shop        one_for_one  permanent  shutdown infinity  3 restarts in 5 s
|- db       worker       permanent  shutdown 10 s
`- workers  one_for_one  permanent  shutdown infinity  3 restarts in 5 s
   `- w1    worker       transient  shutdown 5 s       backoff 0.1 to 30 s
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from supervision.specs.child import ChildSpec
from supervision.specs.options import ShutdownPolicy
from supervision.specs.tree import SupervisorSpec

__all__ = ["draw"]


def draw(tree: ChildSpec[Any]) -> str:
    """Return a tree as text, a line for each spec in start order."""
    rows = [
        (
            f"{lead}{spec.id}",
            spec.drawn_kind,
            str(spec.restart),
            _shutdown(spec),
            ", ".join(_notes(spec)),
        )
        for lead, spec in _lines(tree)
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
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


def _shutdown(spec: ChildSpec[Any]) -> str:
    if isinstance(spec.shutdown, ShutdownPolicy):
        return f"shutdown {spec.shutdown.value}"
    return f"shutdown {spec.shutdown:g} s"


def _notes(spec: ChildSpec[Any]) -> Iterator[str]:
    if spec.max_restarts is not None:
        restarts = "1 restart" if spec.max_restarts == 1 else f"{spec.max_restarts} restarts"
        then = f", then {spec.when_spent}" if spec.kind == "worker" else ""
        yield f"{restarts} in {spec.max_seconds:g} s{then}"
    yield from spec.drawn_notes()
    if spec.significant:
        yield "significant"
    if spec.name is not None:
        yield f"name {spec.name.text}"
    if spec.mailbox.capacity is not None:
        yield f"mailbox {spec.mailbox.capacity}"
    if spec.backoff is not None:
        yield f"backoff {spec.backoff.initial:g} to {spec.backoff.maximum:g} s"
    if spec.start_timeout is not None:
        yield f"start within {spec.start_timeout:g} s"
