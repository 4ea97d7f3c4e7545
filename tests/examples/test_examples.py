"""The numbered examples print what they promise, line by line, on every backend."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"

PRINTED = {
    "01_counter": """\
total: 55
left: 5
refused: 50 of 5
still there: 5
""",
    "02_ordered_start_stop": """\
database: connecting
database: ready
cache: connecting
cache: ready
api: connecting
api: ready
-- all ready: /shop/web/api
api: stopped (shutdown)
cache: stopped (shutdown)
database: stopped (shutdown)
-- all stopped
""",
    "03_one_for_one": """\
a starts
b starts
c starts
-- b crashes
b ends, crashed: RuntimeError: broken
b starts
-- restarts: a 0, b 1, c 0
-- stopping
c ends, shutdown
b ends, shutdown
a ends, shutdown
""",
    "04_one_for_all": """\
a starts
b starts
c starts
-- b crashes
b ends, crashed: RuntimeError: broken
c ends, shutdown
a ends, shutdown
a starts
b starts
c starts
-- restarts: a 1, b 1, c 1
-- stopping
c ends, shutdown
b ends, shutdown
a ends, shutdown
""",
    "05_rest_for_one": """\
a starts
b starts
c starts
-- b crashes
b ends, crashed: RuntimeError: broken
c ends, shutdown
b starts
c starts
-- restarts: a 0, b 1, c 1
-- stopping
c ends, shutdown
b ends, shutdown
a ends, shutdown
""",
    "06_dynamic_children": """\
ada says hello at /sessions/ada
alan has to wait: the limit of max_children=2 is reached
grace says quit
active: 2
ada is alive: False
active: 1
""",
    "07_timers": """\
tick 1
tick 2
tick 3
it boils
still ticking: False
the kettle ended: normal
""",
    "08_monitors_and_links": """\
observer: /first is down, normal
observer: /partner is down, crashed: LinkBroken: linked /second ended: \
crashed: RuntimeError: out of memory
survivor: /third ended, crashed: RuntimeError: out of memory
survivor: ended, normal
""",
    "09_backpressure": """\
-- wait for room
printed page 1
printed page 2
printed page 3
most pages that ever waited: 2
not taken: Page, there is room for 2
printed page 4
printed page 5
printed page 6
-- drop the oldest
lost page 1: mailbox full
lost page 2: mailbox full
lost page 3: mailbox full
printed page 4
printed page 5
""",
    "10_deferred_reply": """\
/table is gone, crashed: OSError: fire in the kitchen
ada sits with grace
grace sits with ada
alan goes home: we are closing
the waiter sits with nobody
nobody is left alone: /table threw away the reply to Sit unanswered
barbara runs: crashed: OSError: fire in the kitchen
the cook runs: crashed: OSError: fire in the kitchen
""",
    "11_pipe_and_stash": """\
ready: False
loaded, answering what waits: 2
ready: True
the lamp costs 40 and the chair 75
""",
    "13_parked_child": """\
/importers/grace is parked: 3 crashes, more than 2 restarts in 3600 s
ada: running, restarts: 0
grace: parked, restarts: 2
ada has rows: 3
-- the data is repaired
grace has rows: 7
""",
    "14_poison_mail": """\
order 1: 3 pieces
order 3: 5 pieces
order 5: 1 pieces
set aside: Order(number=2, pieces='a dozen')
set aside: Order(number=4, pieces='some')
""",
    "15_hung_child": """\
/web/browser hangs, handling Fetch: Browser.fetch > Browser.read_response
no page: Wedged
page of quick.example
/web/counter hangs, without a sign of life: Counter.run
counter lives: True
""",
    "18_pool": """\
small ada.png by worker-1
small grace.png by worker-2
broken.png: ValueError('not a picture')
small cursed.png by worker-1
/gallery/painters: Thumbnail expired: not answered within 0.001 s, never begun
/gallery/painters: Thumbnail not taken: the queue is full (3)
done: 8 failed: 1 retried: 1
refused: 1 expired: 1 workers: 3
""",
    "16_services": """\
queue: open
mail to ada
mail to grace
queue: closed
queue: open
mail to alan
-- sent: ada, grace, alan
-- starts of the mailer: 2
queue: closed
-- stopped
""",
    "17_threads_and_programs": """\
/site/server says: listening on port 8080
-- all ready
poller: ends, told by shutdown
/site/server says: last words
-- all stopped
""",
    "19_stop_report": """\
before: None
/shop/web: shutdown; in time
/shop/crawlers/news: killed; late, killed after 0.02 s
/shop/crawlers: shutdown; in time
/shop/database: crashed: OSError: disk full; in time, raised OSError('disk full')
all well: False
the same again: True
after the block: True
""",
    "20_changing_tree": """\
/top/sites/blog starts in blue
/top/sites/shop starts in green
-- dry run
/top would change in 4 steps
planned: update /top/sites/blog: shutdown 5.0 -> 9.0
planned: stop /top/sites/shop: its start changed
planned: start /top/sites/news: new
planned: start /top/sites/shop: its start changed
-- for real
/top/sites/news starts in white
/top/sites/shop starts in red
steps done: 4
visits of the blog: 2
again: /top is as it should be
-- a start that fails
/top/sites/poll starts in gray
failed: start /top/sites/chat: new
because: chat failed to start: ValueError: plaid
done: ['/top/sites/shop', '/top/sites/blog', '/top/sites/news', '/top/sites/poll']
""",
    "21_partitions": """\
ada: visit 1, counted by /shop/counters/0
grace: visit 1, counted by /shop/counters/3
ada: visit 2, counted by /shop/counters/0
alan: visit 1, counted by /shop/counters/3
grace: visit 1, counted by /shop/counters/3
ada: visit 3, counted by /shop/counters/0
partitions: 2
alan: visit 1, counted by /shop/counters/1
""",
    "22_tasks": """\
-- awaited
page 1
the caller hears: no page 3
page 9 is given up
-- fire and forget
crashed: no page 3
-- in order, three at a time
page 100
page 101
page 102
page 103
page 104
-- whatever happens
page 2
page 3 failed: no page 3
page 4
""",
}
WHOLE_PROCESS = "12_signals_and_run"


@pytest.mark.dead_letters  # some of them show crashes and lost messages
@pytest.mark.parametrize("name", PRINTED)
async def test_what_an_example_prints(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each example prints the same lines in the same order on each backend, and ends by itself."""
    main = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]
    await main()
    assert capsys.readouterr().out == PRINTED[name]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_what_a_whole_process_does(backend: str) -> None:
    """The example of `run` stops in reverse order at SIGTERM and leaves with exit code 0."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{WHOLE_PROCESS}.py"), backend],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (
        0,
        "worker: three jobs done, here comes SIGTERM\n"
        "worker: stopped because of shutdown\n"
        "database: closed\n",
    ), done.stderr
    assert done.stderr.index("/app/worker stopped") < done.stderr.index("/app/database stopped")


def test_no_example_is_forgotten() -> None:
    """Every numbered example has its expected lines here."""
    numbered = {path.stem for path in EXAMPLES.glob("[0-9]*.py")}
    assert numbered == {*PRINTED, WHOLE_PROCESS}
