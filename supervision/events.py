"""What supervisors do, as events to subscribe to, and the log lines that are made of them.

The classes stand in `event_types`, below all rooms that publish them; this is the door. Subscribe a
plain function to the event stream of an actor system, or give it to `serve` or `run` as `observe`.
It is called in the turn of the loop in which the event happens.

>>> import anyio
>>> from actors import Event, task
>>> from supervision import ChildSpec, SupervisorSpec, serve
>>> from supervision.events import ChildStopped
>>> async def work(shutdown: object) -> None:
...     await anyio.sleep_forever()
>>> def hear(event: Event) -> None:
...     if isinstance(event, ChildStopped):
...         print(event.ref.path, event.reason)
>>> async def main() -> None:
...     tree = SupervisorSpec("shop", [ChildSpec("db", task(work), shutdown="brutal_kill")])
...     async with serve(tree, observe=[hear]):
...         pass
>>> anyio.run(main)
/shop/db killed
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.event_types import (
        ChildExited,
        ChildHung,
        ChildParked,
        ChildRemoved,
        ChildRestarted,
        ChildStopped,
        ChildStopping,
        LoopStalled,
        Next,
        ProcessOutput,
        RestartFailed,
        SupervisorEnding,
        SupervisorGaveUp,
        SupervisorStopping,
        ThreadAbandoned,
    )
    from supervision.telemetry.logs import LogLines
else:
    __getattr__, __dir__ = lazy_door(
        "supervision.events",
        {
            "supervision.event_types": (
                "ChildExited ChildHung ChildParked ChildRemoved ChildRestarted ChildStopped "
                "ChildStopping LoopStalled Next ProcessOutput RestartFailed SupervisorEnding "
                "SupervisorGaveUp SupervisorStopping ThreadAbandoned"
            ),
            "supervision.telemetry.logs": "LogLines",
        },
    )

__all__ = [
    "ChildExited",
    "ChildHung",
    "ChildParked",
    "ChildRemoved",
    "ChildRestarted",
    "ChildStopped",
    "ChildStopping",
    "LogLines",
    "LoopStalled",
    "Next",
    "ProcessOutput",
    "RestartFailed",
    "SupervisorEnding",
    "SupervisorGaveUp",
    "SupervisorStopping",
    "ThreadAbandoned",
]
