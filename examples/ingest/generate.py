"""Make up an access log: realistic lines, some of them malformed in various ways.

    python -m examples.ingest.generate --lines 100000 --seed 7 --malformed 0.01 > access.log

The same options give the same bytes, on every machine. The sample was made with the defaults.

>>> for entry in generate(lines=2, seed=1, malformed=0.0):
...     print(entry.kind or "well-formed", entry.text.split()[5])
well-formed b'"GET'
well-formed b'"GET'
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from attrs import frozen

LINES, SEED, MALFORMED = 4000, 2025, 0.01

_BEGIN = datetime(2025, 3, 4, 6, 25, 13, tzinfo=UTC)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

# What is asked for: weight, method, path, statuses, largest size.
_REQUESTS: list[tuple[int, str, str, str, int]] = [
    (20, "GET", "/", "200 200 200 304", 9000),
    (16, "GET", "/product/{n}", "200 200 200 200 200 404", 14000),
    (9, "GET", "/product/{n}?ref=mail&utm=spring", "200", 14000),
    (8, "GET", "/search?q=%C3%A9toile+{n}", "200 200 200 200 200 200 200 500", 11000),
    (14, "GET", "/static/shop.css", "200 304 304", 18000),
    (12, "GET", "/static/shop.js", "200 304 304", 64000),
    (8, "GET", "/img/{n}.webp", "200 200 304 206", 90000),
    (5, "GET", "/cart", "200 302", 5000),
    (4, "POST", "/cart", "303 303 303 400", 0),
    (3, "POST", "/login", "303 303 401", 900),
    (3, "POST", "/checkout", "303 303 303 502 503", 700),
    (4, "GET", "/api/stock/{n}", "200 200 200 200 504", 300),
    (3, "HEAD", "/health", "200", 0),
    (2, "GET", "/robots.txt", "200", 120),
    (2, "GET", "/old-shop/{n}", "301", 180),
    (2, "GET", "/wp-login.php", "404", 150),
    (1, "GET", "/.env", "404 403", 150),
]
_WEIGHTS = [weight for weight, *_ in _REQUESTS]
_AGENTS = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:135.0) Gecko/20100101 Firefox/135.0",
    "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/133.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3) Version/18.3 Safari/604.1",
    "Mozilla/5.0 (compatible; Googlebot/2.1)",
    "curl/8.5.0",
    "python-httpx/0.28.1",
    'shop-app/3.1 (\\"night\\" build)',
    "-",
]
_REFERERS = ["-", "-", "-", "https://shop.example/", "https://shop.example/search?q=lamp"]
_USERS = ["-"] * 12 + ["ada", "grace"]
_NETWORKS = ["192.0.2.", "198.51.100.", "203.0.113.", "2001:db8::"]
_NOT_HTTP = ['"-" 408 0', '"\\x16\\x03\\x01\\x02" 400 150']


@frozen
class Entry:
    """One line without its end; `kind` says how it is malformed, and is empty when it is not."""

    text: bytes
    kind: str = ""


def generate(*, lines: int, seed: int, malformed: float) -> Iterator[Entry]:
    """Yield `lines` lines; each is malformed with probability `malformed`, from 0.0 to 1.0."""
    random = Random(seed)
    moment = _BEGIN
    for _ in range(lines):
        moment += timedelta(seconds=random.expovariate(2.0))
        text = _well_formed(random, moment)
        if random.random() < malformed:
            kind = random.choice(list(_MALFORMED))
            yield Entry(_MALFORMED[kind](random, text), kind)
        else:
            yield Entry(text.encode())


def _well_formed(random: Random, moment: datetime) -> str:
    # Few clients ask for much; each has one user agent. The addresses are for documentation.
    client = int(random.paretovariate(0.7)) % 254 + 1
    network = random.choice(_NETWORKS)
    who = f"{network}{client} - {random.choice(_USERS)} [{_time(moment)}]"
    if random.random() < 0.004:
        return f'{who} {random.choice(_NOT_HTTP)} "-" "-"'
    agent = _AGENTS[(client + len(network)) % len(_AGENTS)]
    return f'{who} {_request(random)} "{random.choice(_REFERERS)}" "{agent}"'


def _time(moment: datetime) -> str:
    # Not %b, which is in the user's language.
    return f"{moment:%d}/{_MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S} +0000"


def _request(random: Random) -> str:
    _, method, path, statuses, largest = random.choices(_REQUESTS, _WEIGHTS)[0]
    path = path.format(n=int(random.paretovariate(0.9)) % 500 + 1)
    status = random.choice(statuses.split())
    size = str(random.randint(largest // 3, largest)) if largest and status != "304" else "-"
    protocol = random.choice(("1.1", "1.1", "2.0"))
    return f'"{method} {path} HTTP/{protocol}" {status} {size}'


# -- how lines come to be malformed in real life ---------------------------------------------------


def _cut_off(random: Random, line: str) -> bytes:
    """Stop in the middle: the disk was full, or the server was killed."""
    return line[: random.randrange(len(line) // 4, len(line) - 1)].encode()


def _torn(random: Random, line: str) -> bytes:
    """Write two lines into each other, as two processes do."""
    return line[: random.randrange(len(line) // 4, len(line) // 2)].encode() + line.encode()


def _bad_time(random: Random, line: str) -> bytes:
    """Put in a time that never was, or one in another language."""
    before, _, after = line.partition("[04/")
    return f"{before}[{random.choice(('31/Feb', '00/Mar', '04/Mrz'))}{after[3:]}".encode()


def _bad_status(random: Random, line: str) -> bytes:
    """Put a letter into the status: somebody edited the log."""
    return re.sub(r'" (\d)\d\d ', r'" \1OO ', line, count=1).encode()


def _no_quote(random: Random, line: str) -> bytes:
    """Leave the last quote out: the log format has a mistake in it."""
    return line.removesuffix('"').encode()


def _not_utf8(random: Random, line: str) -> bytes:
    """Write a path in another encoding."""
    return line.encode().replace(b"/", b"/caf\xe9", 3)


def _zeros(random: Random, line: str) -> bytes:
    """Return zeros, as a file system does after a loss of power."""
    return bytes(random.randint(8, 64))


def _empty(random: Random, line: str) -> bytes:
    """Return nothing: a rotation script means well."""
    return b""


def _other_log(random: Random, line: str) -> bytes:
    """Return a line of the error log, which went to the wrong file."""
    worker = random.randint(100, 999)
    return f"2025/03/04 06:25:13 [error] {worker}#0: *7 connect() failed (111)".encode()


_MALFORMED: dict[str, Callable[[Random, str], bytes]] = {
    "cut off": _cut_off,
    "torn": _torn,
    "bad time": _bad_time,
    "bad status": _bad_status,
    "no quote": _no_quote,
    "not UTF-8": _not_utf8,
    "zeros": _zeros,
    "empty": _empty,
    "other log": _other_log,
}


def main() -> None:
    """Write a log to standard output."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.ingest.generate", description="Make up an access log."
    )
    parser.add_argument("--lines", type=int, default=LINES, metavar="N", help="default: 4000")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="default: 2025")
    parser.add_argument(
        "--malformed", type=float, default=MALFORMED, metavar="RATIO", help="default: 0.01"
    )
    options = parser.parse_args()
    for entry in generate(lines=options.lines, seed=options.seed, malformed=options.malformed):
        sys.stdout.buffer.write(entry.text + b"\n")


if __name__ == "__main__":
    main()
