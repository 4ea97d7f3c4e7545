"""Hear what supervisors do: every event that they publish, and the log lines made of them."""

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
