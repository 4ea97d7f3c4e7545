r"""Parse a line of the combined log format, which Apache and nginx write.

>>> hit = parse_line(
...     b'203.0.113.9 - ada [04/Mar/2025:06:25:13 +0000] "GET /cart?item=7 HTTP/1.1" 200 5316 '
...     b'"https://shop.example/" "Mozilla/5.0"'
... )
>>> hit.host, hit.user, hit.method, hit.path, hit.status, hit.size
('203.0.113.9', 'ada', 'GET', '/cart', 200, 5316)
>>> parse_line(b'203.0.113.9 - - [04/Mar/2025:06:25:13 +0000] "GET / HTTP/1.1" 2OO 5316 "-" "-"')
Traceback (most recent call last):
    ...
examples.ingest.combined.MalformedLine: no status
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from examples.ingest.lines import LONGEST
from examples.ingest.messages import Hit

_QUOTED = r'"([^"\\]*+(?:\\.[^"\\]*+)*+)"'
_FIELDS = {
    "client address": r"(\S++)",
    "identity": r" (\S++)",
    "user": r" (\S++)",
    "time": r" \[(\d\d)/([A-Z][a-z][a-z])/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-]\d\d)(\d\d)\]",
    "request in quotes": rf" {_QUOTED}",
    "status": r" ([1-5]\d\d)",
    "size": r" (\d++|-)(?!\S)",
    "referer in quotes": rf" {_QUOTED}",
    "user agent in quotes": rf" {_QUOTED}",
}
_LINE = re.compile("".join(_FIELDS.values()))
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class MalformedLine(Exception):
    """Say in a few words why a line cannot be parsed; lines of one kind have the same words."""


def parse_line(text: bytes) -> Hit:
    """Return what a line says, or raise MalformedLine."""
    line = _decode(text)
    match = _LINE.fullmatch(line)
    if match is None:
        raise MalformedLine(_what_is_wrong(line))
    host, _, user, *time, request, status, size, referer, agent = match.groups()
    method, path = _split(request)
    return Hit(
        host=host,
        user=user,
        time=_seconds(*time),
        method=method,
        path=path,
        status=int(status),
        size=0 if size == "-" else int(size),
        referer=referer,
        agent=agent,
    )


def _decode(text: bytes) -> str:
    if len(text) >= LONGEST:
        raise MalformedLine("longer than any log line")
    try:
        line = text.decode()
    except UnicodeDecodeError:
        raise MalformedLine("not UTF-8") from None
    if not line:
        raise MalformedLine("empty")
    if not line.isprintable():
        raise MalformedLine("control characters")
    return line


def _what_is_wrong(line: str) -> str:
    """Name the first field that is not there. Slow, but few lines come here."""
    so_far = ""
    for field, pattern in _FIELDS.items():
        so_far += pattern
        if not re.match(so_far, line):
            return f"no {field}"
    return "more than a log line"


def _seconds(
    day: str, month: str, year: str, hour: str, minute: str, second: str, ahead: str, minutes: str
) -> int:
    # Not strptime: its names of months are those of the user's language, and it is slow.
    try:
        zone = timezone(timedelta(hours=int(ahead), minutes=int(f"{ahead[0]}{minutes}")))
        number = _MONTHS.index(month) + 1
        moment = datetime(
            int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=zone
        )
    except ValueError:
        raise MalformedLine("impossible time") from None
    return int(moment.timestamp())


def _split(request: str) -> tuple[str, str]:
    """Return method and path, without the query; servers log what is no HTTP at all, too."""
    parts = request.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/"):
        return "-", request
    return parts[0], parts[1].partition("?")[0]
