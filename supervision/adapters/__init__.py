"""Make children of plain functions, threads and programs.

=============================  =============================================================
factory                        the child
=============================  =============================================================
`periodic(fn, every=60.0)`     calls `fn` every 60 seconds; after a stall, no burst
`consumer(source, handler)`    opens a source, calls `handler` with each item, closes the source
`blocking(fn)`                 runs one function that blocks, in a thread of its own
`subprocess(argv)`             runs a program
`task(fn)`, in `actors`        runs one coroutine function until it is told to stop
=============================  =============================================================

Each factory is the `start` of a `ChildSpec`. It checks its arguments when it is made, compares by
them, and prints as it was written. Told to stop, a child finishes the call in hand and begins no
other; what takes longer than the child's `shutdown` is killed: cancelled, if it is a coroutine. An
error in a function of yours is a crash, and the supervisor does what its spec says.

To write an adapter, read `intervals.py`, the shortest, and `hosted.py`, for whatever opens
something that has to be closed.

>>> from supervision.adapters import periodic
>>> periodic(print, every=60.0)
periodic(print, every=60.0)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.adapters.intervals import periodic
    from supervision.adapters.opening import hear_of_children
    from supervision.adapters.process_group import kill_programs
    from supervision.adapters.programs import subprocess
    from supervision.adapters.streams import consumer
    from supervision.adapters.threads import BlockingToken, blocking
else:
    __getattr__, __dir__ = lazy_door(
        __name__,
        {
            "supervision.adapters.intervals": "periodic",
            "supervision.adapters.opening": "hear_of_children",
            "supervision.adapters.process_group": "kill_programs",
            "supervision.adapters.programs": "subprocess",
            "supervision.adapters.streams": "consumer",
            "supervision.adapters.threads": "BlockingToken blocking",
        },
    )

__all__ = [
    "BlockingToken",
    "blocking",
    "consumer",
    "hear_of_children",
    "kill_programs",
    "periodic",
    "subprocess",
]
