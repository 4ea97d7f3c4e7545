"""Parse lines, and crash on those that are malformed.

For an error that is foreseen, an actor would answer with a `Refusal` and live on. This one crashes
on purpose. It stands for code that you do not control, which fails on some input in ways
that nobody has foreseen: it leaves nothing behind, and the next line finds a new parser.
"""

from __future__ import annotations

from typing import final

from actors import Actor, on
from examples.ingest.combined import parse_line
from examples.ingest.messages import Hit, Parse


@final
class Parser(Actor[Parse]):
    """Be one of the pool."""

    @on(Parse)
    def parse(self, message: Parse) -> Hit:
        """Return what the line says; raises MalformedLine, and that is a crash."""
        return parse_line(message.line.text)
