"""What the procs of the tests crash with and refuse with."""

from actors import Refusal


class Boom(Exception):
    """Crash on purpose."""


class No(Refusal):
    """Refuse on purpose."""
