"""Tell people what happens: log lines, and a watch over the event loop.

`LogLines` turns the events of a tree into lines, `say` writes one, `LoopWatchdog` notices that the
loop stands still, and a `Speaker` lets a watching thread say so without waiting for a log that may
be stuck. It guarantees that nothing here holds up the tree, and that loguru, which is used nowhere
else, is loaded when a line is written and not before. Read `logs.py` first.

>>> from supervision.telemetry import explain_error
>>> explain_error(KeyError("ada"))
"KeyError: 'ada'"
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.lazy import lazy_door

if TYPE_CHECKING:
    from supervision.telemetry.explain import explain_error
    from supervision.telemetry.logs import LogLines, compact_log
    from supervision.telemetry.loop_watchdog import LoopWatchdog, check_stalls
    from supervision.telemetry.speaker import (
        Speak,
        Speaker,
        helper_thread,
        is_helper,
        nobody,
        one_entry,
        say,
        say_about,
    )
else:
    __getattr__, __dir__ = lazy_door(
        __name__,
        {
            "supervision.telemetry.explain": "explain_error",
            "supervision.telemetry.logs": "LogLines compact_log",
            "supervision.telemetry.loop_watchdog": "LoopWatchdog check_stalls",
            "supervision.telemetry.speaker": (
                "Speak Speaker helper_thread is_helper nobody one_entry say say_about"
            ),
        },
    )

__all__ = [
    "LogLines",
    "LoopWatchdog",
    "Speak",
    "Speaker",
    "check_stalls",
    "compact_log",
    "explain_error",
    "helper_thread",
    "is_helper",
    "nobody",
    "one_entry",
    "say",
    "say_about",
]
