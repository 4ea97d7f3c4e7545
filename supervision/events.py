"""Hear what supervisors do: every event that they publish, and the log lines made of them."""

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
