"""The tree: what runs, in which order, and what happens when a part of it fails.

    super-visor run examples/ingest/tree.py:tree
    super-visor tree examples/ingest/tree.py:tree

Started by the command, the tree takes its settings from the environment: `INGEST_LOG` and
`INGEST_DATABASE`.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from attrs import frozen

from actors import Mailbox, Overflow
from examples.ingest.database import IN_MEMORY
from examples.ingest.messages import REPORTER, STORE, parser_name
from examples.ingest.parser import Parser
from examples.ingest.reader import Reader
from examples.ingest.reporter import Reporter
from examples.ingest.store import Store
from supervision import AutoShutdown, ChildSpec, Restart, Strategy, SupervisorSpec

SAMPLE = Path(__file__).with_name("access.log")


@frozen
class Settings:
    """What can be chosen.

    - `log`: the file to read; default: the sample that stands beside this module.
    - `database`: a SQLite file; default: in memory, gone at the end.
    - `parsers`: how many there are; default 4.
    - `batch`: lines in a transaction; default 500. More is faster, and more to do again
      after a crash.
    - `restarts`: how many parsers may crash in one second; default 10,000.
    """

    log: Path = SAMPLE
    database: str = IN_MEMORY
    parsers: int = 4
    batch: int = 500
    restarts: int = 10_000


def from_environment() -> Settings:
    """Return the settings for a tree that nobody hands any."""
    return Settings(
        log=Path(os.environ.get("INGEST_LOG", SAMPLE)),
        database=os.environ.get("INGEST_DATABASE", IN_MEMORY),
    )


def tree(settings: Settings | None = None) -> SupervisorSpec:
    """Return the tree. Raises OSError when the log cannot be read.

    `rest_for_one`, because each child depends on those before it. When the store has crashed,
    the parsers, the reporter and the reader are stopped and started again with it, and the reader
    asks the new store where to go on. When the reader has crashed, it comes back alone.

    The root allows three restarts in a minute. None of its children is expected to crash, so what
    fails again and again needs a person. The minute makes it notice slow failures, too: a parser
    that does not answer fails the reader by the timeout of `ask`, which is five seconds.
    """
    chosen = settings or from_environment()
    chosen.log.open("rb").close()
    return SupervisorSpec(
        "ingest",
        [
            ChildSpec(
                "store", partial(Store, chosen.database, chosen.log), name=STORE, shutdown=30.0
            ),
            _parsers(chosen),
            ChildSpec(
                "reporter",
                partial(Reporter, chosen.log, "/ingest/parsers"),
                name=REPORTER,
                # Progress that nobody had time to print is not worth keeping.
                mailbox=Mailbox(capacity=10, overflow=Overflow.DROP_OLD),
            ),
            ChildSpec(
                "reader",
                partial(Reader, chosen.log, chosen.parsers, chosen.batch),
                # Started again after a crash, but not when it is done; then all is done.
                restart=Restart.TRANSIENT,
                significant=True,
                # Told to stop, it still has a batch saved.
                shutdown=30.0,
            ),
        ],
        strategy=Strategy.REST_FOR_ONE,
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        max_restarts=3,
        max_seconds=60.0,
    )


def _parsers(settings: Settings) -> SupervisorSpec:
    """Return the pool, under a supervisor of its own.

    A parser's crash is a malformed line: business as usual, which must not use up the budget of the
    root. So the pool has a budget of its own, and a generous one. A budget is a rate, and at full
    speed one malformed line in twenty already means a thousand crashes a second; ten thousand
    means that it never gives up because of what the log holds. A log in which every line is
    malformed is read to its end, and the tables say so.
    """
    return SupervisorSpec(
        "parsers",
        [
            ChildSpec(name.text, Parser, name=name)
            for name in (parser_name(n + 1) for n in range(settings.parsers))
        ],
        strategy=Strategy.ONE_FOR_ONE,
        max_restarts=settings.restarts,
        max_seconds=1.0,
    )
