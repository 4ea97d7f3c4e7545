"""The exit codes with which a process leaves that runs a tree.

They are numbers that others rely on, a service manager or a shell, so they stand in one place; and
in one that loads nothing, since the command line names them in its help.

>>> ENDED, FAILED, BAD_TARGET, STALLED, FORCED
(0, 1, 2, 70, 130)
"""

from __future__ import annotations

from typing import Final

__all__ = ["BAD_TARGET", "ENDED", "FAILED", "FORCED", "STALLED"]


ENDED: Final = 0
"""In order: told to stop, or by itself."""

FAILED: Final = 1
"""The tree gave up, did not start, crashed, or was not stopped in time."""

BAD_TARGET: Final = 2
"""Nothing was run: the command line names no tree, or an option that cannot be meant."""

STALLED: Final = 70
"""Ended because the event loop stood still (EX_SOFTWARE of BSD's sysexits)."""

FORCED: Final = 130
"""Killed by a second signal: what a shell says after Ctrl-C."""
