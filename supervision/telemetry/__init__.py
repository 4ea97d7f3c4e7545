"""Tell people what happens: log lines, and a watch over the event loop."""

from supervision.telemetry.explain import explain_error
from supervision.telemetry.logs import LogLines, compact_log
from supervision.telemetry.loop_watchdog import STALLED, LoopWatchdog, check_stalls
from supervision.telemetry.speaker import say

__all__ = [
    "STALLED",
    "LogLines",
    "LoopWatchdog",
    "check_stalls",
    "compact_log",
    "explain_error",
    "say",
]
