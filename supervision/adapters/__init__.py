"""Make children of plain functions, threads and programs."""

from supervision.adapters.intervals import periodic
from supervision.adapters.programs import kill_programs, subprocess
from supervision.adapters.streams import consumer
from supervision.adapters.threads import BlockingToken, blocking

__all__ = [
    "BlockingToken",
    "blocking",
    "consumer",
    "kill_programs",
    "periodic",
    "subprocess",
]
